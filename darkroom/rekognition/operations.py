"""One filter engine for every operation.

Whatever was found for a picture, by a recording, a person or an invention, is a *widest answer* in the service's
own shape. A request gets the part of it that it asks for, in the order in which it was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.rekognition import moderation, texts
from darkroom.rekognition.celebrities import narrow_celebrities
from darkroom.rekognition.comparing import DEFAULT_THRESHOLD
from darkroom.rekognition.faces import narrow_faces
from darkroom.rekognition.labels import MaxLabelsRule, narrow
from darkroom.rekognition.properties import DEFAULT_MOST_COLOURS
from darkroom.rekognition.protection import narrow_persons
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.rekognition.properties import ImageProperties

_TRIANGLE = [{"X": 0.0, "Y": 0.0}, {"X": 1.0, "Y": 0.0}, {"X": 1.0, "Y": 1.0}]
_PROBES: dict[str, dict[str, Any]] = {
    "DetectLabels": {"MaxLabels": 0, "Settings": {"GeneralLabels": {"LabelExclusionFilters": ["x"]}}},
    "DetectText": {"Filters": {"WordFilter": {}, "RegionsOfInterest": [{"Polygon": _TRIANGLE}]}},
    "DetectProtectiveEquipment": {
        "SummarizationAttributes": {
            "MinConfidence": 50.0,
            "RequiredEquipmentTypes": ["FACE_COVER", "HAND_COVER", "HEAD_COVER"],
        }
    },
    "CompareFaces": {"SimilarityThreshold": 100.0},
}
"""Requests that touch every member which narrowing needs."""

_QUALITY_AND_COLOURS = ("Foreground", "Background")


@dataclass(frozen=True, slots=True)
class Narrower:
    """Applies requests to widest answers.

    Args:
        rule: how MaxLabels chooses.
    """

    rule: MaxLabelsRule = MaxLabelsRule.MEASURED

    def apply(self, operation: str, widest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
        """The response to a request. `widest` is left as it is."""
        if operation == "DetectLabels":
            return self._labels(widest, request)
        if operation == "DetectFaces":
            return narrow_faces(widest, request)
        if operation == "RecognizeCelebrities":
            return narrow_celebrities(widest)
        if operation == "DetectText":
            return texts.narrow_text(widest, request)
        if operation == "DetectModerationLabels":
            return moderation.narrow_moderation(widest, request)
        if operation == "DetectProtectiveEquipment":
            return narrow_persons(widest, request)
        return _narrow_matches(widest, request)

    def _labels(self, widest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
        features = wanted_features(request)
        answer = dict(widest)
        labels = narrow(widest.get("Labels", []), request, self.rule) if "GENERAL_LABELS" in features else []
        properties = answer.pop("ImageProperties", None)
        if "IMAGE_PROPERTIES" not in features:
            labels = [_without_colours(label) for label in labels]
        elif properties is not None:
            answer["ImageProperties"] = _fewer_colours(properties, most_colours(request))
        if "Labels" in answer:
            answer["Labels"] = labels
        return answer


def missing_member(operation: str, answer: Mapping[str, Any]) -> str:
    """The first member that requests would be applied to and that a literal answer lacks; empty if none is.

    The model makes no member of an answer required, but a label without a confidence cannot be filtered.
    """
    try:
        Narrower().apply(operation, answer, {**_PROBES.get(operation, {}), "MinConfidence": 0.0})
    except KeyError as error:
        return str(error.args[0])
    return ""


def wanted_features(request: Mapping[str, Any]) -> frozenset[str]:
    """DetectLabels' Features; GENERAL_LABELS where none are named."""
    return frozenset(request.get("Features") or ("GENERAL_LABELS",))


def most_colours(request: Mapping[str, Any]) -> int:
    """DetectLabels' MaxDominantColors, default 10."""
    settings = request.get("Settings", {}).get("ImageProperties", {})
    return int(settings.get("MaxDominantColors", DEFAULT_MOST_COLOURS))


def add_properties(answer: dict[str, Any], properties: ImageProperties, request: Mapping[str, Any]) -> None:
    """Put computed ImageProperties, and the instances' colours, into a narrowed DetectLabels answer."""
    from darkroom.rekognition.properties import with_instance_colours

    most = most_colours(request)
    answer["Labels"] = with_instance_colours(answer.get("Labels", []), properties, most)
    answer["ImageProperties"] = properties.document(most)


def _without_colours(label: dict[str, Any]) -> dict[str, Any]:
    """A label as it is without IMAGE_PROPERTIES: its instances carry no DominantColors."""
    instances = label.get("Instances")
    if not instances or not any("DominantColors" in instance for instance in instances):
        return label
    plain = [
        {name: value for name, value in instance.items() if name != "DominantColors"}
        for instance in instances
    ]
    return {**label, "Instances": plain}


def _fewer_colours(properties: Mapping[str, Any], most: int) -> dict[str, Any]:
    result = dict(properties)
    if "DominantColors" in result:
        result["DominantColors"] = result["DominantColors"][:most]
    for region in _QUALITY_AND_COLOURS:
        if region in result:
            result[region] = _fewer_colours(result[region], most)
    return result


def _narrow_matches(widest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """CompareFaces from a wider answer: matches below the threshold become unmatched faces."""
    threshold = float32(request.get("SimilarityThreshold", DEFAULT_THRESHOLD))
    matches = widest.get("FaceMatches", [])
    kept = [match for match in matches if match["Similarity"] >= threshold]
    if len(kept) == len(matches):
        return dict(widest)
    dropped = [match["Face"] for match in matches if match["Similarity"] < threshold]
    return {**widest, "FaceMatches": kept, "UnmatchedFaces": [*dropped, *widest.get("UnmatchedFaces", [])]}
