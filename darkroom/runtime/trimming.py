"""Logs of functions stay within bounds: the engine keeps all of them in memory, whatever the retention says.

Now and then, while nothing waits to be run, each log group is looked through:

    stream of a worker that runs          stays
    stream that the engine made up        deleted: START, END and REPORT of its own for an event it delivered, which
                                          a worker's stream tells better
    stream of a worker that has ended     the newest stay, up to `KEPT_BYTES` of text in a group
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from darkroom.runtime.errors import SystemFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

KEPT_BYTES = 4 * 1024 * 1024
"""Text of ended workers that stays in a log group: some two thousand invocations of the tagger."""
EVERY_S = 20.0
ENOUGH = 500
"""Lines since the last look that make another one worth while."""
URGENT = 5_000
"""So many make it happen although there is work to do."""
MADE_UP_BYTES = 400
"""The made-up lines of an event are shorter."""
_MADE_UP = re.compile(r"^REPORT RequestId: \S+\tDuration: \d+ ms\t", re.MULTILINE)
"""Lambda, and our runtime, tell the duration with two decimals."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamSize:
    """A log stream: its name, the time of its last event (epoch milliseconds) and the bytes of its text."""

    name: str
    last_ms: int
    size_bytes: int


class LogStreams(Protocol):
    """The log streams of groups, and what is needed to judge them. Each call raises SystemFaultError."""

    async def streams(self, group: str) -> Sequence[StreamSize]:
        """Every stream of a group; none where there is no such group."""

    async def text(self, group: str, stream: str) -> str:
        """The first lines of a stream."""

    async def delete(self, group: str, stream: str) -> None:
        """Delete a stream, or do nothing where it is gone."""


class LogTrimmer:
    """Deletes what nobody needs to read.

    Args:
        streams: CloudWatch Logs.
        groups: names of the log groups that functions write to.
        live: names of the streams of workers that run.
        lines: how many lines were written so far.
        busy: whether work waits; the engine shall not be kept from it.
    """

    def __init__(
        self,
        streams: LogStreams,
        *,
        groups: Callable[[], Collection[str]],
        live: Callable[[], Collection[str]],
        lines: Callable[[], int],
        busy: Callable[[], bool],
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._streams = streams
        self._groups = groups
        self._live = live
        self._lines = lines
        self._busy = busy
        self._kept_bytes = kept_bytes
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            if not self.is_due():
                continue
            try:
                await self.trim()
            except SystemFaultError as error:
                _log.info("logs are not trimmed now: %s", error)

    def is_due(self) -> bool:
        """Whether enough was logged since the last time, and the moment is good."""
        since = self._lines() - self._seen
        return since >= URGENT or (since >= ENOUGH and not self._busy())

    async def trim(self) -> int:
        """Look through every group once. Returns how many streams were deleted.

        Raises:
            SystemFaultError: CloudWatch Logs does not answer; the next look goes on.
        """
        self._seen = self._lines()
        deleted = 0
        for group in sorted(self._groups()):
            deleted += await self._trim_group(group)
        if deleted:
            _log.info("deleted %d log streams that nobody reads", deleted)
        return deleted

    async def _trim_group(self, group: str) -> int:
        live = self._live()
        ended = [stream for stream in await self._streams.streams(group) if stream.name not in live]
        deleted, kept_bytes = 0, 0
        for stream in sorted(ended, key=lambda each: each.last_ms, reverse=True):
            if stream.size_bytes < MADE_UP_BYTES and await self._is_made_up(group, stream):
                superfluous = True
            else:
                kept_bytes += stream.size_bytes
                superfluous = kept_bytes > self._kept_bytes
            if superfluous:
                await self._streams.delete(group, stream.name)
                deleted += 1
        return deleted

    async def _is_made_up(self, group: str, stream: StreamSize) -> bool:
        return _MADE_UP.search(await self._streams.text(group, stream.name)) is not None
