"""Log lines on their way to CloudWatch Logs: gathered, sent in batches, never in an invocation's way.

Limits of a batch (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html):
10,000 events, 1,048,576 bytes where each event counts its UTF-8 bytes and 26 more, 24 hours from first to
last, in order of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darkroom.runtime.errors import SystemFaultError
from darkroom.runtime.model import LogEvent, LogSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger(__name__)

MAXIMUM_BATCH_EVENTS = 10_000
MAXIMUM_BATCH_BYTES = 1_048_576
EVENT_OVERHEAD_BYTES = 26
MAXIMUM_SPAN_MS = 24 * 3_600_000
MAXIMUM_EVENT_BYTES = 256 * 1024 - EVENT_OVERHEAD_BYTES  # Lambda cuts a line there


def event_bytes(event: LogEvent) -> int:
    """What an event counts in a batch."""
    message = event.message
    return EVENT_OVERHEAD_BYTES + (len(message) if message.isascii() else len(message.encode()))


def batches(events: list[LogEvent]) -> Iterator[list[LogEvent]]:
    """Cut events into batches that PutLogEvents accepts, each in order of time."""
    batch: list[LogEvent] = []
    size = 0
    for event in sorted(events, key=lambda each: each.timestamp_ms):
        counted = event_bytes(event)
        full = len(batch) >= MAXIMUM_BATCH_EVENTS or size + counted > MAXIMUM_BATCH_BYTES
        if batch and (full or event.timestamp_ms - batch[0].timestamp_ms >= MAXIMUM_SPAN_MS):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += counted
    if batch:
        yield batch


@dataclass(slots=True)
class _Stream:
    waiting: deque[LogEvent] = field(default_factory=deque)
    lost: int = 0


class LogShipper:
    """Buffers lines by stream and sends them every `flush_s`.

    The buffer is bounded: when CloudWatch Logs does not take the lines, the newest are dropped, counted, and
    the loss is written into the stream as soon as it takes lines again.
    """

    def __init__(
        self,
        sink: LogSink,
        *,
        flush_s: float = 0.25,
        maximum_bytes: int = 16 * 1024 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sink = sink
        self._flush_s = flush_s
        self._maximum_bytes = maximum_bytes
        self._clock = clock
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.lost = 0
        self.written = 0
        self.groups: set[str] = set()

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, *, limit_s: float = 1.0) -> None:
        """Send what waits, for at most `limit_s`."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        try:
            await asyncio.wait_for(self._flush(), limit_s)
        except (TimeoutError, SystemFaultError) as error:
            waiting = sum(len(stream.waiting) for stream in self._streams.values())
            _log.warning(
                "%d log lines could not be sent before the stop: %s",
                waiting,
                "time is up" if isinstance(error, TimeoutError) else error,
            )

    def write(self, group: str, stream_name: str, event: LogEvent) -> None:
        """Take one line; never waits."""
        self.written += 1
        self.groups.add(group)
        message = event.message
        if len(message) * 4 > MAXIMUM_EVENT_BYTES:
            encoded = message.encode()
            if len(encoded) > MAXIMUM_EVENT_BYTES:
                event = LogEvent(event.timestamp_ms, encoded[:MAXIMUM_EVENT_BYTES].decode(errors="ignore"))
        stream = self._streams.setdefault((group, stream_name), _Stream())
        counted = event_bytes(event)
        if self._bytes + counted > self._maximum_bytes:
            stream.lost += 1
            self.lost += 1
            return
        self._bytes += counted
        stream.waiting.append(event)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._flush_s)
            self._wake.clear()
            try:
                await self._flush()
            except SystemFaultError as error:
                _log.warning("log lines wait, CloudWatch Logs does not take them: %s", error)
                await asyncio.sleep(1)
                self._wake.set()

    async def _flush(self) -> None:
        for key in list(self._streams):
            await self._flush_stream(*key)

    async def _flush_stream(self, group: str, stream_name: str) -> None:
        stream = self._streams.pop((group, stream_name))
        if stream.lost:
            text = f"{stream.lost} log lines were lost here: more than {self._maximum_bytes} bytes waited"
            stream.waiting.append(LogEvent(int(self._clock() * 1000), text))
            self._bytes += event_bytes(stream.waiting[-1])
        pending = deque(batches(list(stream.waiting)))
        try:
            while pending:
                await self._sink.put(group, stream_name, pending[0])
                self._bytes -= sum(event_bytes(event) for event in pending.popleft())
        finally:
            if pending:  # not taken, or cancelled: back in front of what came meanwhile
                kept = self._streams.setdefault((group, stream_name), _Stream())
                kept.waiting.extendleft(event for batch in reversed(pending) for event in reversed(batch))
