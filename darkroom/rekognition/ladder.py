"""Where an answer comes from: the first of these that knows the picture.

1. an exact recording: the same operation, bytes and parameters
2. a narrower answer derived from a wider recording
3. an authored fixture for the picture's SHA-256
4. a rule (key pattern, dimensions, media type)
5. a synthetic answer; in strict mode an error that names the picture and what comes near
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from darkroom.rekognition import synthetic
from darkroom.rekognition.comparing import Faces
from darkroom.rekognition.errors import ServiceError
from darkroom.rekognition.fixtures import Fixture, FixtureStore
from darkroom.rekognition.pixels import sample
from darkroom.rekognition.recordings import RecordingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from darkroom.rekognition.images import Picture

_REMEMBERED_STORIES = 1024


class Source(Enum):
    """Who made an answer: the value of the response header."""

    RECORDED = "recorded"
    AUTHORED = "authored"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Subject:
    """A measured picture of a request, and where it lay if it came from S3."""

    sha256: str
    picture: Picture
    bucket: str | None = None
    key: str | None = None

    @property
    def name(self) -> str:
        """For people: the S3 address, or that it came as bytes."""
        return f"s3://{self.bucket}/{self.key}" if self.key else "a picture sent as bytes"


@dataclass(frozen=True, slots=True)
class Found:
    """The widest answer that is known, who made it, and which step of the ladder and which file it was."""

    answer: dict[str, Any]
    source: Source
    detail: str
    exact: bool = False
    """The service's own answer to this very request: nothing is applied to it."""


@dataclass(slots=True)
class Ladder:
    """Looks for answers.

    Args:
        fixtures: the folder with `authored/` and `recorded/`.
        strict: refuse what would be invented.
        clock: seconds, monotonic.
    """

    fixtures: Path
    strict: bool
    clock: Callable[[], float]
    authored: FixtureStore = field(init=False)
    recorded: RecordingStore = field(init=False)
    _stories: OrderedDict[str, synthetic.Story] = field(default_factory=OrderedDict, init=False)

    def __post_init__(self) -> None:
        self.authored = FixtureStore(folder=self.fixtures / "authored", clock=self.clock)
        self.recorded = RecordingStore(folder=self.fixtures / "recorded")

    def is_quick(self, subject: Subject) -> bool:
        """Whether `find` answers without decoding pixels: safe to call, never raises."""
        return self.authored.has(subject.sha256) or subject.sha256 in self._stories

    def find(self, operation: str, subject: Subject, request: Mapping[str, Any]) -> Found:
        """The widest answer to an operation on a picture.

        Raises:
            ServiceError: the pixels cannot be decoded, or strict mode has nothing.
            FixtureError: the picture's fixture cannot be used.
        """
        recorded = self.find_recorded(operation, subject.sha256, request)
        if recorded is not None:
            return recorded
        fixture = self.fixture(subject)
        if fixture is not None:
            return Found(fixture.answers[operation], Source.AUTHORED, _step(fixture))
        if self.strict:
            raise self._nothing(operation, subject)
        story = self._story(subject)
        return Found(synthetic.answer(story, operation), Source.SYNTHETIC, f"synthetic {story.scene.name}")

    def find_recorded(self, operation: str, key: str, request: Mapping[str, Any]) -> Found | None:
        """The first two steps. `key` is the picture's hash, or what `recordings` uses in its place.

        Raises:
            ServiceError: that is what was recorded.
            FixtureError: a recording cannot be read.
        """
        recording = self.recorded.find(operation, key, request)
        if recording is None:
            return None
        if recording.error is not None:
            raise recording.error.again()
        step = "exact recording" if recording.exact else "derived from recording"
        return Found(recording.response, Source.RECORDED, f"{step} {recording.path.name}", recording.exact)

    def fixture(self, subject: Subject) -> Fixture | None:
        """Steps three and four: what a person wrote for the picture, or for pictures like it.

        Raises:
            FixtureError: it cannot be used.
        """
        own = self.authored.find(subject.sha256)
        if own is not None:
            return own
        for rule in self.authored.rules():
            if rule.condition and rule.condition.fits(
                subject.picture, bucket=subject.bucket, key=subject.key
            ):
                return rule
        return None

    def faces(self, subject: Subject) -> tuple[Faces, Source]:
        """The faces of a picture for CompareFaces, with who they are.

        Raises:
            ServiceError, FixtureError: as `find`.
        """
        found = self.find("DetectFaces", subject, {"Attributes": ["ALL"]})
        fixture = self.fixture(subject) if found.source is Source.AUTHORED else None
        persons = fixture.persons if fixture else ()
        return Faces(subject.sha256, found.answer["FaceDetails"], persons), found.source

    def celebrities(self) -> Iterator[dict[str, Any]]:
        """Every celebrity that any fixture names."""
        for fixture in self.authored.usable():
            yield from fixture.answers["RecognizeCelebrities"].get("CelebrityFaces", ())

    def _story(self, subject: Subject) -> synthetic.Story:
        story = self._stories.get(subject.sha256)
        if story is None:
            story = synthetic.tell(sample(subject.picture))
            self._stories[subject.sha256] = story
            while len(self._stories) > _REMEMBERED_STORIES:
                self._stories.popitem(last=False)
        return story

    def _nothing(self, operation: str, subject: Subject) -> ServiceError:
        width, height = subject.picture.upright_size
        candidates = list(self._candidates(subject))
        near = f" Near: {'; '.join(candidates)}." if candidates else ""
        return ServiceError(
            "FixtureNotFoundException",
            f"Strict mode: no recording, fixture or rule answers {operation} for {subject.name} "
            f"({width} x {height}, SHA-256 {subject.sha256}).{near} "
            f"Write one with `darkroom rekognition add`, or leave strict mode.",
        )

    def _candidates(self, subject: Subject) -> Iterator[str]:
        """What a person may have thought would answer: at most five."""
        for operation in list(self.recorded.near(subject.sha256))[:2]:
            yield f"the same picture is recorded for {operation} with narrower parameters or only for it"
        fixtures = {item.image_name: item for item in self.authored.usable() if item.sha256}
        name = PurePosixPath(subject.key or "").name
        for similar in difflib.get_close_matches(name, fixtures, n=3, cutoff=0.6):
            yield f"{fixtures[similar].path.name} is for {similar} with SHA-256 {fixtures[similar].sha256}"
        for item in fixtures.values():
            if item.size == subject.picture.upright_size:
                yield f"{item.path.name} is for a picture of the same size"
                break


def _step(fixture: Fixture) -> str:
    return f"{'rule' if fixture.condition else 'fixture'} {fixture.path.name}"
