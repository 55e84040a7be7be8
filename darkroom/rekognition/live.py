"""One interaction in a mode other than `stub`: from a recording, from real AWS, or both.

The work is done in the caller's thread. Two threads that ask for the same interaction at once ask AWS once.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from darkroom.rekognition import recordings
from darkroom.rekognition.comparison import Difference, comparison
from darkroom.rekognition.credentials import CredentialsError
from darkroom.rekognition.downscaling import fitting_copy
from darkroom.rekognition.errors import ServiceError, internal_error
from darkroom.rekognition.images import inspect
from darkroom.rekognition.keeping import (
    kept_error,
    kept_response,
    model_version,
    reason_not_to_keep,
)
from darkroom.rekognition.limits import IMAGE_LIMITS
from darkroom.rekognition.model import service_model
from darkroom.rekognition.modes import Choices, Mode
from darkroom.rekognition.operations import Narrower
from darkroom.rekognition.parameters import canonical, fingerprint
from darkroom.rekognition.recordings import Recording, RecordingStore
from darkroom.rekognition.spending import BudgetReachedError, LedgerError
from darkroom.rekognition.upstream import UpstreamError
from darkroom.rekognition.validation import answer_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from darkroom.rekognition.upstream import Upstream

logger = logging.getLogger(__name__)

_MOST_REPORTED = 1000
_MOST_CANDIDATES = 5
_WIDEST: Mapping[str, Mapping[str, Any]] = {
    "CompareFaces": {"SimilarityThreshold": 0.0},
    "DetectFaces": {"Attributes": ["ALL"]},
    "DetectLabels": {"MinConfidence": 0.0, "MaxLabels": 1000},
    "DetectModerationLabels": {"MinConfidence": 0.0},
}
_NARROWING: Mapping[str, frozenset[str]] = {
    "DetectProtectiveEquipment": frozenset(("SummarizationAttributes",)),
    "DetectText": frozenset(("Filters",)),
}


@dataclass(frozen=True, slots=True)
class Interaction:
    """What is asked.

    Attributes:
        operation: such as DetectLabels.
        key: what addresses its recordings: the picture's SHA-256, two joined by ``-``, or a celebrity's id.
        request: its parameters, without pictures.
        pictures: the request's pictures by the name of their member, as bytes.
        name: for people.
    """

    operation: str
    key: str
    request: Mapping[str, Any]
    pictures: Mapping[str, bytes]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, where it came from, and, in `verify`, what became of the comparison."""

    response: dict[str, Any]
    source: str
    detail: str
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """One comparison. `recording` is None where nothing is recorded that could be compared."""

    interaction: str
    recording: str | None
    differences: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``same``, ``differs`` or ``not recorded``."""
        if self.recording is None:
            return "not recorded"
        return "differs" if self.differences else "same"

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "interaction": self.interaction,
            "recording": self.recording,
            "verdict": self.verdict,
            "differences": list(self.differences),
        }


def interaction_of(
    operation: str, request: Mapping[str, Any], pictures: Mapping[str, bytes], *, name: str = ""
) -> Interaction:
    """An interaction over pictures; CompareFaces has two, GetCelebrityInfo none."""
    key = "-".join(hashlib.sha256(data).hexdigest() for data in pictures.values()) or str(request["Id"])
    parameters = {member: value for member, value in request.items() if member not in pictures}
    return Interaction(operation, key, parameters, pictures, name or key[:12])


def widest(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The request whose answer holds what every request with the same Features can want."""
    wide = {
        name: value
        for name, value in request.items()
        if name not in _NARROWING.get(operation, ())
        and not (operation == "DetectLabels" and name == "Settings")
    }
    return {**wide, **_WIDEST.get(operation, {})}


@dataclass(slots=True)
class Live:
    """Answers by the mode that was chosen.

    Args:
        choices: the mode and its options.
        store: the recordings.
        upstream: real AWS; None in modes that never ask it.
        today: the day, for recordings and their age.
    """

    choices: Choices
    store: RecordingStore
    upstream: Upstream | None
    today: Callable[[], date] = recordings.today
    report: deque[Verified] = field(default_factory=lambda: deque(maxlen=_MOST_REPORTED), init=False)
    asked: int = field(default=0, init=False)
    recorded: int = field(default=0, init=False)
    _narrower: Narrower = field(default_factory=Narrower, init=False)
    _locks: WeakValueDictionary[str, _Lock] = field(default_factory=WeakValueDictionary, init=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False)
    _warned: set[str] = field(default_factory=set, init=False)

    def reply(self, interaction: Interaction) -> Reply:
        """The answer to one interaction.

        Raises:
            ServiceError: also where nothing is recorded, AWS refuses, or the budget is reached.
            FixtureError: a recording cannot be read or written.
        """
        mode = self.choices.mode
        with self._alone(interaction):
            if mode.replays and (found := self.find(interaction)) is not None:
                return self._replayed(interaction, found)
            if not mode.asks_aws:
                raise self._miss(interaction)
            return self._real(interaction)

    def find(self, interaction: Interaction) -> Recording | None:
        """What is recorded for an interaction.

        Raises:
            FixtureError: it cannot be read.
        """
        return self.store.find(
            interaction.operation,
            interaction.key,
            interaction.request,
            needs_faces=self.choices.with_faces and self.choices.mode is Mode.RECORD_MISSING,
        )

    def _replayed(self, interaction: Interaction, found: Recording) -> Reply:
        self._warn_if_old(found)
        if found.error is not None:
            raise found.error.again()
        step = "exact recording" if found.exact else "derived from recording"
        return Reply(self._narrowed(interaction, found), "recorded", f"{step} {found.path.name}")

    def _narrowed(self, interaction: Interaction, found: Recording) -> dict[str, Any]:
        """The part of a recording that was asked for; an exact one is the service's own answer, untouched."""
        if found.exact or interaction.operation == "GetCelebrityInfo":
            return found.response
        return self._narrower.apply(interaction.operation, found.response, interaction.request)

    def _real(self, interaction: Interaction) -> Reply:
        request = dict(interaction.request)
        wide = self.choices.widest and self.choices.mode.records
        if wide:
            request = widest(interaction.operation, request)
        outcome, downscaled = self._ask(interaction, request)
        kept = self._kept(interaction, request, outcome, downscaled=downscaled)
        verified = self._verify(interaction, outcome) if self.choices.mode is Mode.VERIFY else None
        if isinstance(outcome, ServiceError):
            raise outcome
        response = (
            self._narrower.apply(interaction.operation, outcome, interaction.request) if wide else outcome
        )
        detail = f"real AWS {self.choices.region}, {kept}" if kept else f"real AWS {self.choices.region}"
        return Reply(response, "aws", detail, verified.verdict if verified else "")

    def _ask(
        self, interaction: Interaction, request: Mapping[str, Any]
    ) -> tuple[dict[str, Any] | ServiceError, bool]:
        """AWS's answer or refusal, and whether it saw a smaller copy of a picture."""
        if self.upstream is None:
            raise ServiceError(
                "RealAwsCredentialsException",
                f"The mode {self.choices.mode.value} asks real AWS, and there are no credentials: they are "
                "never kept on disk, and this process started without any. Run `darkroom rekognition mode "
                f"{self.choices.mode.value}` again.",
            )
        pictures = {member: self._inline(interaction, data) for member, data in interaction.pictures.items()}
        downscaled = any(pictures[member] is not data for member, data in interaction.pictures.items())
        whole = {**request, **{member: {"Bytes": data} for member, data in pictures.items()}}
        self.asked += 1
        try:
            return self.upstream.ask(interaction.operation, whole), downscaled
        except ServiceError as refusal:
            return refusal, downscaled
        except (BudgetReachedError, LedgerError) as error:
            raise ServiceError("BudgetExceededException", str(error)) from None
        except CredentialsError as error:
            raise ServiceError("RealAwsCredentialsException", str(error)) from None
        except UpstreamError as error:
            raise internal_error(str(error)) from None

    def _inline(self, interaction: Interaction, data: bytes) -> bytes:
        limit = IMAGE_LIMITS[interaction.operation].most_bytes_inline
        if len(data) <= limit:
            return data
        if self.choices.downscale:
            return fitting_copy(data, limit_bytes=limit)
        raise ServiceError(
            "ImageTooLargeException",
            f"{interaction.name} has {len(data):,} bytes. AWS would read it from S3, but from here it is sent as "
            f"bytes, of which AWS takes {limit:,}. --downscale sends a smaller copy; the answer may differ.",
        )

    def _kept(
        self,
        interaction: Interaction,
        request: Mapping[str, Any],
        outcome: dict[str, Any] | ServiceError,
        *,
        downscaled: bool,
    ) -> str:
        """Record an answer where the mode wants it; says what was done, as part of a sentence."""
        operation, with_faces = interaction.operation, self.choices.with_faces
        if not self.choices.mode.records:
            return ""
        if reason := reason_not_to_keep(operation, request, with_faces=with_faces):
            return f"not recorded: {reason}"
        error = kept_error(outcome) if isinstance(outcome, ServiceError) else None
        if isinstance(outcome, ServiceError) and error is None:
            return "not recorded: it may pass"
        response: dict[str, Any] = {}
        if not isinstance(outcome, ServiceError):
            response = kept_response(operation, outcome, with_faces=with_faces)
            if problems := answer_problems(service_model().operations[operation].output, response, operation):
                return f"not recorded: {problems[0]}"
        path = self.store.path_for(operation, interaction.key, request)
        self.store.write(
            Recording(
                path=path,
                operation=operation,
                key=interaction.key,
                parameters=canonical(operation, request),
                response=response,
                error=outcome if isinstance(outcome, ServiceError) else None,
                recorded=self.today(),
                region=self.choices.region,
                model_version=model_version(operation, response),
                with_faces=with_faces,
                downscaled=downscaled,
                size=_size(interaction),
            )
        )
        self.recorded += 1
        return f"recorded as {path.name}"

    def _verify(self, interaction: Interaction, outcome: dict[str, Any] | ServiceError) -> Verified:
        found = self.find(interaction)
        name = f"{interaction.operation} of {interaction.name}"
        if found is None:
            verified = Verified(name, None, ())
        else:
            differences = tuple(map(str, self._differences(interaction, found, outcome)))
            verified = Verified(name, str(found.path.relative_to(self.store.folder)), differences)
        for line in verified.differences:
            logger.warning("verify: %s: %s", name, line)
        self.report.append(verified)
        return verified

    def _differences(
        self, interaction: Interaction, found: Recording, outcome: dict[str, Any] | ServiceError
    ) -> list[Difference]:
        if isinstance(outcome, ServiceError) or found.error is not None:
            recorded = found.error.code if found.error else "an answer"
            real = outcome.code if isinstance(outcome, ServiceError) else "an answer"
            return [Difference("the outcome", recorded, real)] if recorded != real else []
        real_part = kept_response(interaction.operation, outcome, with_faces=found.with_faces)
        rule = comparison(
            canonical(interaction.operation, interaction.request),
            operation=interaction.operation,
            tolerance=self.choices.tolerance,
        )
        return rule.differences(self._narrowed(interaction, found), real_part)

    def _miss(self, interaction: Interaction) -> ServiceError:
        near = "; ".join(self._candidates(interaction))
        return ServiceError(
            "RecordingNotFoundException",
            f"Replay: nothing is recorded for {interaction.operation} of {interaction.name} "
            f"({interaction.key}) with {_words(canonical(interaction.operation, interaction.request))}. "
            f"Nearest: {near or 'nothing about this picture'}. "
            "Record it with `darkroom record`, or switch with `darkroom rekognition mode`.",
        )

    def _candidates(self, interaction: Interaction) -> list[str]:
        """The recordings that come nearest: at most five."""
        operation, key = interaction.operation, interaction.key
        found = []
        for recording in self.store.of_picture(key):
            how = f"{recording.operation} with {_words(recording.parameters)} ({recording.path.name})"
            found.append((recording.operation != operation, how))
        if operation == "CompareFaces":
            swapped = "-".join(reversed(key.split("-")))
            found += [
                (True, f"CompareFaces with source and target exchanged ({other.path.name})")
                for other in self.store.of_picture(swapped, operation)
            ]
        size = _size(interaction)
        if not found and size is not None:
            found += [(True, how) for how in self._of_size(operation, size)]
        return [how for _, how in sorted(found)][:_MOST_CANDIDATES]

    def _of_size(self, operation: str, size: tuple[int, int]) -> Iterator[str]:
        """Other bytes that may be the same picture, saved again."""
        for path in self.store.paths():
            if path.parent.parent.parent.name != operation:
                continue
            recording = self.store.read(path)
            if recording.size == size:
                yield f"another picture of {size[0]} x {size[1]}, SHA-256 {recording.key}"

    def _warn_if_old(self, recording: Recording) -> None:
        if recording.is_old(self.today()) and recording.path.name not in self._warned:
            self._warned.add(recording.path.name)
            logger.warning(
                "the recording %s is %s days old: the service may answer otherwise by now; "
                "`darkroom rekognition verify` compares, `darkroom record --refresh` renews",
                recording.path,
                recording.age_days(self.today()),
            )

    @contextmanager
    def _alone(self, interaction: Interaction) -> Iterator[None]:
        """One thread at a time for one interaction, so that whoever waits finds what the first recorded."""
        if self.choices.mode is not Mode.RECORD_MISSING:
            yield
            return
        parameters = fingerprint(canonical(interaction.operation, interaction.request))
        name = f"{interaction.operation} {interaction.key} {parameters}"
        with self._guard:
            lock = self._locks.setdefault(name, _Lock())
        with lock.lock:
            yield


class _Lock:
    """A lock that can be referenced weakly."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def _size(interaction: Interaction) -> tuple[int, int] | None:
    if len(interaction.pictures) != 1:
        return None
    try:
        return inspect(next(iter(interaction.pictures.values()))).upright_size
    except ServiceError:
        return None


def _words(parameters: Mapping[str, Any]) -> str:
    """Canonical parameters for people."""
    return (
        ", ".join(f"{name} {_word(value)}" for name, value in sorted(parameters.items())) or "no parameters"
    )


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
