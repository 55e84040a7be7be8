"""One worker: a process of awslambdaric with one function version, from its start to its end.

::

    STARTING ──first /next──▶ IDLE ──assign──▶ BUSY ──result──▶ (asks again) IDLE
        │                       │                │
        └── init error, exit ───┴── stop ────────┴── time-out, exit, out of memory ──▶ STOPPED

A worker runs one invocation at a time and keeps its globals between them, as an execution environment of
Lambda does.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import shutil
import signal
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from darkroom.runtime import boot, faults, folders, memory, report
from darkroom.runtime.capture import Capture
from darkroom.runtime.environment import Endpoints, Interpreter, Place, worker_environment
from darkroom.runtime.errors import SystemFaultError
from darkroom.runtime.model import Credentials, FunctionConfig, Invocation, LogEvent, Outcome
from darkroom.runtime.runtime_api import MAXIMUM_RESPONSE_BYTES, RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from darkroom.runtime.logs import LogShipper

_log = logging.getLogger(__name__)
INIT_LIMIT_S = 10.0
"""The init phase may take 10 s; Lambda then starts it again within the invocation's time. Here both are one
limit. "Understanding the Lambda execution environment lifecycle"
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html)."""
LOG_TAIL_BYTES = 4096


class State(enum.Enum):
    """See the drawing above."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    STOPPED = "stopped"


class End(enum.Enum):
    """Why a worker is killed: what runs on it then fails in these words."""

    STOPPED = "stopped"  # by the pool
    TIME = "time"
    INIT_TIME = "init time"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all workers share."""

    interpreter: Interpreter
    endpoints: Endpoints
    workers: Path
    logs: LogShipper
    kernel_binds: bool = sys.platform == "linux"  # elsewhere a guard process watches a pipe


@dataclass(frozen=True, slots=True)
class InitError:
    """Why a worker did not come up: Lambda's error document."""

    error_type: str
    document: bytes
    log_tail: bytes = b""


@dataclass(slots=True)
class _Run:
    invocation: Invocation
    done: Callable[[Outcome], None]
    started: float = field(default_factory=time.perf_counter)
    tail: bytearray = field(default_factory=bytearray)
    timer: asyncio.TimerHandle | None = None


class Worker:
    """`on_idle` is called when it waits for work, `on_stopped` once when it is gone."""

    def __init__(
        self,
        config: FunctionConfig,
        credentials: Credentials,
        surroundings: Surroundings,
        *,
        on_idle: Callable[[Worker], None],
        on_stopped: Callable[[Worker, InitError | None], None],
    ) -> None:
        self.config = config
        self.credentials = credentials
        self.state = State.STARTING
        self.idle_since = self.started_at = time.monotonic()
        self.pid = 0
        self.retired = False
        self.invocations = 0
        self._peak_bytes = 0
        self._around = surroundings
        self._on_idle = on_idle
        self._on_stopped = on_stopped
        self._loop = asyncio.get_running_loop()
        self._api = RuntimeApi(self)
        self._capture: Capture | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._folder: Path | None = None
        self._lifeline = -1
        self._next: asyncio.Future[tuple[Invocation, int]] | None = None
        self._run: _Run | None = None
        self._init_document = b""
        self._init_tail = bytearray()
        self._init_ms: float | None = None
        self._init_timer: asyncio.TimerHandle | None = None
        self._killed_for: End | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.stream = f"{datetime.now(UTC):%Y/%m/%d}/[{config.version}]{uuid.uuid4().hex}"

    # --- life ---

    async def start(self, code: Path) -> None:
        """Start the process; `on_idle` follows when its code is loaded.

        Raises:
            SystemFaultError: the process could not be started.
        """
        try:
            await self._api.start()
            self._folder = folders.new_folder(self._around.workers)
            self._capture = Capture(self._line)
            self._process = await self._spawn(code)
        except OSError as error:
            await self._clean_up()
            raise SystemFaultError(
                f"a worker for {self.config.name} could not be started: {error}"
            ) from error
        self.pid = self._process.pid
        folders.note_group(self._folder, self.pid)
        if self._killed_for is not None:
            folders.kill_group(self.pid)
        limit_s = INIT_LIMIT_S + self.config.timeout_s
        self._init_timer = self._loop.call_later(limit_s, self.kill, End.INIT_TIME)
        self._watcher = asyncio.create_task(self._watch())

    async def _spawn(self, code: Path) -> asyncio.subprocess.Process:
        capture, folder, around = self._capture, self._folder, self._around
        assert capture is not None and folder is not None  # noqa: S101, PT018 - set by start(), for the type checker
        place = Place(self._api.address, self.stream, code, folder / "tmp")
        environment = worker_environment(
            self.config, self.credentials, place, interpreter=around.interpreter, endpoints=around.endpoints
        )
        environment["_LAMBDA_TELEMETRY_LOG_FD"] = str(capture.frames)
        lifeline = -1
        if not around.kernel_binds:
            lifeline, self._lifeline = os.pipe()
        command = (
            str(around.interpreter.python), "-I", "-S", boot.__file__,
            str(os.getpid()), str(memory.private_limit_bytes(self.config.memory_mb)), str(lifeline),
            str(around.interpreter.python), self.config.handler,
        )  # fmt: skip
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                cwd=code,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=capture.output,
                stderr=capture.output,
                pass_fds=(capture.frames, lifeline) if lifeline >= 0 else (capture.frames,),
                start_new_session=True,
            )
        finally:
            capture.handed_over()
            if lifeline >= 0:
                os.close(lifeline)

    def kill(self, reason: End | None = None) -> None:
        """End it now, with its children. What runs on it fails, in Lambda's words for `reason`."""
        if self.state is not State.STOPPED and self._killed_for is None:
            self._killed_for = reason or End.STOPPED
            if self.pid:  # else start() sees it
                folders.kill_group(self.pid)

    @property
    def was_stopped(self) -> bool:
        """Whether the pool ended it, and not the function."""
        return self._killed_for is End.STOPPED

    async def stopped(self) -> None:
        """Return when it is gone and its folder removed."""
        if self._watcher is not None:
            await asyncio.shield(self._watcher)

    async def _watch(self) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - set before this task is made
        code = await process.wait()
        folders.kill_group(self.pid)  # children of the handler live in its group
        if self._capture is not None:
            self._capture.close()
        was_starting = self.state is State.STARTING
        self.state = State.STOPPED
        init_error = self._init_error(code) if was_starting else None
        if self._run is not None:
            self._finish(*self._exit(code, self._run.invocation.request_id))
        await self._clean_up()
        self._on_stopped(self, init_error)

    async def _clean_up(self) -> None:
        if self._init_timer is not None:
            self._init_timer.cancel()
        if self._next is not None:
            self._next.cancel()
        await self._api.stop()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._capture is not None:
            self._capture.close()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # --- work ---

    def assign(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        """Give an idle worker its next invocation; `done` gets the outcome exactly once."""
        assert self.state is State.IDLE and self._next is not None  # noqa: S101, PT018 - the pool's promise
        self.state = State.BUSY
        self.invocations += 1
        run = self._run = _Run(invocation, done)
        run.timer = self._loop.call_later(self.config.timeout_s, self._timed_out)
        self._say(report.start_line(self.config.log_format, invocation.request_id, self.config.version))
        deadline_ms = int((time.time() + self.config.timeout_s) * 1000)
        self._next.set_result((invocation, deadline_ms))
        self._next = None

    def check_memory(self) -> None:
        """Kill it when it uses more than the function may (see memory.py)."""
        if self.state is not State.BUSY:
            return
        now_bytes = memory.resident_bytes(self.pid)
        self._peak_bytes = max(self._peak_bytes, now_bytes)
        if now_bytes > self.config.memory_mb * memory.MEBIBYTE:
            self.kill(End.MEMORY)

    def _timed_out(self) -> None:
        run = self._run
        if run is None:
            return
        self.kill(End.TIME)
        if self._capture is not None:
            self._capture.drain()
        seconds, request_id = self.config.timeout_s, run.invocation.request_id
        self._say(report.timeout_line(request_id, seconds))
        words = f"Task timed out after {seconds:.2f} seconds"
        self._finish(faults.for_request(faults.TIMED_OUT, request_id, words), faults.TIMED_OUT, "timeout")

    def _finish(self, payload: bytes, error_type: str = "", status: str = "") -> None:
        """Close the books of the running invocation and hand its outcome on."""
        run, self._run = self._run, None
        if run is None:
            return
        duration_ms = (time.perf_counter() - run.started) * 1000
        if run.timer is not None:
            run.timer.cancel()
        if self._capture is not None:
            self._capture.drain()
        if status == "timeout":
            duration_ms = self.config.timeout_s * 1000
        limit = self.config.memory_mb
        self._peak_bytes = max(self._peak_bytes, memory.peak_resident_bytes(self.pid))
        peak_mb = -(-self._peak_bytes // memory.MEBIBYTE)
        if peak_mb > limit and not error_type and self.state is State.BUSY:
            self.kill(End.MEMORY)
            payload, error_type = self._exit(-signal.SIGKILL, run.invocation.request_id)
        figures = report.Report(
            run.invocation.request_id, duration_ms, limit, min(peak_mb, limit), self._init_ms,
            status or ("error" if error_type else "success"), error_type,
        )  # fmt: skip
        self._init_ms = None
        self._run = run  # its closing lines belong to its log tail
        for line in report.closing_lines(self.config.log_format, figures):
            self._say(line)
        self._run = None
        tail = bytes(run.tail[-LOG_TAIL_BYTES:])
        run.done(Outcome(payload, error_type, self.config.version, tail, duration_ms))

    def _exit(self, code: int, request_id: str) -> tuple[bytes, str]:
        """Error document and type for a process that ended in the middle of an invocation."""
        kind = faults.OUT_OF_MEMORY if self._killed_for is End.MEMORY else faults.EXIT
        return faults.for_request(kind, request_id, faults.exit_words(code)), kind

    def _init_error(self, code: int) -> InitError | None:
        """Why it did not come up; None when the pool ended it."""
        if self._killed_for is End.STOPPED:
            return None
        document = self._init_document
        if not document and self._killed_for is End.INIT_TIME:
            words = f"the init phase did not end within {INIT_LIMIT_S + self.config.timeout_s:.0f} seconds"
            document = faults.for_request(faults.TIMED_OUT, "", words)
        elif not document:
            document = faults.for_request(faults.EXIT, "", faults.exit_words(code))
        error_type = faults.error_type(document)
        init_ms = (time.monotonic() - self.started_at) * 1000
        self._say(report.init_line(self.config.log_format, init_ms, error_type))
        return InitError(error_type, document, bytes(self._init_tail[-LOG_TAIL_BYTES:]))

    def _say(self, text: str) -> None:
        """A line of the platform's own."""
        self._line(int(time.time() * 1000), text)

    def _line(self, timestamp_ms: int, text: str) -> None:
        self._around.logs.write(self.config.log_group_name, self.stream, LogEvent(timestamp_ms, text))
        tail = self._run.tail if self._run is not None else self._init_tail
        if self._run is not None or self.state is State.STARTING:
            tail += text.encode()
            tail += b"\n"
            if len(tail) > 4 * LOG_TAIL_BYTES:
                del tail[:-LOG_TAIL_BYTES]

    # --- the Runtime API's side ---

    async def next_invocation(self) -> tuple[Invocation, int]:
        """The worker asks for work: it is idle (or has come up)."""
        if self.state is State.STARTING:
            self._init_ms = (time.monotonic() - self.started_at) * 1000
            if self._init_timer is not None:
                self._init_timer.cancel()
        waiting: asyncio.Future[tuple[Invocation, int]] = self._loop.create_future()
        self._next = waiting
        if self.state is not State.STOPPED:
            self.state = State.IDLE
            self.idle_since = time.monotonic()
            self._on_idle(self)
        return await waiting

    def respond(self, request_id: str, payload: bytes) -> bool:
        """The handler returned."""
        if self._run is None or self._run.invocation.request_id != request_id:
            return False
        self._finish(payload)
        return True

    def fail(self, request_id: str, document: bytes) -> bool:
        """The handler raised."""
        if self._run is None or self._run.invocation.request_id != request_id:
            return False
        self._finish(document, faults.error_type(document))
        return True

    def fail_init(self, document: bytes) -> None:
        """The handler's module could not be loaded; the process ends by itself."""
        self._init_document = document

    def respond_too_large(self, request_id: str, size_bytes: int) -> bool:
        """The result is more than Lambda passes on."""
        if self._run is None or self._run.invocation.request_id != request_id:
            return False
        words = (
            f"Response payload size ({size_bytes} bytes) exceeded maximum allowed payload size "
            f"({MAXIMUM_RESPONSE_BYTES} bytes)."
        )
        self._finish(faults.document(faults.TOO_LARGE, words), faults.TOO_LARGE)
        return True
