"""What a stack costs a month, for a stated number of images: an estimate with every assumption beside it.

Rekognition's prices are those of the table in `darkroom.rekognition`; the others are list prices of us-east-1 as
published in 2025, written down here and not read from a price list. Free tiers and volume discounts are not counted,
nor are data transfer and what the page's visitors cause, which do not follow from the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.rekognition.prices import prices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.stack.template import Resource

_OPERATIONS = {
    "labels": "DetectLabels",
    "faces": "DetectFaces",
    "celebrities": "RecognizeCelebrities",
    "text": "DetectText",
    "moderation": "DetectModerationLabels",
}
_PROPERTIES = "properties"

# https://aws.amazon.com/lambda/pricing/ (x86)
_LAMBDA_USD_PER_REQUEST = 0.20e-6
_LAMBDA_USD_PER_GB_S = 16.6667e-6
# https://aws.amazon.com/s3/pricing/ (Standard)
_S3_USD_PER_PUT = 5e-6
_S3_USD_PER_GET = 0.4e-6
_S3_USD_PER_GB = 0.023
# https://aws.amazon.com/dynamodb/pricing/on-demand/ (storage with point-in-time recovery)
_DYNAMODB_USD_PER_WRITE = 0.625e-6
_DYNAMODB_USD_PER_GB = 0.25 + 0.20
# https://aws.amazon.com/cloudwatch/pricing/
_LOGS_USD_PER_GB = 0.50
_ALARM_USD = 0.10

DURATION_S = 1.0
"""Assumed duration of the tagger on AWS: most of it waits for Rekognition."""
IMAGE_MB = 2.0
"""Assumed size of a photograph."""
DERIVED_MB = 0.2
"""Assumed size of its JSON file and its preview."""
LABELS = 15
"""Assumed number of labels of an image, each a row of the index."""
RECORD_KB = 4
"""Assumed size of a record."""
LOG_KB = 2
"""Assumed log of an image."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """One item of the bill.

    Attributes:
        what: the service.
        basis: what it is computed from.
        usd: dollars a month.
    """

    what: str
    basis: str
    usd: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A month's bill."""

    images: int
    lines: tuple[CostLine, ...]

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)


def estimate(
    *, images: int, parameters: Mapping[str, str], active: Mapping[str, Resource], region: str
) -> Estimate:
    """What so many new images a month cost.

    Args:
        images: in the month; what earlier months stored is not counted.
        parameters: all of the template's.
        active: the resources that will be there.
        region: of the stack; elsewhere than in us-east-1 Rekognition's margin for other regions applies.
    """
    table = prices()
    chosen = [it.strip() for it in parameters.get("Analyzers", "labels").split(",")]
    per_image = sum(table.operations[_OPERATIONS[it]] for it in chosen if it in _OPERATIONS)
    per_image += table.image_properties if _PROPERTIES in chosen else 0.0
    factor = 1.0 if region == table.region else table.other_regions_factor
    margin = "" if factor == 1.0 else f", ×{factor:g} because prices of {region} are not in the table"
    memory_gb = float(parameters.get("TaggerMemory", "256")) / 1024
    writes = 1 + 2 * (RECORD_KB + LABELS)
    alarms = sum(_alarm_metrics(it) for it in active.values() if it.type == "AWS::CloudWatch::Alarm")
    gigabytes = images * (IMAGE_MB + DERIVED_MB) / 1024
    indexed_kb = RECORD_KB + LABELS * 0.2
    writes_usd = writes * _DYNAMODB_USD_PER_WRITE
    lines = (
        CostLine("Rekognition", f"{', '.join(chosen)}{margin}", images * per_image * factor),
        CostLine(
            "Lambda",
            f"{DURATION_S:g} s at {memory_gb * 1024:.0f} MB an image",
            images * (_LAMBDA_USD_PER_REQUEST + DURATION_S * memory_gb * _LAMBDA_USD_PER_GB_S),
        ),
        CostLine("S3 requests", "3 writes and 2 reads an image", images * (3 * _S3_USD_PER_PUT + 2 * _S3_USD_PER_GET)),
        CostLine("S3 storage", f"{IMAGE_MB + DERIVED_MB:g} MB an image", gigabytes * _S3_USD_PER_GB),
        CostLine("DynamoDB writes", f"{writes} units an image ({LABELS} labels)", images * writes_usd),
        CostLine(
            "DynamoDB storage",
            f"{indexed_kb:g} KB an image",
            images * indexed_kb / 1024**2 * _DYNAMODB_USD_PER_GB,
        ),
        CostLine("Logs", f"{LOG_KB} KB an image", images * LOG_KB / 1024**2 * _LOGS_USD_PER_GB),
        CostLine("Alarms", f"{alarms} metrics watched", alarms * _ALARM_USD),
    )  # fmt: skip
    return Estimate(images, lines)


def _alarm_metrics(alarm: Resource) -> int:
    """An alarm costs by the metrics that it watches; a formula over them is none."""
    metrics = alarm.properties.get("Metrics")
    return sum("MetricStat" in it for it in metrics) if isinstance(metrics, list) else 1
