"""The one interface behind which the emulated AWS runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import boto3

    from darkroom.engine.supervision import PartStatus

Report = Callable[[str], None]
"""Called with one line per step, for people."""


class Engine(Protocol):
    """An emulated AWS on this machine."""

    @property
    def endpoint(self) -> str:
        """The AWS endpoint's URL."""

    def is_running(self) -> bool:
        """Whether it was started and not stopped; parts may be restarting all the same."""

    def start(self, report: Report) -> bool:
        """Start it unless it runs, and return when AWS calls are answered.

        Returns:
            Whether anything had to be started.

        Raises:
            EngineError: it cannot start; the message says what to do.
        """

    def start_sync(self) -> None:
        """Start the folder sync, once the stack is there."""

    def stop(self) -> bool:
        """Stop everything; state is saved. Returns whether anything ran."""

    def erase(self) -> None:
        """Delete all state: keys, objects, tables, queue, logs. It must be stopped."""

    def statuses(self) -> list[PartStatus]:
        """Every part."""

    def environment(self) -> dict[str, str]:
        """The variables that point an AWS SDK here."""

    def session(self) -> boto3.Session:
        """A boto3 session that can reach nothing but this engine."""
