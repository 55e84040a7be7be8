"""DetectModerationLabels: the section of a fixture, and what MinConfidence leaves.

``moderation: {Smoking: 92.1}`` is enough: the labels above it come from the taxonomy, with at least its
confidence. In the guide's answers the deepest label of a chain comes first where confidences are equal, and a
chain is always whole. ``content_types: {Illustrated: 98.3}`` says that it is a drawing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import ServiceError
from darkroom.rekognition.taxonomy import moderation_taxonomy
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.rekognition.reading import Reader

MODEL_VERSION = "7.0"
DEFAULT_MIN_CONFIDENCE = 50.0
CONTENT_TYPES = ("Animated", "Illustrated")


def read_moderation(reader: Reader, value: object) -> list[dict[str, Any]]:
    """The section as whole chains, sorted."""
    known = moderation_taxonomy()
    confidences: dict[str, float] = {}
    for name, percent in reader.mapping(value, "moderation").items():
        if name not in known:
            reader.problem(
                "moderation", f"{name!r} is not a moderation label of v7.0; those are {', '.join(known)}"
            )
            continue
        confidence = reader.percent(percent, f"moderation.{name}")
        for link in known[name].chain:
            confidences[link] = max(confidence, confidences.get(link, 0.0))
    ranked = sorted(confidences, key=lambda name: (-confidences[name], -known[name].level, name))
    return [
        {
            "Confidence": float32(confidences[name]),
            "Name": name,
            "ParentName": known[name].chain[1] if known[name].level > 1 else "",
            "TaxonomyLevel": known[name].level,
        }
        for name in ranked
    ]


def read_content_types(reader: Reader, value: object) -> list[dict[str, Any]]:
    """The section as the wire's list."""
    return [
        {
            "Confidence": float32(reader.percent(percent, f"content_types.{name}")),
            "Name": reader.choice(name, "content_types", CONTENT_TYPES),
        }
        for name, percent in reader.mapping(value, "content_types").items()
    ]


def check_request(request: Mapping[str, Any]) -> None:
    """Custom moderation models do not exist here.

    Raises:
        ServiceError: ResourceNotFoundException for a ProjectVersion.
    """
    if "ProjectVersion" in request:
        raise ServiceError(
            "ResourceNotFoundException",
            f"The project version {request['ProjectVersion']} does not exist: the local Rekognition has no adapters",
        )


def narrow_moderation(widest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The labels of at least MinConfidence (default 50).

    A human loop never starts: the answer is that of a flow whose conditions are not met.
    """
    minimum = float32(request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE))
    kept = [label for label in widest["ModerationLabels"] if label["Confidence"] >= minimum]
    return {**widest, "ModerationLabels": kept}
