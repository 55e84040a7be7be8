"""DetectProtectiveEquipment: the section of a fixture, and the summary, which follows from the persons.

    protective_equipment:
      - box: [0.1, 0.1, 0.4, 0.8]
        parts:
          HEAD: {confidence: 99.9, cover: {box: [0.2, 0.1, 0.1, 0.1], confidence: 97.4, covers: 99.1}}
          LEFT_HAND: 98.2                            # seen, and bare

A part's equipment is of the type that belongs to it; `covers` is a confidence, or ``{value: false, confidence: 88}``.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from darkroom.rekognition.reading import Reader

MODEL_VERSION = "1.0"
MOST_PERSONS = 15
LOWEST_SUMMARY_CONFIDENCE = 50.0

_TYPE_OF_PART = {
    "FACE": "FACE_COVER",
    "LEFT_HAND": "HAND_COVER",
    "RIGHT_HAND": "HAND_COVER",
    "HEAD": "HEAD_COVER",
}


class _Verdict(Enum):
    WITH = "PersonsWithRequiredEquipment"
    WITHOUT = "PersonsWithoutRequiredEquipment"
    UNKNOWN = "PersonsIndeterminate"


def read_persons(reader: Reader, value: object) -> list[dict[str, Any]]:
    """The section as Persons with ids from 0."""
    persons = []
    for number, (where, item) in enumerate(reader.entries(value, "protective_equipment")):
        details = reader.mapping(item, where, known=("box", "confidence", "parts"))
        parts = reader.mapping(details.get("parts", {}), f"{where}.parts", known=_TYPE_OF_PART)
        persons.append(
            {
                "BodyParts": [
                    _read_part(reader, name, parts[name], f"{where}.parts.{name}")
                    for name in _TYPE_OF_PART
                    if name in parts
                ],
                "BoundingBox": _box(reader, details, where),
                "Confidence": float32(reader.percent(details.get("confidence", 99.5), f"{where}.confidence")),
                "Id": number,
            }
        )
    return persons


def _read_part(reader: Reader, name: str, value: object, where: str) -> dict[str, Any]:
    details = reader.mapping(
        value if isinstance(value, dict) else {"confidence": value}, where, known=("confidence", "cover")
    )
    covers = details.get("cover", [])
    covers = covers if isinstance(covers, list) else [covers]
    return {
        "Name": name,
        "Confidence": float32(reader.percent(details.get("confidence", 99.0), f"{where}.confidence")),
        "EquipmentDetections": [
            _read_cover(reader, name, item, place) for place, item in reader.entries(covers, f"{where}.cover")
        ],
    }


def _read_cover(reader: Reader, part: str, item: object, where: str) -> dict[str, Any]:
    details = reader.mapping(item, where, known=("box", "confidence", "covers"))
    covers = details.get("covers", 99.0)
    covers = covers if isinstance(covers, dict) else {"confidence": covers}
    covers = reader.mapping(covers, f"{where}.covers", known=("value", "confidence"))
    return {
        "BoundingBox": _box(reader, details, where),
        "Confidence": float32(reader.percent(details.get("confidence", 95.0), f"{where}.confidence")),
        "Type": _TYPE_OF_PART[part],
        "CoversBodyPart": {
            "Confidence": float32(reader.percent(covers.get("confidence", 99.0), f"{where}.covers")),
            "Value": reader.flag(covers.get("value", True), f"{where}.covers"),
        },
    }


def _box(reader: Reader, details: Mapping[str, Any], where: str) -> dict[str, float]:
    box = reader.box(reader.member(details, "box", where), f"{where}.box")
    return {side: float32(share) for side, share in box.items()}


def narrow_persons(widest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """At most 15 persons, and the summary where one is asked for."""
    answer = {name: value for name, value in widest.items() if name != "Summary"}
    answer["Persons"] = widest["Persons"][:MOST_PERSONS]
    asked = request.get("SummarizationAttributes")
    if asked is not None:
        minimum = max(LOWEST_SUMMARY_CONFIDENCE, asked["MinConfidence"])
        answer["Summary"] = summary(answer["Persons"], float32(minimum), asked["RequiredEquipmentTypes"])
    return answer


def summary(
    persons: Iterable[Mapping[str, Any]], minimum: float, required: list[str]
) -> dict[str, list[int]]:
    """Every person in one of the three lists.

    Without: a required type is certainly missing from a part that is seen. Indeterminate: that cannot be told,
    because the person, every part for a type, or the coverage is below `minimum`. With: the rest.
    """
    lists: dict[str, list[int]] = {verdict.value: [] for verdict in _Verdict}
    for person in persons:
        if person["Confidence"] < minimum:
            verdict = _Verdict.UNKNOWN
        else:
            verdicts = [_verdict(person, kind, minimum) for kind in required]
            verdict = next(
                (one for one in (_Verdict.WITHOUT, _Verdict.UNKNOWN) if one in verdicts), _Verdict.WITH
            )
        lists[verdict.value].append(person["Id"])
    return lists


def _verdict(person: Mapping[str, Any], kind: str, minimum: float) -> _Verdict:
    """For hands: every hand that is seen must be covered."""
    verdicts = [
        _part_verdict(part, kind, minimum)
        for part in person["BodyParts"]
        if _TYPE_OF_PART[part["Name"]] == kind and part["Confidence"] >= minimum
    ]
    if _Verdict.WITHOUT in verdicts:
        return _Verdict.WITHOUT
    return _Verdict.WITH if verdicts and _Verdict.UNKNOWN not in verdicts else _Verdict.UNKNOWN


def _part_verdict(part: Mapping[str, Any], kind: str, minimum: float) -> _Verdict:
    worn = [
        item["CoversBodyPart"]
        for item in part["EquipmentDetections"]
        if item["Type"] == kind and item["Confidence"] >= minimum
    ]
    if any(covers["Value"] and covers["Confidence"] >= minimum for covers in worn):
        return _Verdict.WITH
    if any(covers["Confidence"] < minimum for covers in worn):
        return _Verdict.UNKNOWN
    return _Verdict.WITHOUT
