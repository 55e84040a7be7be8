"""How a real answer differs from a recorded one, for `verify`.

Things with a name (labels, emotions, lines of text) are compared with their namesakes, faces and boxes with the
nearest. A confidence may move by the tolerance, a box by two hundredths of the picture. What appears or vanishes
within the tolerance of the request's threshold, or of the last place of MaxLabels, has only moved a little and is
no difference. Versions of models must be the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_BOX_TOLERANCE = 0.02
_NAMES = ("Name", "DetectedText", "Type", "HexCode", "Id")
_IN_BOXES = frozenset(("Left", "Top", "Width", "Height", "X", "Y"))
_CONFIDENCES = ("Confidence", "Similarity", "MatchConfidence", "PixelPercent")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which the answers differ; None where one of them has nothing there."""

    place: str
    recorded: Any
    real: Any

    def __str__(self) -> str:
        return f"{self.place}: {_shown(self.recorded)} recorded, {_shown(self.real)} real"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rule of one comparison.

    Args:
        tolerance: points that a confidence may move.
        threshold: the lowest confidence that the request wanted.
        most: MaxLabels, where the request has it.
    """

    tolerance: float
    threshold: float = 0.0
    most: int | None = None

    def differences(self, recorded: Mapping[str, Any], real: Mapping[str, Any]) -> list[Difference]:
        """Every difference between two responses of one operation."""
        return list(self._values(recorded, real, ""))

    def _values(self, recorded: Any, real: Any, place: str) -> Iterator[Difference]:
        if isinstance(recorded, Mapping) and isinstance(real, Mapping):
            for name in dict.fromkeys((*recorded, *real)):
                inner = f"{place}.{name}" if place else name
                yield from self._values(recorded.get(name), real.get(name), inner)
        elif isinstance(recorded, list) and isinstance(real, list):
            yield from self._lists(recorded, real, place)
        elif not self._agree(recorded, real, place.rpartition(".")[2]):
            yield Difference(place, recorded, real)

    def _agree(self, recorded: Any, real: Any, name: str) -> bool:
        if recorded == real or (not recorded and not real and 0 not in (recorded, real)):
            return True  # the wire may leave an empty list out
        if not isinstance(recorded, int | float) or not isinstance(real, int | float):
            return False
        tolerance = _BOX_TOLERANCE if name in _IN_BOXES else self.tolerance
        return abs(recorded - real) <= tolerance + 1e-6

    def _lists(self, recorded: list[Any], real: list[Any], place: str) -> Iterator[Difference]:
        lowest = self._lowest(place, recorded, real)
        left = list(real)
        for number, item in enumerate(recorded):
            partner = _partner(item, left)
            inner = f"{place}[{_name(item) or number}]"
            if partner is None:
                if not self._is_marginal(item, lowest):
                    yield Difference(inner, _short(item), None)
                continue
            left.remove(partner)
            yield from self._values(item, partner, inner)
        for item in left:
            if not self._is_marginal(item, lowest):
                yield Difference(f"{place}[{_name(item) or 'new'}]", None, _short(item))

    def _lowest(self, place: str, recorded: list[Any], real: list[Any]) -> float:
        """The confidence at which an item of a list may come or go by a little."""
        if place != "Labels" or self.most is None or max(len(recorded), len(real)) < self.most:
            return self.threshold
        return max(
            self.threshold, min((_confidence(item) or 0.0 for item in (*recorded, *real)), default=0.0)
        )

    def _is_marginal(self, item: Any, lowest: float) -> bool:
        confidence = _confidence(item)
        return confidence is not None and lowest > 0 and confidence <= lowest + self.tolerance


def comparison(request: Mapping[str, Any], *, operation: str, tolerance: float) -> Comparison:
    """The rule for the answers to a request with canonical parameters."""
    threshold = request.get("MinConfidence", request.get("SimilarityThreshold", 0.0))
    most = request.get("MaxLabels") if operation == "DetectLabels" else None
    return Comparison(
        tolerance=tolerance, threshold=float(threshold), most=None if most is None else int(most)
    )


def _confidence(item: Any) -> float | None:
    if not isinstance(item, Mapping):
        return None
    return next((float(item[name]) for name in _CONFIDENCES if name in item), None)


def _name(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item) if isinstance(item, str) else ""
    return next((str(item[name]) for name in _NAMES if name in item), "")


def _partner(item: Any, others: list[Any]) -> Any:
    """The item of the other answer that is the same thing; None where there is none."""
    name = _name(item)
    fitting = [other for other in others if _name(other) == name]
    box = _box(item)
    if box is None or not fitting:
        return fitting[0] if fitting else None
    return min(fitting, key=lambda other: _distance(box, _box(other)))


def _box(item: Any) -> Mapping[str, float] | None:
    if not isinstance(item, Mapping):
        return None
    for holder in (item, item.get("Face"), item.get("Geometry")):
        if isinstance(holder, Mapping) and isinstance(holder.get("BoundingBox"), Mapping):
            found: Mapping[str, float] = holder["BoundingBox"]
            return found
    return None


def _distance(box: Mapping[str, float], other: Mapping[str, float] | None) -> float:
    if other is None:
        return float("inf")
    return sum(abs(box.get(side, 0.0) - other.get(side, 0.0)) for side in ("Left", "Top", "Width", "Height"))


def _short(item: Any) -> Any:
    """An item as one word of a sentence."""
    confidence = _confidence(item)
    name = _name(item)
    if confidence is None:
        return name or item
    return f"{name} {confidence:.1f}".strip()


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
