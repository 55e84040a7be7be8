"""The one interface behind which the emulated AWS runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from darkroom.engine.layout import Layout
    from darkroom.engine.supervision import PartStatus
    from darkroom.settings import EngineName

Report = Callable[[str], None]
"""Called with one line per step, for people."""


class PartLog(Protocol):
    """The log of one part."""

    def last(self, count: int) -> Iterator[str]:
        """Its last lines."""

    def new(self) -> Iterator[str]:
        """Lines since the last call, or since it was made."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the parts beside the engine work on.

    Attributes:
        bucket: that the folder is uploaded to.
        code: folder of the functions' code, which is watched.
        page: folder of the page's files, which go into the package; None for somebody's own code.
        requirements: libraries that go into the package, where the code is not Darkroom's; else None.
    """

    bucket: str
    code: Path
    page: Path | None = None
    requirements: Path | None = None


class Engine(Protocol):
    """An emulated AWS on this machine."""

    layout: Layout
    """Its own files."""

    @property
    def name(self) -> EngineName:
        """Which one it is."""

    @property
    def endpoint(self) -> str:
        """The AWS endpoint's URL."""

    @property
    def patience_s(self) -> float:
        """How long the first image after a start may take."""

    @property
    def rekognition_endpoint(self) -> str:
        """Where Rekognition answers."""

    @property
    def page(self) -> str:
        """The address of the page."""

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
        """Stop everything; the embedded engine's state is saved. Returns whether anything ran."""

    def erase(self) -> None:
        """Delete all state: keys, objects, tables, queue, logs. It must be stopped."""

    def statuses(self) -> list[PartStatus]:
        """Every part."""

    def runtime_status(self) -> dict[str, Any]:
        """What Lambda says of itself: `functions`, `queue` and `logs`, or a `note` why it does not tell."""

    def pid_of(self, part: str) -> int:
        """Process id of a part on this machine; 0 when it does not run.

        Raises:
            EngineError: the environment is not up.
        """

    def part_names(self) -> tuple[str, ...]:
        """The parts that have a log."""

    def part_log(self, name: str) -> PartLog:
        """The log of one of `part_names`."""

    def refresh_functions(self, *, new_credentials: bool = False) -> None:
        """Let Lambda see a deployment at once, and have each function warm where that can be done.

        Args:
            new_credentials: roles were made anew, so that sessions of the old ones are void.
        """

    def warnings(self) -> list[str]:
        """What differs from AWS on this machine, in sentences for `up`."""

    def bucket(self) -> str:
        """The name that the template gives its bucket."""

    def environment(self) -> dict[str, str]:
        """The variables that point an AWS SDK here."""

    def session(self) -> boto3.Session:
        """A boto3 session that can reach nothing but this engine."""


class FileLog:
    """A log in a file that is rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = self._size()

    def last(self, count: int) -> Iterator[str]:
        try:
            with self._path.open(errors="replace") as file:
                yield from (line.rstrip() for line in deque(file, maxlen=count))
        except FileNotFoundError:
            yield "(nothing yet)"

    def new(self) -> Iterator[str]:
        size = self._size()
        if size < self._place:  # rotated
            self._place = 0
        if size > self._place:
            with self._path.open(errors="replace") as file:
                file.seek(self._place)
                for line in file:
                    yield line.rstrip()
                self._place = file.tell()

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0
