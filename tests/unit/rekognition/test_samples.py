"""Real and documented answers: each parses, re-serialises equal, and is served equal from a fixture."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.rekognition.model import service_model
from darkroom.rekognition.validation import answer_problems
from darkroom.rekognition.wire import encode, float32

from .helpers import SAMPLES, Caller, MemorySource, in_s3, noise, write_fixture

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(path for path in SAMPLES.glob("*.json") if path.stem != "INDEX")
ANSWERS = [path for path in FILES if not path.stem.startswith("_error")]

WIDEST: dict[str, dict[str, Any]] = {
    "CompareFaces": {"SimilarityThreshold": 0},
    "DetectFaces": {"Attributes": ["ALL"]},
    "DetectLabels": {"MinConfidence": 0, "Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]},
    "DetectModerationLabels": {"MinConfidence": 0},
    "DetectProtectiveEquipment": {
        "SummarizationAttributes": {
            "MinConfidence": 80,
            "RequiredEquipmentTypes": ["FACE_COVER", "HAND_COVER", "HEAD_COVER"],
        }
    },
}


def as_the_service_would_say_it(value: Any) -> Any:
    """A sample without what its writer, not the service, put in: nulls, and the guide's slips of the pen.

    The guide's "CssColor" and "PixelPercentage" are no members of the model, "NULL" is no orientation and
    "Happy" no emotion.
    """
    if isinstance(value, dict):
        kept = {
            name: as_the_service_would_say_it(inner)
            for name, inner in value.items()
            if inner is not None and inner != "NULL" and name not in ("CssColor", "PixelPercentage")
        }
        if kept.get("Type") == "Happy":
            kept["Type"] = "HAPPY"
        return kept
    if isinstance(value, list):
        return [as_the_service_would_say_it(inner) for inner in value]
    return value


_NOT_FLOAT32 = {"DetectLabels-3", "RecognizeCelebrities-2"}
"""One was printed with 14 digits by its wrapper, one has numbers of the guide's own."""


def single_precision(value: Any) -> Any:
    """All fractions as float32."""
    if isinstance(value, dict):
        return {name: single_precision(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [single_precision(inner) for inner in value]
    return float32(value) if isinstance(value, float) else value


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sample_re_serialises_equal(path: Path) -> None:
    response = load(path)["response"]
    assert json.loads(encode(response)) == response


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_captured_length_is_the_length_of_our_encoding(path: Path) -> None:
    sample = load(path)
    headers = {name.lower(): value for name, value in (sample["response_headers"] or {}).items()}
    if sample["wire_length_verified"]:
        assert len(encode(sample["response"])) == int(headers["content-length"])


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_a_sample_has_the_models_shape(path: Path) -> None:
    sample = load(path)
    shape = service_model().operations[sample["operation"]].output
    assert answer_problems(shape, as_the_service_would_say_it(sample["response"])) == []


@pytest.mark.parametrize(
    "path", [path for path in ANSWERS if "GetCelebrity" not in path.stem], ids=lambda path: path.stem
)
async def test_a_fixture_made_from_a_sample_is_served_equal(
    path: Path, own: Caller, source: MemorySource, tmp_path: Path
) -> None:
    sample = load(path)
    operation = sample["operation"]
    response = as_the_service_would_say_it(sample["response"])
    data = noise(90, 90)
    source.objects["sample.png"] = data
    content = f"image: {{sha256: {hashlib.sha256(data).hexdigest()}}}\nanswers: "
    write_fixture(tmp_path, "sample", content + json.dumps({operation: response}) + "\n")
    image = in_s3("sample.png")
    pictures = {"Image": image}
    if operation == "CompareFaces":
        pictures = {"SourceImage": image, "TargetImage": image}
    request = dict(WIDEST.get(operation, {}))
    if operation == "DetectLabels" and "ImageProperties" not in response:
        request.pop("Features")
    served = await own.ok(operation, **pictures, **request)
    if path.stem in _NOT_FLOAT32:
        response, served = single_precision(response), single_precision(served)
    assert served == response


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("GetCelebrityInfo-*.json")), ids=lambda path: path.stem)
async def test_a_celebrity_of_a_sample_can_be_looked_up(path: Path, own: Caller, tmp_path: Path) -> None:
    expected = load(path)["response"]
    celebrity = {**expected, "Id": "nnnnnnn"}
    content = f"image: {{sha256: {'0' * 64}}}\nanswers: "
    write_fixture(
        tmp_path, "celebrity", content + json.dumps({"RecognizeCelebrities": {"CelebrityFaces": [celebrity]}})
    )
    assert await own.ok("GetCelebrityInfo", Id="nnnnnnn") == expected


async def test_error_bodies_are_those_of_the_captures(own: Caller) -> None:
    captured = load(SAMPLES / "_error-2.json")["response"]
    answer = await own("DetectLabels", Image=in_s3("nothing.png"))
    assert json.loads(answer.body) == captured
    older = load(SAMPLES / "_error-1.json")["response"]
    assert {name: value for name, value in older.items() if name != "Logref"} == captured
