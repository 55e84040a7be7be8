"""The service's own model, as botocore ships it, reduced to what is served here.

The file is read directly: importing botocore would cost half a second and tens of megabytes for a JSON
document. Only the shapes of the served operations are kept; of all others the names, so that a refusal can
name them.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

SERVED = (
    "CompareFaces",
    "DetectFaces",
    "DetectLabels",
    "DetectModerationLabels",
    "DetectProtectiveEquipment",
    "DetectText",
    "GetCelebrityInfo",
    "RecognizeCelebrities",
)


@dataclass(slots=True)
class Shape:
    """One type of the model.

    `kind` is the model's word: structure, list, string, integer, float, boolean, blob. Bounds are lengths
    for strings, lists and blobs, values for numbers. Recursive types are possible, so members are filled in
    later.
    """

    name: str
    kind: str
    minimum: float | None = None
    maximum: float | None = None
    pattern: re.Pattern[str] | None = None
    pattern_text: str = ""
    enum: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    members: dict[str, Shape] = field(default_factory=dict)
    element: Shape | None = None


@dataclass(frozen=True, slots=True)
class OperationModel:
    """Input, output and the errors that the model names for one operation."""

    name: str
    input: Shape
    output: Shape
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """The served operations with their shapes, and the names of all operations of the service."""

    operations: dict[str, OperationModel]
    all_names: frozenset[str]


@cache
def service_model() -> ServiceModel:
    """Read the model once per process (about 5 ms)."""
    document = json.loads(_read_model())
    reader = _ShapeReader(document["shapes"])
    operations = {}
    for name in SERVED:
        raw = document["operations"][name]
        operations[name] = OperationModel(
            name=name,
            input=reader.shape(raw["input"]["shape"]),
            output=reader.shape(raw["output"]["shape"]),
            errors=tuple(error["shape"] for error in raw["errors"]),
        )
    return ServiceModel(operations=operations, all_names=frozenset(document["operations"]))


class _ShapeReader:
    """Turns the document's shapes into `Shape`s, each once."""

    def __init__(self, raw_shapes: dict[str, Any]) -> None:
        self._raw = raw_shapes
        self._done: dict[str, Shape] = {}

    def shape(self, name: str) -> Shape:
        if name in self._done:
            return self._done[name]
        raw = self._raw[name]
        shape = Shape(
            name=name,
            kind=raw["type"],
            minimum=raw.get("min"),
            maximum=raw.get("max"),
            pattern=_compile(raw.get("pattern")),
            pattern_text=raw.get("pattern", ""),
            enum=tuple(raw.get("enum", ())),
            required=tuple(raw.get("required", ())),
        )
        self._done[name] = shape
        for member, reference in raw.get("members", {}).items():
            shape.members[member] = self.shape(reference["shape"])
        if "member" in raw:
            shape.element = self.shape(raw["member"]["shape"])
        return shape


def _compile(pattern: str | None) -> re.Pattern[str] | None:
    """The model's patterns are Java's; those in use mean the same in Python (`'-_` is a range in both)."""
    return re.compile(pattern) if pattern else None


def _read_model() -> bytes:
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        msg = "botocore, which holds the service's model, is not installed. Install boto3."
        raise ModuleNotFoundError(msg)
    folder = Path(spec.submodule_search_locations[0]) / "data" / "rekognition"
    found = sorted(folder.glob("*/service-2.json*"))
    if not found:
        msg = f"{folder} has no service-2.json: this botocore has no Rekognition model. Reinstall boto3."
        raise FileNotFoundError(msg)
    data = found[-1].read_bytes()
    return gzip.decompress(data) if found[-1].suffix == ".gz" else data
