"""DetectText: the section of a fixture, and what the filters leave.

A person writes lines; words are split at spaces and placed along the line::

    text:
      - DARKROOM                                       # placed by itself
      - {line: Open 24 hours, box: [0.1, 0.2, 0.5, 0.1], confidence: 98.4}
      - {line: faint, box: [...], words: [{word: faint, confidence: 61.5}]}

Lines come first with ids from 0, then the words with the following ids and the id of their line as ParentId; a
LINE has no ParentId at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import invalid_parameters
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from darkroom.rekognition.reading import Reader

MODEL_VERSION = "3.0"
MOST_WORDS = 100
DEFAULT_MIN_CONFIDENCE = 80.0
"""Of a WordFilter that names no confidence. Without a WordFilter there is no minimum: the guide's own example
answers a word of 59 %."""

Detection = dict[str, Any]
Box = dict[str, float]


def read_text(reader: Reader, value: object) -> list[Detection]:
    """The section as detections, lines first."""
    lines: list[Detection] = []
    words: list[Detection] = []
    entries = list(reader.entries(value, "text"))
    for number, (where, item) in enumerate(entries):
        details = reader.mapping(
            item if isinstance(item, dict) else {"line": item},
            where,
            known=("line", "box", "confidence", "words"),
        )
        box = _line_box(reader, details, where, number=number, count=len(entries))
        text = reader.text(reader.member(details, "line", where), f"{where}.line")
        own = _read_words(reader, details, text, box, where)
        mean = sum(word["Confidence"] for word in own) / len(own) if own else 99.0
        confidence = reader.percent(details.get("confidence", mean), f"{where}.confidence")
        lines.append(_detection(text, "LINE", box, confidence))
        words.extend({**word, "ParentId": number} for word in own)
    for identity, detection in enumerate([*lines, *words]):
        detection["Id"] = identity
    return [*lines, *words]


def _line_box(reader: Reader, details: Mapping[str, Any], where: str, *, number: int, count: int) -> Box:
    if "box" in details:
        return reader.box(details["box"], f"{where}.box")
    step = 0.8 / max(1, count)
    return {"Width": 0.8, "Height": step * 0.7, "Left": 0.1, "Top": 0.1 + step * number}


def _read_words(
    reader: Reader, details: Mapping[str, Any], text: str, line_box: Box, where: str
) -> list[Detection]:
    default = details.get("confidence", 99.0)
    written = details.get("words", text.split())
    found = []
    start = 0
    for place, item in reader.entries(written, f"{where}.words"):
        word = reader.mapping(
            item if isinstance(item, dict) else {"word": item}, place, known=("word", "box", "confidence")
        )
        content = reader.text(reader.member(word, "word", place), f"{place}.word")
        start = max(start, text.find(content, start))
        box = (
            reader.box(word["box"], f"{place}.box")
            if "box" in word
            else _share(line_box, text, start, content)
        )
        start += len(content)
        found.append(
            _detection(
                content, "WORD", box, reader.percent(word.get("confidence", default), f"{place}.confidence")
            )
        )
    return found


def _share(line: Box, text: str, start: int, word: str) -> Box:
    """The part of a line's box that a word takes, by its letters."""
    step = line["Width"] / max(1, len(text))
    return {**line, "Left": line["Left"] + step * start, "Width": step * len(word)}


def _detection(text: str, kind: str, box: Box, confidence: float) -> Detection:
    left, top = box["Left"], box["Top"]
    right, bottom = left + box["Width"], top + box["Height"]
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return {
        "DetectedText": text,
        "Type": kind,
        "Id": 0,
        "Confidence": float32(confidence),
        "Geometry": {
            "BoundingBox": {side: float32(share) for side, share in box.items()},
            "Polygon": [{"X": float32(x), "Y": float32(y)} for x, y in corners],
        },
    }


def check_request(request: Mapping[str, Any]) -> None:
    """A region is a box or a polygon of at least three points.

    Raises:
        ServiceError: InvalidParameterException.
    """
    for region in request.get("Filters", {}).get("RegionsOfInterest", ()):
        points = region.get("Polygon", ())
        if ("BoundingBox" in region) == bool(points) or (points and len(points) < 3):
            raise invalid_parameters()


def narrow_text(widest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The words that pass the filters, at most 100, and the lines that still have a word (or never had one).

    The guide does not say how much of a word must lie in a region; here its middle must. Where something is left
    out, ids are given anew, so that they remain a sequence.
    """
    detections: list[Detection] = widest["TextDetections"]
    filters = request.get("Filters", {})
    words = [item for item in detections if item["Type"] == "WORD"]
    with_words = {word.get("ParentId") for word in words}
    kept_words = [word for word in words if _passes(word, filters)][:MOST_WORDS]
    parents = {word.get("ParentId") for word in kept_words}
    kept_lines = [
        item
        for item in detections
        if item["Type"] == "LINE"
        and (item["Id"] in parents or (item["Id"] not in with_words and _passes(item, filters)))
    ]
    if len(kept_words) + len(kept_lines) == len(detections):
        return dict(widest)
    kept = {id(item) for item in (*kept_words, *kept_lines)}
    return {**widest, "TextDetections": _renumbered([item for item in detections if id(item) in kept])}


def _renumbered(detections: list[Detection]) -> list[Detection]:
    ranked = sorted(detections, key=lambda item: (item["Type"] != "LINE", item["Id"]))
    numbers = {item["Id"]: number for number, item in enumerate(ranked)}
    result = []
    for item in detections:
        changed = {**item, "Id": numbers[item["Id"]]}
        if "ParentId" in item:
            changed["ParentId"] = numbers[item["ParentId"]]
        result.append(changed)
    return result


def _passes(item: Detection, filters: Mapping[str, Any]) -> bool:
    box = item["Geometry"]["BoundingBox"]
    words = filters.get("WordFilter")
    if words is not None and (
        item["Confidence"] < float32(words.get("MinConfidence", DEFAULT_MIN_CONFIDENCE))
        or box["Height"] < words.get("MinBoundingBoxHeight", 0)
        or box["Width"] < words.get("MinBoundingBoxWidth", 0)
    ):
        return False
    regions = filters.get("RegionsOfInterest")
    if not regions:
        return True
    middle = (box["Left"] + box["Width"] / 2, box["Top"] + box["Height"] / 2)
    return any(_within(middle, region) for region in regions)


def _within(point: tuple[float, float], region: Mapping[str, Any]) -> bool:
    x, y = point
    box = region.get("BoundingBox")
    if box is not None:
        left, top = box.get("Left", 0.0), box.get("Top", 0.0)
        inside_x = left <= x <= left + box.get("Width", 0.0)
        return bool(inside_x and top <= y <= top + box.get("Height", 0.0))
    corners = [(corner.get("X", 0.0), corner.get("Y", 0.0)) for corner in region["Polygon"]]
    return _in_polygon(x, y, corners)


def _in_polygon(x: float, y: float, corners: Sequence[tuple[float, float]]) -> bool:
    """Even-odd rule."""
    inside = False
    previous_x, previous_y = corners[-1]
    for corner_x, corner_y in corners:
        if (corner_y > y) != (previous_y > y):
            crossing = (previous_x - corner_x) * (y - corner_y) / (previous_y - corner_y) + corner_x
            inside ^= x < crossing
        previous_x, previous_y = corner_x, corner_y
    return inside
