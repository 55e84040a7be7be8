"""Lambda's rules for asynchronous events.

Sources: "How Lambda handles errors and retries with asynchronous invocation"
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html) and "Configuring error
handling settings" (…/invocation-async-configuring.html):

  function error     two more attempts by default, one and two minutes later; here `retry_base_s` and twice it
  throttle, system   back to the queue; from 1 s to at most 5 minutes between tries; costs no attempt
  age                an event older than MaximumEventAgeInSeconds (6 h by default) is given up
  given up           a record to the on-failure destination and the event to the dead-letter queue
  reserved 0         straight to them, without retries ("Capturing records of … asynchronous invocations")

The request id stays the same over all attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.runtime import destinations
from darkroom.runtime.destinations import Condition
from darkroom.runtime.engine_life import EngineLife
from darkroom.runtime.errors import (
    QueueError,
    ResourceNotFoundError,
    RuntimeFaultError,
    SystemFaultError,
    TooManyRequestsError,
)
from darkroom.runtime.model import (
    Delivery,
    DestinationSink,
    FunctionConfig,
    Invocation,
    InvokeSettings,
    Outcome,
)
from darkroom.runtime.names import qualified_arn
from darkroom.runtime.queue import DurableQueue, EventState, QueuedEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.runtime.functions import Functions
    from darkroom.runtime.pool import Pool

_log = logging.getLogger(__name__)
LONGEST_PAUSE_S = 300.0
_LONGEST_WAIT_BASES = 5
"""What could not be run is tried again after one to five minutes on AWS, so after as many bases here."""
_PAYLOADS_IN_MEMORY = 16 * 1024 * 1024  # bytes; of a longer queue the payloads stay on disk


@dataclass(slots=True)
class _Line:
    """The events of one function that are due now."""

    ready: deque[QueuedEvent] = field(default_factory=deque)
    under_way: int = 0
    reserved: int | None = None


@dataclass(slots=True)
class Counters:
    """Since the start of this process."""

    accepted: int = 0
    succeeded: int = 0
    retries: int = 0
    throttles: int = 0
    given_up: int = 0
    delivered: int = 0


class AsynchronousInvoker:
    """Accepts events, runs them, retries them, and sends their records."""

    def __init__(
        self,
        queue: DurableQueue,
        functions: Functions,
        pool: Pool,
        sink: DestinationSink,
        *,
        retry_base_s: float = 1.0,
        clock: Callable[[], float] = time.time,
        engine: EngineLife | None = None,
    ) -> None:
        self._queue = queue
        self._functions = functions
        self._pool = pool
        self._sink = sink
        self._retry_base_s = retry_base_s
        self._clock = clock
        self._engine = engine or EngineLife()
        self._loop = asyncio.get_running_loop()
        self._lines: dict[str, _Line] = {}
        self._later: list[tuple[float, int, QueuedEvent]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._delivering: dict[int, str] = {}  # event id → why its last delivery failed
        self._waiting: dict[int, QueuedEvent] = {}
        self._running: set[int] = set()
        self._payload_bytes = 0
        self._stopping = False
        self.counters = Counters()

    # --- in ---

    async def recover(self) -> int:
        """Take up what an earlier run left; returns how many events."""
        events = await self._queue.unfinished()
        for event in events:
            if event.state is EventState.DELIVERING:
                self._start(self._deliver(event))
            else:
                self._enqueue(event)
        return len(events)

    async def accept(self, event: QueuedEvent) -> None:
        """Write an event to disk; when this returns, it will be run.

        Raises:
            QueueError: it is not on disk.
        """
        event.accepted_at = event.due_at = self._clock()
        event.id = await self._queue.add(event)
        self.counters.accepted += 1
        size_bytes = len(event.payload or b"")
        if self._payload_bytes + size_bytes > _PAYLOADS_IN_MEMORY:
            event.payload = None
        else:
            self._payload_bytes += size_bytes
        self._enqueue(event)

    def _enqueue(self, event: QueuedEvent) -> None:
        """Into the line of its function now, or later if it is not due."""
        self._waiting[event.id] = event
        if event.due_at > self._clock():
            heapq.heappush(self._later, (event.due_at, event.id, event))
            self._set_timer()
        else:
            self._line_up(event)

    def _line_up(self, event: QueuedEvent) -> None:
        line = self._lines.setdefault(event.function, _Line())
        line.ready.append(event)
        self._feed(line)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._later and not self._stopping:
            pause_s = min(max(self._later[0][0] - self._clock(), 0.001), 60.0)
            self._timer = self._loop.call_later(pause_s, self._due)

    def _due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self._line_up(heapq.heappop(self._later)[2])
        self._set_timer()

    def _feed(self, line: _Line) -> None:
        """Hand events to the pool: as many as it can run and a few more, so that no worker waits for one."""
        limit = self._pool.limits.workers + 2
        if line.reserved:
            limit = min(limit, line.reserved)
        while line.ready and line.under_way < limit and not self._stopping:
            event = line.ready.popleft()
            line.under_way += 1
            self._start(self._attempt(line, event))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a bug in the asynchronous path", exc_info=error)

    # --- one attempt ---

    async def _attempt(self, line: _Line, event: QueuedEvent) -> None:
        self._running.add(event.id)
        try:
            await self._run(line, event)
        except TooManyRequestsError:
            self.counters.throttles += 1
            self._put_back(event)
        except ResourceNotFoundError as error:
            # It may come back: an engine that crashed has lost its tables until the next deploy.
            _log.warning("an event waits for function %s: %s", event.function, error)
            await self._put_back_or_expire(event)
        except (SystemFaultError, QueueError) as error:
            if not self._stopping:
                _log.warning("an event of %s is tried again: %s", event.function, error)
            self._put_back(event)
        except Exception:  # noqa: BLE001 - a bug of ours must not strand an event that was acknowledged
            _log.exception("an event of %s is tried again after a bug of the runtime", event.function)
            self._put_back(event)
        finally:
            self._running.discard(event.id)
            line.under_way -= 1
            self._feed(line)

    async def _run(self, line: _Line, event: QueuedEvent) -> None:
        settings, config = await self._functions.settings_and_config(
            event.function, event.qualifier, guess_alias=event.guess_alias
        )
        if self._clock() - event.accepted_at >= settings.maximum_age_s:
            await self._give_up(event, Condition.EVENT_AGE_EXCEEDED, None, settings, config)
            return
        if config.reserved_concurrency == 0:
            await self._give_up(event, Condition.RETRIES_EXHAUSTED, None, settings, config)
            return
        line.reserved = config.reserved_concurrency
        payload = await self._payload(event)
        invocation = Invocation(
            event.request_id, payload, qualified_arn(event.arn, event.qualifier), event.trace_id
        )
        life = self._engine.now()

        def on_start() -> None:
            nonlocal life
            life = self._engine.now()
            self._queue.started(event)

        outcome = await self._pool.run(
            config,
            invocation,
            urgent=False,
            waited_s=max(self._clock() - event.due_at, 0.0),
            on_start=on_start,
        )
        if not outcome.failed:
            await self._succeed(event, payload, outcome, settings, config)
        elif self._engine.ended_since(life):
            raise SystemFaultError("the engine ended in the middle of the invocation")
        elif event.failures >= settings.maximum_retries:
            event.failures += 1
            await self._give_up(event, Condition.RETRIES_EXHAUSTED, outcome, settings, config)
        else:
            self._retry(event, settings)

    async def _payload(self, event: QueuedEvent) -> bytes:
        if event.payload is not None:
            return event.payload
        return await self._queue.payload(event.id)

    def _retry(self, event: QueuedEvent, settings: InvokeSettings) -> None:
        """The function failed: wait one base, then two, but no longer than the event may live."""
        pause_s = self._retry_base_s * 2**event.failures
        event.failures += 1
        self.counters.retries += 1
        event.due_at = min(self._clock() + pause_s, event.accepted_at + settings.maximum_age_s)
        self._queue.postpone(event)
        self._enqueue(event)

    def _put_back(self, event: QueuedEvent) -> None:
        """Not run, through no fault of the function: try again, later each time, at no cost."""
        if self._stopping:
            return
        age_s = self._clock() - event.accepted_at
        longest_s = min(_LONGEST_WAIT_BASES * self._retry_base_s, LONGEST_PAUSE_S)
        event.due_at = self._clock() + min(max(self._retry_base_s, age_s / 4), longest_s)
        self._enqueue(event)

    async def _put_back_or_expire(self, event: QueuedEvent) -> None:
        if self._clock() - event.accepted_at < InvokeSettings().maximum_age_s:
            self._put_back(event)
            return
        await self._give_up(event, Condition.EVENT_AGE_EXCEEDED, None, InvokeSettings(), None)

    # --- the end of an event ---

    async def _succeed(
        self,
        event: QueuedEvent,
        payload: bytes,
        outcome: Outcome,
        settings: InvokeSettings,
        config: FunctionConfig,
    ) -> None:
        self.counters.succeeded += 1
        if settings.on_success_arn:
            await self._send(event, payload, Condition.SUCCESS, outcome, settings, config)
        else:
            self._forget(event)
            self._queue.finish(event)

    async def _give_up(
        self,
        event: QueuedEvent,
        condition: Condition,
        outcome: Outcome | None,
        settings: InvokeSettings,
        config: FunctionConfig | None,
    ) -> None:
        self.counters.given_up += 1
        await self._send(event, await self._payload(event), condition, outcome, settings, config)

    async def _send(
        self,
        event: QueuedEvent,
        payload: bytes,
        condition: Condition,
        outcome: Outcome | None,
        settings: InvokeSettings,
        config: FunctionConfig | None,
    ) -> None:
        pending = destinations.deliveries(
            event, payload, condition, outcome, settings=settings, config=config, now=self._clock()
        )
        self._forget(event)
        if not pending:
            reason = outcome.payload.decode("utf-8", "replace") if outcome else condition.value
            _log.warning(
                "%s gave up request %s and names no destination: %s", event.function, event.request_id, reason
            )
            self._queue.bury(event, reason)
            return
        await self._queue.deliver(event, destinations.to_text(pending))
        self._start(self._deliver(event))

    def _forget(self, event: QueuedEvent) -> None:
        self._waiting.pop(event.id, None)
        if event.payload is not None:
            self._payload_bytes -= len(event.payload)
            event.payload = None

    async def _deliver(self, event: QueuedEvent) -> None:
        """Send the records until all have arrived: a destination that is away loses nothing."""
        self._delivering[event.id] = ""
        pending = destinations.from_text(event.deliveries)
        pause_s = self._retry_base_s
        while pending:
            try:
                await self._send_one(pending[0])
            except RuntimeFaultError as error:
                if not self._delivering[event.id]:
                    _log.warning(
                        "a record of %s does not reach %s: %s", event.function, pending[0].target_arn, error
                    )
                self._delivering[event.id] = str(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            self.counters.delivered += 1
            pending.pop(0)
            if pending:
                await self._queue.deliver(event, destinations.to_text(pending))
        del self._delivering[event.id]
        self._queue.finish(event)

    async def _send_one(self, delivery: Delivery) -> None:
        """A function as a destination is invoked asynchronously: through this very queue."""
        service, _, resource = delivery.target_arn.removeprefix("arn:").partition(":")[2].partition(":")
        if service != "lambda":
            await self._sink.deliver(delivery)
            return
        name, _, qualifier = resource.split(":function:")[1].partition(":")
        arn = delivery.target_arn.removesuffix(f":{qualifier}") if qualifier else delivery.target_arn
        await self.accept(QueuedEvent(str(uuid.uuid4()), name, qualifier, arn, delivery.body.encode()))

    # --- out ---

    async def stop(self) -> None:
        """Start nothing more. What has not ended stays on disk for the next start. The pool stops before this."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def begin_stop(self) -> None:
        """From now on no event is handed to the pool."""
        self._stopping = True

    def status(self) -> dict[str, Any]:
        """What `darkroom status` shows of the queue; times in seconds."""
        now = self._clock()
        oldest = min((event.accepted_at for event in self._waiting.values()), default=now)
        return {
            "waiting": len(self._waiting) - len(self._running),
            "running": len(self._running),
            "oldestAgeSeconds": round(max(now - oldest, 0.0), 3),
            "retrying": sum(event.failures > 0 for event in self._waiting.values()),
            "retries": self.counters.retries,
            "throttles": self.counters.throttles,
            "accepted": self.counters.accepted,
            "succeeded": self.counters.succeeded,
            "givenUp": self.counters.given_up,
            "delivered": self.counters.delivered,
            "undelivered": len(self._delivering),
            "deliveryErrors": sorted({reason for reason in self._delivering.values() if reason}),
            "diskTrouble": self._queue.trouble,
        }
