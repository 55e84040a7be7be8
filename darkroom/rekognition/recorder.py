"""Asking real AWS about many pictures: what `darkroom record` and `darkroom rekognition verify` do.

A *plan* says what would be asked and what that costs, without asking. Running it goes on where it stopped the last
time, because what is recorded is not asked again. Calls start at a polite rate; the SDK retries what it retries; what
still fails is told and does not stop the rest, except for what would fail for every picture: money, credentials,
network.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import FixtureError, ServiceError
from darkroom.rekognition.images import inspect
from darkroom.rekognition.keeping import DETERMINISTIC_ERRORS
from darkroom.rekognition.limits import IMAGE_LIMITS
from darkroom.rekognition.live import Interaction, Live, interaction_of, widest
from darkroom.rekognition.model import SERVED
from darkroom.rekognition.modes import Mode
from darkroom.rekognition.parameters import as_request
from darkroom.rekognition.prices import prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ON_ONE_PICTURE = tuple(name for name in SERVED if name not in {"CompareFaces", "GetCelebrityInfo"})
"""What can be asked about a picture alone."""
WORKERS = 4
_FATAL = frozenset(("BudgetExceededException", "RealAwsCredentialsException"))
_MOST_UNREACHABLE = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A picture. `load` reads it when it is needed: there may be many."""

    name: str
    load: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Question:
    """One call that would be made about a picture."""

    source: Source
    operation: str
    request: Mapping[str, Any]
    micros: int

    def interaction(self) -> Interaction:
        """As `Live` takes it, with the picture read."""
        return interaction_of(
            self.operation, self.request, {"Image": self.source.load()}, name=self.source.name
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be asked.

    Attributes:
        questions: in order.
        known: how many are recorded already.
        skipped: (name, why) of files that are no pictures, or are too large.
        pictures: how many different pictures there are.
    """

    questions: tuple[Question, ...]
    known: int
    skipped: tuple[tuple[str, str], ...]
    pictures: int

    @property
    def micros(self) -> int:
        """What it costs at most."""
        return sum(question.micros for question in self.questions)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be asked about each picture.

    Attributes:
        operations: such as DetectLabels.
        properties: also IMAGE_PROPERTIES, which is paid for separately.
        min_confidence: for the operations that have one; None leaves it to the service.
    """

    operations: Sequence[str]
    properties: bool = False
    min_confidence: float | None = None

    def request(self, operation: str, *, is_widest: bool) -> dict[str, Any]:
        """The parameters."""
        request: dict[str, Any] = {}
        if operation == "DetectLabels" and self.properties:
            request["Features"] = ["GENERAL_LABELS", "IMAGE_PROPERTIES"]
        if self.min_confidence is not None and operation in {"DetectLabels", "DetectModerationLabels"}:
            request["MinConfidence"] = self.min_confidence
        return widest(operation, request) if is_widest else request


def plan_recording(sources: Iterable[Source], wanted: Wanted, live: Live) -> Plan:
    """What recording the pictures would ask. The same picture twice is one.

    Raises:
        FixtureError: a recording cannot be read.
    """

    def questions(source: Source, data: bytes) -> Iterable[tuple[Question, bool]]:
        for operation in wanted.operations:
            request = wanted.request(operation, is_widest=live.choices.widest)
            question = _question(source, operation, request, live)
            known = live.find(interaction_of(operation, request, {"Image": data})) is not None
            yield question, known and live.choices.mode is not Mode.REFRESH

    return _plan(sources, questions, live)


def plan_verifying(sources: Iterable[Source], operations: Sequence[str], live: Live) -> Plan:
    """What comparing the recordings of the pictures would ask: each with the parameters that it was recorded with.

    Raises:
        FixtureError: a recording cannot be read.
    """

    def questions(source: Source, data: bytes) -> Iterable[tuple[Question, bool]]:
        key = interaction_of("DetectLabels", {}, {"Image": data}).key
        for recording in live.store.of_picture(key):
            if recording.operation in operations:
                request = as_request(recording.operation, recording.parameters)
                yield _question(source, recording.operation, request, live), False

    return _plan(sources, questions, live)


def _question(source: Source, operation: str, request: Mapping[str, Any], live: Live) -> Question:
    return Question(
        source, operation, request, prices().micros(operation, request, region=live.choices.region)
    )


def _plan(
    sources: Iterable[Source],
    questions: Callable[[Source, bytes], Iterable[tuple[Question, bool]]],
    live: Live,
) -> Plan:
    asked: list[Question] = []
    skipped: list[tuple[str, str]] = []
    seen: set[str] = set()
    known = 0
    for source in sources:
        data = source.load()
        if not _is_picture(data):
            skipped.append((source.name, "not a whole PNG or JPEG"))
            continue
        key = interaction_of("DetectLabels", {}, {"Image": data}).key
        if key in seen:
            continue
        seen.add(key)
        for question, is_known in questions(source, data):
            known += is_known
            if not is_known and (why := _too_large(question.operation, data, live)):
                skipped.append((source.name, why))
            elif not is_known:
                asked.append(question)
    return Plan(tuple(asked), known, tuple(skipped), len(seen))


def _is_picture(data: bytes) -> bool:
    try:
        inspect(data)
    except ServiceError:
        return False
    return True


def _too_large(operation: str, data: bytes, live: Live) -> str:
    limit = IMAGE_LIMITS[operation].most_bytes_inline
    if len(data) <= limit or live.choices.downscale:
        return ""
    return f"{len(data):,} bytes, and {operation} takes {limit:,} from here; --downscale sends a smaller copy"


class Outcome(Enum):
    """What became of one question."""

    DONE = "done"
    REFUSED = "refused"
    """AWS says that it never answers this; that is recorded too."""
    NOT_KEPT = "not kept"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answered:
    """One question with its outcome, and what was said."""

    question: Question
    outcome: Outcome
    said: str


@dataclass(slots=True)
class Run:
    """Asks the questions of a plan.

    Args:
        live: in a mode that asks AWS.
        rate_per_s: how many calls may begin in a second.
        told: called after each question, in the thread of `ask_all`.
        clock: seconds, monotonic.
        sleep: waits so many seconds.
    """

    live: Live
    rate_per_s: float
    told: Callable[[Answered], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    stopped: str = field(default="", init=False)
    answers: list[Answered] = field(default_factory=list, init=False)
    _unreachable: int = field(default=0, init=False)
    _next_s: float = field(default=0.0, init=False)
    _pace: threading.Lock = field(default_factory=threading.Lock, init=False)

    def ask_all(self, questions: Sequence[Question]) -> None:
        """Ask, until all are answered or something stops it (`stopped` says what).

        Raises:
            KeyboardInterrupt: calls under way have ended, and their answers are kept.
            FixtureError: a recording cannot be read or written.
        """
        waiting = iter(questions)
        running: set[Future[Answered]] = set()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="record") as pool:
            try:
                while True:
                    while not self.stopped and len(running) < WORKERS and (question := next(waiting, None)):
                        running.add(pool.submit(self._ask, question))
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._note(future.result())
            finally:
                for future in wait(running).done:
                    if future.exception() is None:
                        self._note(future.result())

    def _ask(self, question: Question) -> Answered:
        self._wait_for_turn()
        if self.stopped:
            return Answered(question, Outcome.FAILED, self.stopped)
        try:
            reply = self.live.reply(question.interaction())
        except ServiceError as error:
            outcome = Outcome.REFUSED if error.code in DETERMINISTIC_ERRORS else Outcome.FAILED
            self._stop_where_all_would_fail(error)
            return Answered(question, outcome, str(error))
        except OSError as error:
            return Answered(question, Outcome.FAILED, f"cannot be read: {error.strerror or error}")
        except FixtureError as error:
            self.stopped = str(error)
            return Answered(question, Outcome.FAILED, str(error))
        kept = Outcome.NOT_KEPT if "not recorded" in reply.detail else Outcome.DONE
        return Answered(question, kept, reply.verdict or reply.detail)

    def _stop_where_all_would_fail(self, error: ServiceError) -> None:
        if error.code in _FATAL:
            self.stopped = error.message
        elif error.code == "InternalServerError" and "cannot be reached" in error.message:
            with self._pace:
                self._unreachable += 1
            if self._unreachable >= _MOST_UNREACHABLE:
                self.stopped = error.message

    def _note(self, answered: Answered) -> None:
        self.answers.append(answered)
        self.told(answered)

    def _wait_for_turn(self) -> None:
        with self._pace:
            now = self.clock()
            begins = max(now, self._next_s)
            self._next_s = begins + 1 / self.rate_per_s
        if begins > now:
            self.sleep(begins - now)
