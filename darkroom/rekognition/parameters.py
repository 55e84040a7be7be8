"""The parameters of a request, as they identify a recording.

Canonical: without the pictures, defaults filled in, what is a set sorted, numbers as float32. Two requests with
the same canonical parameters get the same answer; a recording made with wider parameters holds the answer to
every narrower request.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from darkroom.rekognition import comparing, labels, moderation, properties
from darkroom.rekognition.model import service_model
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.rekognition.model import Shape

_PICTURES = frozenset(("Image", "SourceImage", "TargetImage"))
_SETS = frozenset(
    (
        "Attributes",
        "Features",
        "LabelInclusionFilters",
        "LabelExclusionFilters",
        "LabelCategoryInclusionFilters",
        "LabelCategoryExclusionFilters",
        "RequiredEquipmentTypes",
    )
)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "CompareFaces": {"SimilarityThreshold": comparing.DEFAULT_THRESHOLD, "QualityFilter": "NONE"},
    "DetectFaces": {"Attributes": ["DEFAULT"]},
    "DetectLabels": {
        "Features": ["GENERAL_LABELS"],
        "MaxLabels": labels.MOST_LABELS,
        "MinConfidence": labels.DEFAULT_MIN_CONFIDENCE,
    },
    "DetectModerationLabels": {"MinConfidence": moderation.DEFAULT_MIN_CONFIDENCE},
}


def canonical(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical parameters of a request."""
    written = {
        name: _plain(name, value)
        for name, value in request.items()
        if name not in _PICTURES and value not in ([], {})
    }
    return {**{name: _plain(name, value) for name, value in _DEFAULTS.get(operation, {}).items()}, **written}


def fingerprint(parameters: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that stand for canonical parameters."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _plain(inner, part) for inner, part in value.items()}
    if isinstance(value, list):
        parts = [_plain(name, part) for part in value]
        return sorted(set(parts)) if name in _SETS else parts
    if isinstance(value, bool | str):
        return value
    return float32(value)


def as_request(operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical parameters as a request: whole numbers where the service's shapes want them."""
    shape = service_model().operations[operation].input
    return {name: _typed(shape.members[name], value) for name, value in parameters.items()}


def _typed(shape: Shape, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _typed(shape.members[name], inner) for name, inner in value.items()}
    if isinstance(value, list) and shape.element is not None:
        return [_typed(shape.element, item) for item in value]
    return int(value) if shape.kind == "integer" else value


def is_wider(
    operation: str, wide: Mapping[str, Any], narrow: Mapping[str, Any], answer: Mapping[str, Any]
) -> bool:
    """Whether the answer that was recorded with `wide` holds everything that `narrow` asks for.

    Both are canonical. `answer` tells whether MaxLabels cut something off.
    """
    if operation == "DetectLabels":
        return _wider_labels(wide, narrow, answer)
    if operation == "DetectFaces":
        have, want = set(wide["Attributes"]), set(narrow["Attributes"])
        return "ALL" in have or ("ALL" not in want and want - {"DEFAULT"} <= have)
    if operation == "DetectModerationLabels":
        rest = {"MinConfidence", "HumanLoopConfig"}
        same = _without(wide, rest) == _without(narrow, rest)
        return bool(same and wide["MinConfidence"] <= narrow["MinConfidence"])
    if operation == "DetectText":
        return "Filters" not in wide
    if operation == "CompareFaces":
        return bool(
            wide["QualityFilter"] == narrow["QualityFilter"]
            and wide["SimilarityThreshold"] <= narrow["SimilarityThreshold"]
        )
    return operation == "DetectProtectiveEquipment"


def _wider_labels(wide: Mapping[str, Any], narrow: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    if not set(narrow["Features"]) <= set(wide["Features"]):
        return False
    wide_settings, narrow_settings = wide.get("Settings", {}), narrow.get("Settings", {})
    if wide_settings.get("GeneralLabels") not in (None, narrow_settings.get("GeneralLabels")):
        return False
    if "IMAGE_PROPERTIES" in narrow["Features"] and _colours(wide_settings) < _colours(narrow_settings):
        return False
    whole = len(answer.get("Labels", ())) < wide["MaxLabels"] or wide["MaxLabels"] >= labels.MOST_LABELS
    return bool(whole and wide["MinConfidence"] <= narrow["MinConfidence"])


def _colours(settings: Mapping[str, Any]) -> float:
    chosen = settings.get("ImageProperties", {}).get("MaxDominantColors", properties.DEFAULT_MOST_COLOURS)
    return float(chosen)


def _without(parameters: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in names}
