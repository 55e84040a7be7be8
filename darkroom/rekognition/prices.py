"""What a call of real AWS costs: one table in `data/prices.json`, with its date and its source.

It errs upwards: first tier, no free tier, and a margin for regions whose prices are not in the table, so that a
budget holds. All money is in whole millionths of a dollar ("micros"): sums of fractions would drift.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """The price table.

    Attributes:
        read: the day on which the prices were read, ISO 8601.
        source: where.
        note: what the numbers mean.
        region: whose prices they are.
        other_regions_factor: what a price is multiplied with elsewhere; assumed, not read.
        operations: dollars per call.
        image_properties: dollars per call of DetectLabels for its feature IMAGE_PROPERTIES.
    """

    read: str
    source: str
    note: str
    region: str
    other_regions_factor: float
    operations: Mapping[str, float]
    image_properties: float

    def micros(self, operation: str, request: Mapping[str, Any], *, region: str) -> int:
        """What one call costs at most."""
        dollars = self.operations[operation]
        if operation == "DetectLabels":
            features = request.get("Features") or ("GENERAL_LABELS",)
            dollars = dollars if "GENERAL_LABELS" in features else 0.0
            dollars += self.image_properties if "IMAGE_PROPERTIES" in features else 0.0
        factor = 1.0 if region == self.region else self.other_regions_factor
        return round(dollars * factor * _MICROS)


@cache
def prices() -> Prices:
    """The table, read once per process."""
    text = (resources.files("darkroom.rekognition") / "data" / "prices.json").read_text("utf-8")
    return Prices(**json.loads(text))


def dollars(micros: int) -> str:
    """An amount for people: ``$0.0125``; two to six decimals."""
    text = f"{micros / _MICROS:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:<02}"
