"""Looking through fixtures and recordings before somebody meets their mistakes in a test.

Errors make a file unusable; remarks are what a real answer would not look like, or what was probably not meant.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from darkroom.rekognition.errors import FixtureError, ServiceError
from darkroom.rekognition.fixtures import Fixture, listing, read_fixture
from darkroom.rekognition.images import inspect
from darkroom.rekognition.parameters import fingerprint
from darkroom.rekognition.places import line_of
from darkroom.rekognition.recordings import read_recording, today

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg"))


class Severity(Enum):
    """Whether a file can be used."""

    ERROR = "error"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one file; `line` (from 1) is None where there is no text to point at."""

    path: Path
    severity: Severity
    sentence: str
    line: int | None = None

    def __str__(self) -> str:
        """As compilers write it, so that editors and CI services make it a link."""
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.severity.value}: {self.sentence}"


def lint(fixtures: Path, images: Path | None = None) -> list[Finding]:
    """Check a fixtures folder (`authored/` and `recorded/`).

    Args:
        fixtures: the folder.
        images: the pictures, if they are at hand: names, hashes and sizes are compared with them.
    """
    found: list[Finding] = []
    usable: list[Fixture] = []
    authored = fixtures / "authored"
    if not authored.is_dir():
        found.append(
            Finding(authored, Severity.REMARK, "there is no such folder, so no picture has a fixture")
        )
    for path, _stamp in listing(authored):
        try:
            fixture = read_fixture(path)
        except FixtureError as error:
            found.extend(_finding(path, Severity.ERROR, problem) for problem in error.problems)
            continue
        usable.append(fixture)
        remarks = (*fixture.remarks, *_label_remarks(fixture))
        found.extend(_finding(path, Severity.REMARK, remark) for remark in remarks)
    found.extend(_duplicates(usable))
    if images is not None:
        found.extend(_against_images(usable, images))
    found.extend(_recordings(fixtures / "recorded"))
    return found


def _finding(path: Path, severity: Severity, sentence: str, *, place: str = "") -> Finding:
    """A finding with the line of the place that its sentence begins with, or of another."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return Finding(path, severity, sentence)
    return Finding(path, severity, sentence, line_of(text, place or sentence))


def _label_remarks(fixture: Fixture) -> Iterator[str]:
    """What literal answers may break and completed ones never do."""
    labels = fixture.answers["DetectLabels"].get("Labels", [])
    confidences = {label["Name"]: label["Confidence"] for label in labels}
    for label in labels:
        for parent in label.get("Parents", ()):
            name = parent["Name"]
            if name not in confidences:
                yield f"DetectLabels: {label['Name']}'s ancestor {name} is no label itself"
            elif confidences[name] < label["Confidence"]:
                yield f"DetectLabels: {name} is less sure than its descendant {label['Name']}"
        if len(label.get("Categories", ())) != 1:
            yield f"DetectLabels: {label['Name']} has not exactly one category"


def _duplicates(fixtures: list[Fixture]) -> Iterator[Finding]:
    first: dict[str, Fixture] = {}
    for fixture in fixtures:
        if not fixture.sha256:
            continue
        other = first.setdefault(fixture.sha256, fixture)
        if other is not fixture:
            sentence = f"describes the same picture as {other.path.name}, which is used"
            yield _finding(fixture.path, Severity.ERROR, sentence, place="image.sha256")


def _against_images(fixtures: list[Fixture], images: Path) -> Iterator[Finding]:
    by_hash = {fixture.sha256: fixture for fixture in fixtures if fixture.sha256}
    by_name = {fixture.image_name: fixture for fixture in fixtures if fixture.sha256}
    for path in sorted(images.rglob("*")):
        if path.suffix.lower() not in _IMAGE_SUFFIXES or not path.is_file():
            continue
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        fixture = by_hash.get(sha256)
        if fixture is None:
            named = by_name.get(path.name)
            if named:
                sentence = f"{path} has other bytes: its SHA-256 is {sha256}"
                yield _finding(named.path, Severity.REMARK, sentence, place="image.sha256")
            else:
                yield Finding(path, Severity.REMARK, "no fixture describes this picture")
            continue
        try:
            size = inspect(data).upright_size
        except ServiceError:
            yield Finding(path, Severity.ERROR, "not a whole PNG or JPEG: the service refuses it")
            continue
        if fixture.size not in (None, size):
            sentence = f"image.size should be {size[0]}x{size[1]}"
            yield _finding(fixture.path, Severity.REMARK, sentence, place="image.size")


def _recordings(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.glob("*/*/*/*.json")):
        sentence = _recording_problem(path)
        if sentence:
            yield Finding(path, Severity.ERROR, sentence)
        elif (recording := read_recording(path)).is_old(today()):
            age = f"{recording.age_days(today())} days old: the service may answer otherwise by now"
            yield Finding(path, Severity.REMARK, age)


def _recording_problem(path: Path) -> str:
    try:
        recording = read_recording(path)
    except FixtureError as error:
        return "; ".join(error.problems)
    if path.parent.parent.name != recording.key[:2]:
        return f"lies in {path.parent.parent.name}, not in {recording.key[:2]}"
    if path.stem != fingerprint(recording.parameters):
        return f"its parameters belong to {fingerprint(recording.parameters)}.json"
    return ""
