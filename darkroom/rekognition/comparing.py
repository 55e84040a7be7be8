"""CompareFaces: the largest face of one picture against the faces of another.

Who is the same person is known where fixtures say so (`person`, or the celebrity's name), where the pictures are
the same, and otherwise not: then faces differ. Similarities are invented but fixed: above 99 for the same person,
below 30 for others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import invalid_parameters
from darkroom.rekognition.faces import MOST_FACES, area, compared, largest
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_THRESHOLD = 80.0
_QUALITY_FLOORS = {"NONE": 0.0, "AUTO": 20.0, "LOW": 20.0, "MEDIUM": 40.0, "HIGH": 60.0}
"""The smallest of brightness and sharpness that a face needs. The service's own bars are not known."""


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of a picture (complete FaceDetails) and, for each, who it is (None where nobody said)."""

    sha256: str
    details: list[dict[str, Any]]
    persons: tuple[str | None, ...]

    def identity(self, number: int) -> str:
        """A name that two faces share only where they are the same person."""
        known = self.persons[number] if number < len(self.persons) else None
        return f"person {known}" if known else f"{self.sha256} face {number}"


def compare(source: Faces, target: Faces, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of CompareFaces.

    Raises:
        ServiceError: InvalidParameterException where one of the pictures has no face (that is good enough).
    """
    floor = _QUALITY_FLOORS[request.get("QualityFilter", "NONE")]
    sources = [number for number, face in enumerate(source.details) if _quality(face) >= floor]
    targets = largest([face for face in target.details if _quality(face) >= floor], MOST_FACES)
    if not sources or not targets:
        raise invalid_parameters()
    chosen = max(sources, key=lambda number: (area(source.details[number]), -number))
    threshold = float32(request.get("SimilarityThreshold", DEFAULT_THRESHOLD))
    numbers = {id(face): number for number, face in enumerate(target.details)}
    identity = source.identity(chosen)
    matches: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for face in targets:
        similarity = _similarity(identity, target.identity(numbers[id(face)]), source.sha256 == target.sha256)
        if similarity >= threshold:
            matches.append({"Similarity": similarity, "Face": compared(face)})
        else:
            others.append(compared(face))
    matches.sort(key=lambda match: -float(match["Similarity"]))
    face = source.details[chosen]
    return {
        "SourceImageFace": {name: face[name] for name in ("BoundingBox", "Confidence") if name in face},
        "FaceMatches": matches,
        "UnmatchedFaces": others,
    }


def _quality(face: Mapping[str, Any]) -> float:
    quality: dict[str, float] = face.get("Quality", {})
    return min(quality.values(), default=100.0)


def _similarity(source: str, target: str, same_picture: bool) -> float:
    if source == target and same_picture:
        return 100.0
    first, second = sorted((source, target))
    digest = hashlib.sha256(f"{first}|{second}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return float32(99.0 + 0.99 * share if source == target else 30 * share * share)
