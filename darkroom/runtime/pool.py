"""A bounded pool of workers over all functions.

A call goes to an idle worker of its lane; callers that wait for an answer go before queued events. `lanes`
decides who gets a new worker.

When a lane's configuration changes, idle workers end, busy ones finish their invocation and end, and what
waits starts on the new code: on the worker that tried it, if there is one (see trial.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from darkroom.runtime import faults, memory
from darkroom.runtime.errors import SystemFaultError, TooManyRequestsError
from darkroom.runtime.lanes import Call, Lane, PoolLimits, make_room
from darkroom.runtime.model import Outcome
from darkroom.runtime.trial import Trials
from darkroom.runtime.worker import InitError, State, Surroundings, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from darkroom.runtime.code import CodeStore
    from darkroom.runtime.functions import RoleSessions
    from darkroom.runtime.model import Credentials, FunctionConfig, Invocation

_log = logging.getLogger(__name__)
_FORGET_LANE_S = 3600.0
_POLL_S = 0.02
_STALE_S = 5.0
"""Longer than any configuration is believed: an answer from before the last change cannot come later."""


class Pool:
    """Runs invocations. Every method belongs to the event loop's thread."""

    def __init__(
        self,
        surroundings: Surroundings,
        code: CodeStore,
        sessions: RoleSessions,
        *,
        limits: PoolLimits | None = None,
        in_use: Callable[[], set[str]] = set,
    ) -> None:
        self._around = surroundings
        self._code = code
        self._sessions = sessions
        self.limits = limits or PoolLimits()
        self._in_use = in_use
        self._trials = Trials(surroundings, code, sessions, on_idle=self._idle, on_stopped=self._stopped)
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._running: dict[str, int] = {}  # by function: waiting here or running
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._closed = False

    # --- running ---

    def start(self) -> None:
        """Begin to watch memory and idle workers."""
        self._keeper = asyncio.create_task(self._keep())

    def room(self, config: FunctionConfig) -> int | None:
        """How many more calls its reserved concurrency allows; None without one."""
        if config.reserved_concurrency is None:
            return None
        return config.reserved_concurrency - self._running.get(config.name, 0)

    async def run(
        self,
        config: FunctionConfig,
        invocation: Invocation,
        *,
        urgent: bool,
        wait_limit_s: float | None = None,
        waited_s: float = 0.0,
        on_start: Callable[[], None] | None = None,
    ) -> Outcome:
        """Run one invocation; an `urgent` one has a caller who waits.

        `waited_s` is how long it has been in line elsewhere; `on_start` is called when a worker gets it.


        Raises:
            TooManyRequestsError: reserved concurrency is used up, or an urgent call found no worker in time.
            SystemFaultError: no worker could be made, or the runtime stops.
        """
        if self._closed:
            raise SystemFaultError("the runtime is stopping")
        room = self.room(config)
        if room is not None and room <= 0:
            raise TooManyRequestsError("ReservedFunctionConcurrentInvocationLimitExceeded")
        lane = self._lane(config)
        call = Call(invocation, self._loop.create_future(), time.monotonic() - waited_s, on_start)
        if urgent:
            limit_s = self.limits.synchronous_wait_s if wait_limit_s is None else wait_limit_s
            call.expiry = self._loop.call_later(limit_s, self._expire, lane, call)
        (lane.urgent if urgent else lane.queued).append(call)
        self._running[config.name] = self._running.get(config.name, 0) + 1
        self._pump()
        try:
            return await call.future
        finally:
            self._running[config.name] -= 1

    def prepare(self, config: FunctionConfig) -> None:
        """Have a worker ready for a configuration: after a deploy, so that the next event finds the new code."""
        lane = self._lane(config)
        if not lane.size and not self._closed:
            self._grow(lane)
        self._pump()

    async def try_code(self, configs: Sequence[FunctionConfig], package: bytes) -> dict[str, InitError]:
        """Start each function with new code, beside what runs (see `Trials.try_code`)."""
        if self._closed:
            raise SystemFaultError("the runtime is stopping")
        return await self._trials.try_code(configs, package)

    def drop_credentials(self) -> None:
        """Forget every role session: idle workers end now, busy ones after their invocation."""
        self._sessions.forget()
        self._trials.drop()
        for worker in self._workers():
            self._retire(worker)

    def used_functions(self) -> list[tuple[str, str]]:
        """Name and version of the lanes that have workers."""
        return [key for key, lane in self._lanes.items() if lane.workers]

    async def stop(self, *, grace_s: float = 1.0) -> None:
        """Let what runs end within `grace_s`, then end all workers.

        What is cut off fails with SystemFaultError for its caller; the next start runs it again if it was queued.
        """
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        if self._wake is not None:
            self._wake.cancel()
        for lane in self._lanes.values():
            while lane.waiting:
                lane.pop().settle(SystemFaultError("the runtime is stopping"))
        for _ in range(round(grace_s / _POLL_S)):
            if not any(worker.state is State.BUSY for worker in self._workers()):
                break
            await asyncio.sleep(_POLL_S)
        for worker in self._workers():
            worker.kill()
        await self._trials.stop()
        await asyncio.gather(*self._tasks)  # what was being started ends too
        for worker in self._workers():
            await worker.stopped()

    def _workers(self) -> list[Worker]:
        return [worker for lane in self._lanes.values() for worker in lane.workers]

    # --- who gets a worker ---

    def _lane(self, config: FunctionConfig) -> Lane:
        key = (config.name, config.version)
        lane = self._lanes.get(key)
        now = time.monotonic()
        if lane is None:
            lane = self._lanes[key] = Lane(config, changed_at=now)
            self._take_candidate(lane, config)
        elif lane.config is not config and lane.config.fingerprint != config.fingerprint:
            if config.modified < lane.config.modified and now - lane.changed_at < _STALE_S:
                config = lane.config  # this was read before the change that the lane knows already
            else:
                self._change(lane, config, now)
        lane.config = config
        lane.used_at = now
        return lane

    def _change(self, lane: Lane, config: FunctionConfig, now: float) -> None:
        lane.came_up()  # whatever failed was the old code
        lane.changed_at = now
        for worker in lane.workers:
            self._retire(worker)
        self._take_candidate(lane, config)

    def _take_candidate(self, lane: Lane, config: FunctionConfig) -> None:
        worker = self._trials.take(config)
        if worker is not None:
            lane.workers.append(worker)

    def _pump(self) -> None:
        """Give work to idle workers, then make workers where they are missing."""
        for lane in self._lanes.values():
            while lane.waiting and (worker := self._idle_worker(lane)) is not None:
                self._assign(lane, worker)
        if self._closed:
            return
        now = time.monotonic()
        later: list[float] = []
        for lane in sorted(self._lanes.values(), key=lambda each: (each.size > 0, each.grew_at)):
            at = lane.may_start_at(now, self.limits.scale_after_s)
            if at is not None and at <= now:
                self._grow(lane)
                at = lane.may_start_at(now, self.limits.scale_after_s)
            if at is not None:
                later.append(at)
        if later and self._wake is None:
            self._wake = self._loop.call_later(max(min(later) - now, 0.02), self._woken)

    def _woken(self) -> None:
        self._wake = None
        self._pump()

    def _idle_worker(self, lane: Lane) -> Worker | None:
        for worker in reversed(lane.idle()):  # the one made last is replaced last
            if not self._sessions.ends_soon(worker.credentials):
                return worker
            self._retire(worker)
        return None

    def _assign(self, lane: Lane, worker: Worker) -> None:
        call = lane.pop()
        if call.on_start is not None:
            call.on_start()
        worker.assign(call.invocation, lambda outcome: self._done(call, worker, outcome))

    def _done(self, call: Call, worker: Worker, outcome: Outcome) -> None:
        if self._closed and outcome.failed and worker.was_stopped:
            call.settle(SystemFaultError("the runtime stopped in the middle of this invocation"))
        else:
            call.settle(outcome)
        if worker.retired:
            worker.kill()

    def _grow(self, lane: Lane) -> None:
        """One more worker for this lane, now or as soon as there is room."""
        room = make_room(self._lanes.values(), lane, places=self.limits.workers, now=time.monotonic())
        if room.free:
            self._spawn(lane)
        elif room.end is not None:
            self._retire(room.end)

    @staticmethod
    def _retire(worker: Worker) -> None:
        """End it: now, or when its invocation is done."""
        worker.retired = True
        if worker.state is not State.BUSY:
            worker.kill()

    # --- workers' lives ---

    def _spawn(self, lane: Lane) -> None:
        lane.preparing += 1
        lane.grew_at = time.monotonic()
        task = asyncio.create_task(self._bring_up(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring_up(self, lane: Lane) -> None:
        config = lane.config
        try:
            credentials = await self._sessions.get(config.role_arn, config.name)
            folder = await self._code_folder(config)
        except SystemFaultError as error:
            self._not_started(lane, error)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not take the lane's place for ever
            _log.exception("no worker for %s, after a bug of the runtime", config.name)
            self._not_started(lane, SystemFaultError(f"a bug of the runtime: {error!r}"))
        else:
            if not self._closed and lane.config.fingerprint == config.fingerprint:
                await self._start_worker(lane, config, credentials, folder)
                return
        lane.preparing -= 1
        self._pump()

    async def _start_worker(
        self, lane: Lane, config: FunctionConfig, credentials: Credentials, folder: Path
    ) -> None:
        """From here on the worker stands for itself: it may ask for work before `start` returns."""
        worker = Worker(config, credentials, self._around, on_idle=self._idle, on_stopped=self._stopped)
        lane.preparing -= 1
        lane.workers.append(worker)
        try:
            await worker.start(folder)
        except SystemFaultError as error:
            lane.workers.remove(worker)
            self._not_started(lane, error)
            self._pump()

    async def _code_folder(self, config: FunctionConfig) -> Path:
        folder = await self._code.folder_of(config)
        self._forget_code(config.code_sha256)
        return folder

    def _forget_code(self, *also_wanted: str) -> None:
        """Remove the packages that nothing runs, tries or is about to run."""
        running = {worker.config.code_sha256 for lane in self._lanes.values() for worker in lane.workers}
        wanted = {lane.config.code_sha256 for lane in self._lanes.values()}
        tried = self._trials.code_in_use()
        self._code.keep_only(running | wanted | self._in_use() | tried | {*also_wanted})

    def _not_started(self, lane: Lane, error: SystemFaultError) -> None:
        """No process could be made: the oldest caller hears it, the others wait for the next try."""
        _log.warning("no worker for %s: %s", lane.config.name, error)
        lane.delay_start(time.monotonic())
        if lane.waiting:
            lane.pop().settle(error)

    def _idle(self, worker: Worker) -> None:
        lane = self._lane_of(worker)
        if worker.retired or lane is None or lane.config.fingerprint != worker.config.fingerprint:
            self._retire(worker)
            return
        if worker.invocations >= self.limits.worker_invocations:
            self._retire(worker)
        if worker.invocations == 0:
            lane.came_up()
        self._pump()

    def _stopped(self, worker: Worker, init_error: InitError | None) -> None:
        lane = self._lane_of(worker)
        if lane is not None:
            lane.workers.remove(worker)
            if init_error is not None and lane.config.fingerprint == worker.config.fingerprint:
                self._init_failed(lane, init_error)
            if lane.config.code_sha256 != worker.config.code_sha256:
                self._forget_code()
        if not self._closed:
            self._pump()

    def _init_failed(self, lane: Lane, error: InitError) -> None:
        """The invocation that caused the start fails with the init error, as in Lambda."""
        document = faults.described(error.document, error.error_type)
        lane.init_error = {**document, "at": time.time(), "codeSha256": lane.config.code_sha256}
        _log.warning(
            "%s does not start: %s: %s", lane.config.name, error.error_type, document["errorMessage"]
        )
        lane.delay_start(time.monotonic())
        if lane.waiting:
            outcome = Outcome(error.document, error.error_type, lane.config.version, error.log_tail)
            lane.pop().settle(outcome)

    def _lane_of(self, worker: Worker) -> Lane | None:
        lane = self._lanes.get((worker.config.name, worker.config.version))
        return lane if lane is not None and worker in lane.workers else None

    def _expire(self, lane: Lane, call: Call) -> None:
        """A caller has waited for too long; no more work than this may pile up behind functions that call functions."""
        with contextlib.suppress(ValueError):
            lane.urgent.remove(call)
            waited_s = time.monotonic() - call.since
            words = f"Rate Exceeded: no worker was free within {waited_s:.1f} s"
            call.settle(TooManyRequestsError("ConcurrentInvocationLimitExceeded", words))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.limits.memory_sample_s)
            now = time.monotonic()
            for lane in list(self._lanes.values()):
                self._look_after(lane, now)

    def _look_after(self, lane: Lane, now: float) -> None:
        """Sample memory; end workers that have been idle for long, but keep one warm for a used function."""
        for worker in lane.workers:
            worker.check_memory()
        for worker in sorted(lane.idle(), key=lambda each: each.idle_since):
            limit_s = self.limits.last_idle_s if lane.size == 1 else self.limits.surplus_idle_s
            if now - worker.idle_since > limit_s:
                self._retire(worker)
        if not lane.places and not lane.waiting and now - lane.used_at > _FORGET_LANE_S:
            del self._lanes[lane.config.name, lane.config.version]

    def log_streams(self) -> set[str]:
        """Streams that a worker may write to."""
        return {worker.stream for lane in self._lanes.values() for worker in lane.workers}

    def is_busy(self) -> bool:
        """Whether anything runs or waits."""
        return any(
            lane.waiting or any(worker.state is State.BUSY for worker in lane.workers)
            for lane in self._lanes.values()
        )

    def status(self) -> dict[str, Any]:
        """What `darkroom status` shows of each lane."""
        return {
            f"{name}:{version}": {
                "codeSha256": lane.config.code_sha256,
                "workers": [
                    {
                        "pid": worker.pid,
                        "state": worker.state.value,
                        "logStream": worker.stream,
                        "invocations": worker.invocations,
                        "memoryBytes": memory.resident_bytes(worker.pid),
                        "outdated": worker.config.fingerprint != lane.config.fingerprint,
                    }
                    for worker in lane.workers
                ],
                "busy": sum(worker.state is State.BUSY for worker in lane.workers),
                "idle": len(lane.idle()),
                "waiting": lane.waiting,
                "lastInitError": lane.init_error,
            }
            for (name, version), lane in sorted(self._lanes.items())
        }
