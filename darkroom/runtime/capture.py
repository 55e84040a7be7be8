"""What a worker prints and logs, as whole messages.

Two pipes. awslambdaric writes `logging` records to the one named by `_LAMBDA_TELEMETRY_LOG_FD`, framed, so
that a message of several lines stays one event; standard output and error share the other, split at line
ends. Both are read without ever blocking the worker for long: the runtime empties them as data arrives.

A frame (awslambdaric.bootstrap.FramedTelemetryLogSink), numbers big-endian:
    type 4 bytes (a55a....) · length 4 bytes · microseconds since 1970 8 bytes · message
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

_HEADER_BYTES = 16
_FRAME_MARK = b"\xa5\x5a"
_MAXIMUM_LINE_BYTES = 256 * 1024  # a line without an end is cut here
_READ_BYTES = 256 * 1024
_READS_AT_ONCE = 32
_SHORT_READ_BYTES = 4096

Emit = Callable[[int, str], None]
"""Takes milliseconds since 1970 and one message without its final line end."""


class LineSplitter:
    """Turns bytes into lines."""

    def __init__(self, emit: Emit, clock: Callable[[], float] = time.time) -> None:
        self._emit = emit
        self._clock = clock
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what was read; complete lines are emitted."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        now_ms = int(self._clock() * 1000)
        for line in lines:
            self._send(now_ms, line)
        if len(self._rest) >= _MAXIMUM_LINE_BYTES:
            self.finish()

    def finish(self) -> None:
        """Emit what stands without a line end."""
        rest, self._rest = self._rest, b""
        if rest:
            self._send(int(self._clock() * 1000), rest)

    def _send(self, now_ms: int, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r").replace("\r", "\n")
        if text:
            self._emit(now_ms, text)


class FrameSplitter:
    """Turns awslambdaric's frames into messages; bytes that are no frame come out as lines."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._buffer = bytearray()
        self._lines = LineSplitter(emit)

    def feed(self, data: bytes) -> None:
        """Take what was read; complete frames are emitted."""
        self._buffer += data
        while len(self._buffer) >= _HEADER_BYTES:
            if not self._buffer.startswith(_FRAME_MARK):
                self._lines.feed(bytes(self._buffer))
                self._lines.finish()
                self._buffer.clear()
                return
            end = _HEADER_BYTES + int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < end:
                return
            microseconds = int.from_bytes(self._buffer[8:16], "big")
            message = self._buffer[_HEADER_BYTES:end].decode("utf-8", "replace")
            del self._buffer[:end]
            self._emit(microseconds // 1000, message.rstrip("\n"))

    def finish(self) -> None:
        """Emit a frame that its writer did not live to complete."""
        if self._buffer:
            self._emit(int(time.time() * 1000), self._buffer[_HEADER_BYTES:].decode("utf-8", "replace"))
            self._buffer.clear()


class Capture:
    """Both pipes of one worker. `output` and `frames` are the ends to hand to the process."""

    def __init__(self, emit: Emit) -> None:
        self._loop = asyncio.get_running_loop()
        self._splitters: dict[int, LineSplitter | FrameSplitter] = {}
        read_output, self.output = os.pipe()
        read_frames, self.frames = os.pipe()
        self._splitters[read_frames] = FrameSplitter(emit)
        self._splitters[read_output] = LineSplitter(emit)
        for descriptor in self._splitters:
            os.set_blocking(descriptor, False)
            self._loop.add_reader(descriptor, self._readable, descriptor)

    def handed_over(self) -> None:
        """The process has its ends: ours are closed, so that the pipes end with it."""
        os.close(self.output)
        os.close(self.frames)

    def drain(self) -> None:
        """Read everything that was written up to now: called when an invocation ends."""
        for descriptor in list(self._splitters):
            self._readable(descriptor)
        for splitter in self._splitters.values():
            if isinstance(splitter, LineSplitter):
                splitter.finish()

    def close(self) -> None:
        """Read the rest and let the pipes go, even if a child of the worker still holds them."""
        self.drain()
        for descriptor, splitter in list(self._splitters.items()):
            splitter.finish()
            self._forget(descriptor)

    def _readable(self, descriptor: int) -> None:
        for _ in range(_READS_AT_ONCE):  # a worker that prints without end must not hold the event loop
            try:
                data = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:  # every holder of the other end is gone
                self._splitters[descriptor].finish()
                self._forget(descriptor)
                return
            self._splitters[descriptor].feed(data)
            if len(data) < _SHORT_READ_BYTES:  # the pipe is empty: saves the call that would say so
                return

    def _forget(self, descriptor: int) -> None:
        if self._splitters.pop(descriptor, None) is not None:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
