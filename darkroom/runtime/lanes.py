"""Waiting calls and workers of one function version, and who makes room for whom.

A *lane* is one version of one function. A lane without any worker gets one: a free place, else the place of
the worker that has been idle longest, else of the next worker to finish in the lane that has most (so a burst
of one function never shuts out another). A lane whose calls have waited for `scale_after_s` gets one more,
but only from a free place or from a worker that nobody needs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.runtime.worker import State

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    from darkroom.runtime.model import FunctionConfig, Invocation, Outcome
    from darkroom.runtime.worker import Worker

_NEEDED_AGAIN_S = 10.0
"""A worker that ran less than this long ago is believed to be needed by its own function."""


_TURN_S = 1.0
"""How long a worker may run before another function may ask for its place: starting one costs some 0.3 s."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many workers, and for how long; times in seconds."""

    workers: int = 4
    scale_after_s: float = 0.1
    surplus_idle_s: float = 120.0
    last_idle_s: float = 300.0
    """Lambda, too, ends an environment that was idle for some minutes; the next image waits for a start then."""
    worker_invocations: int = 1_000
    """After so many a worker makes room for a new one, as Lambda's environments do after some hours: what the code
    gathers in globals, and the text of one log stream, stay within bounds."""
    synchronous_wait_s: float = 60.0
    memory_sample_s: float = 0.1


@dataclass(slots=True, eq=False)
class Call:
    """One invocation and who waits for its outcome."""

    invocation: Invocation
    future: asyncio.Future[Outcome]
    since: float  # time.monotonic()
    on_start: Callable[[], None] | None = None
    expiry: asyncio.TimerHandle | None = None

    def settle(self, outcome: Outcome | Exception) -> None:
        """Tell the caller, if it still listens."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


@dataclass(slots=True, eq=False)
class Lane:
    """One version of one function."""

    config: FunctionConfig
    urgent: deque[Call] = field(default_factory=deque)
    queued: deque[Call] = field(default_factory=deque)
    workers: list[Worker] = field(default_factory=list)
    preparing: int = 0  # workers whose code or credentials are being fetched
    init_error: dict[str, Any] | None = None
    failed_starts: int = 0
    no_start_before: float = 0.0
    used_at: float = 0.0
    grew_at: float = 0.0
    changed_at: float = 0.0

    @property
    def waiting(self) -> int:
        """Calls without a worker."""
        return len(self.urgent) + len(self.queued)

    @property
    def size(self) -> int:
        """Workers that it has or will have, without those that are to end."""
        return self.preparing + sum(not worker.retired for worker in self.workers)

    @property
    def places(self) -> int:
        """Places of the pool that it takes up, dying workers included."""
        return self.preparing + len(self.workers)

    @property
    def starting(self) -> int:
        """Workers on their way."""
        return self.preparing + sum(worker.state is State.STARTING for worker in self.workers)

    def pop(self) -> Call:
        """The call whose turn it is: those with a caller who waits come first."""
        call = (self.urgent or self.queued).popleft()
        if call.expiry is not None:
            call.expiry.cancel()
        return call

    def oldest_wait_s(self, now: float) -> float:
        """How long the call at the front has waited."""
        return max((now - calls[0].since for calls in (self.urgent, self.queued) if calls), default=0.0)

    def idle(self) -> list[Worker]:
        """Workers that could run something now."""
        return [worker for worker in self.workers if worker.state is State.IDLE and not worker.retired]

    def may_start_at(self, now: float, scale_after_s: float) -> float | None:
        """When this lane may start one more worker; None when it needs none."""
        if not self.waiting or self.starting >= self.waiting or (self.failed_starts and self.starting):
            return None
        reserved = self.config.reserved_concurrency
        if reserved is not None and self.size >= reserved:
            return None
        earliest = max(now, self.no_start_before)
        if self.size == 0:
            return earliest
        if self.starting:  # one at a time; the next when this one did not help
            return max(earliest, now + scale_after_s)
        return max(earliest, now + scale_after_s - self.oldest_wait_s(now))

    def delay_start(self, now: float) -> None:
        """A function that does not come up must not use up the machine: 0.05, 0.5, 1, 2, 4, 5 … seconds."""
        pause_s = min(0.5 * 2 ** (self.failed_starts - 1), 5.0) if self.failed_starts else 0.05
        self.no_start_before = now + pause_s
        self.failed_starts += 1

    def came_up(self) -> None:
        """A worker has loaded its code: earlier failures are past."""
        self.init_error, self.failed_starts, self.no_start_before = None, 0, 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """Whether there is a free place now, and otherwise which worker is to end to make one."""

    free: bool
    end: Worker | None = None


def make_room(lanes: Collection[Lane], lane: Lane, *, places: int, now: float) -> Room:
    """Decide where a new worker of `lane` could go. Nothing is changed here."""
    if sum(each.places for each in lanes) < places:
        return Room(free=True)
    retired = [worker for each in lanes for worker in each.workers if worker.retired]
    if any(worker.state is not State.BUSY for worker in retired):
        return Room(free=False)  # one is about to end
    others = [each for each in lanes if each is not lane]
    idle = [worker for each in others for worker in each.idle()]
    if lane.size:  # one more, not the first: only what others do not need
        idle = [
            worker
            for each in others
            for worker in each.idle()
            if each.size > 1 or now - worker.idle_since > _NEEDED_AGAIN_S
        ]
    if idle:
        return Room(free=False, end=min(idle, key=lambda worker: worker.idle_since))
    if lane.size or retired:
        return Room(free=False)
    busy = [
        (each.size, worker)
        for each in others
        for worker in each.workers
        if worker.state is State.BUSY and now - worker.started_at > _TURN_S
    ]
    return Room(free=False, end=max(busy, key=lambda pair: pair[0])[1] if busy else None)
