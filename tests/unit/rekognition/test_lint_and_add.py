"""`lint` and `add`: what the commands of a person stand on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.rekognition import FixtureError
from darkroom.rekognition.authoring import add_fixture
from darkroom.rekognition.fixtures import read_fixture
from darkroom.rekognition.linting import Severity, lint
from darkroom.rekognition.parameters import canonical, fingerprint

from .helpers import IMAGES, Caller, in_s3, names, photo, write_fixture

if TYPE_CHECKING:
    from pathlib import Path

COFFEE = hashlib.sha256(photo("coffee.png")).hexdigest()
HEAD = f"image: {{name: coffee.png, sha256: {COFFEE}}}\n"


def found(folder: Path, images: Path | None = None) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.sentence) for finding in lint(folder, images)]


def test_errors_make_a_file_unusable_and_remarks_do_not(tmp_path: Path) -> None:
    write_fixture(tmp_path, "a", HEAD + "labels: {Cat: 171}\n")
    write_fixture(tmp_path, "b", HEAD + "labels: {Kat: 71, Automobile: 60, Dog: 50, Puppy: 80}\n")
    assert found(tmp_path) == [
        (Severity.ERROR, "labels.Cat.confidence: is 171; it must be from 0 to 100"),
        (
            Severity.REMARK,
            "labels.Kat: not in the taxonomy (similar: Rat, Hat, Cat): give `parents` and `category`",
        ),
        (Severity.REMARK, "labels.Automobile: the service calls this label 'Car'; it is answered so"),
        (Severity.REMARK, "labels.Dog: is below its descendant 'Puppy'; it is answered with 80"),
        (Severity.REMARK, "DetectLabels: Kat has not exactly one category"),
    ]


def test_literal_answers_are_held_to_the_taxonomys_rules(tmp_path: Path) -> None:
    pets = [{"Name": "Animals and Pets"}]
    parents = [{"Name": "Pet"}, {"Name": "Animal"}]
    labels = [
        {"Name": "Cat", "Confidence": 90.0, "Parents": parents, "Categories": pets},
        {"Name": "Pet", "Confidence": 80.0, "Categories": pets},
    ]
    write_fixture(tmp_path, "a", HEAD + "answers: " + json.dumps({"DetectLabels": {"Labels": labels}}) + "\n")
    assert [sentence for _severity, sentence in found(tmp_path)] == [
        "DetectLabels: Pet is less sure than its descendant Cat",
        "DetectLabels: Cat's ancestor Animal is no label itself",
    ]


def test_two_files_for_one_picture_are_an_error(tmp_path: Path) -> None:
    write_fixture(tmp_path, "a", HEAD)
    write_fixture(tmp_path, "b", HEAD)
    assert found(tmp_path) == [(Severity.ERROR, "describes the same picture as a.yaml, which is used")]


def test_fixtures_are_compared_with_the_pictures_at_hand(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name, data in (("coffee.png", b"other bytes"), ("cup.png", photo("coffee.png")), ("new.jpg", b"x")):
        (images / name).write_bytes(data)
    write_fixture(tmp_path, "coffee", HEAD.replace("}", ", size: 400x600}"))
    told = [sentence for _severity, sentence in found(tmp_path, images)]
    assert any("coffee.png has other bytes" in sentence for sentence in told)
    assert "image.size should be 600x400" in told
    assert "no fixture describes this picture" in told


def test_recordings_are_checked_against_their_place_and_the_model(tmp_path: Path) -> None:
    def record(place: str, parameters: dict[str, Any], response: object) -> None:
        path = tmp_path / "recorded" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"parameters": parameters, "response": response}))

    right = fingerprint(canonical("DetectLabels", {}))
    record(f"DetectLabels/cc/{COFFEE}/{right}.json", canonical("DetectLabels", {}), {"Labels": []})
    (tmp_path / "authored").mkdir()
    assert found(tmp_path) == []
    record(f"DetectLabels/cc/{COFFEE}/0000.json", canonical("DetectLabels", {}), {"Labels": []})
    record(f"DetectDragons/cc/{COFFEE}/{right}.json", {}, {})
    record(f"DetectLabels/aa/{COFFEE}/{right}.json", canonical("DetectLabels", {}), {"Labels": []})
    record(f"DetectText/cc/{COFFEE}/{fingerprint({})}.json", {}, {"TextDetections": 5})
    told = sorted(sentence for _severity, sentence in found(tmp_path))
    assert told == [
        "DetectDragons is not an operation that is served here",
        "DetectText.TextDetections must be a list",
        f"its parameters belong to {right}.json",
        "lies in aa, not in cc",
    ]


async def test_add_writes_a_fixture_that_is_served(own: Caller, tmp_path: Path) -> None:
    path = add_fixture(
        IMAGES / "coffee.png",
        tmp_path,
        labels={"Coffee Cup": 99.2, "Wood": 70},
        faces=[
            "0.34,0.12,0.19,0.24 age=31-39 gender=Male smile=no eyeglasses emotion=sad celebrity=Ada Lovelace"
        ],
        text=['He said: "hi"', "12:30", "- #1 {x}"],
        moderation={"Alcohol Use": 90},
    )
    assert path == tmp_path / "authored" / "coffee.yaml"
    assert read_fixture(path).remarks == ()
    image = in_s3("coffee.png")
    assert names(await own.ok("DetectLabels", Image=image))[:2] == ["Beverage", "Coffee"]
    (face,) = (await own.ok("DetectFaces", Image=image, Attributes=["ALL"]))["FaceDetails"]
    assert face["AgeRange"] == {"Low": 31, "High": 39}
    assert (face["Gender"]["Value"], face["Smile"]["Value"], face["Eyeglasses"]["Value"]) == (
        "Male",
        False,
        True,
    )
    assert face["Emotions"][0]["Type"] == "SAD"
    people = await own.ok("RecognizeCelebrities", Image=image)
    assert people["CelebrityFaces"][0]["Name"] == "Ada Lovelace"
    text = (await own.ok("DetectText", Image=image))["TextDetections"]
    assert [item["DetectedText"] for item in text[:3]] == ['He said: "hi"', "12:30", "- #1 {x}"]
    moderation = await own.ok("DetectModerationLabels", Image=image)
    assert [item["Name"] for item in moderation["ModerationLabels"]] == ["Alcohol Use", "Alcohol"]


def test_add_keeps_a_fixture_that_is_there_unless_it_may_replace_it(tmp_path: Path) -> None:
    path = add_fixture(IMAGES / "coffee.png", tmp_path, labels={"Cat": 70})
    with pytest.raises(FixtureError, match="already describes this picture"):
        add_fixture(IMAGES / "coffee.png", tmp_path, labels={"Dog": 70})
    assert "Cat" in path.read_text()
    assert add_fixture(IMAGES / "coffee.png", tmp_path, labels={"Dog": 70}, replace=True) == path
    assert "Dog" in path.read_text()


def test_add_does_not_take_the_file_of_another_picture_of_the_same_name(tmp_path: Path) -> None:
    first = add_fixture(IMAGES / "coffee.png", tmp_path, labels={"Cat": 70})
    other = tmp_path / "coffee.png"
    other.write_bytes(photo("cat-chelsea.png"))
    second = add_fixture(other, tmp_path, labels={"Cat": 70})
    assert first != second
    assert lint(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"labels": {"Cat": 171}}, "must be from 0 to 100"),
        ({"labels": {}, "faces": ["left"]}, "must start with left,top,width,height"),
        ({"labels": {}, "faces": ["0,0,1,1 mood=glad"]}, "'mood=glad' is not known of a face"),
        ({"labels": {}, "moderation": {"Dragons": 5}}, "is not a moderation label"),
    ],
)
def test_add_writes_nothing_when_something_is_wrong(
    tmp_path: Path, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(FixtureError, match=sentence):
        add_fixture(IMAGES / "coffee.png", tmp_path, **arguments)
    assert list(tmp_path.rglob("*.*")) == []


def test_add_refuses_what_is_no_picture(tmp_path: Path) -> None:
    text = tmp_path / "notes.png"
    text.write_text("no picture")
    with pytest.raises(FixtureError, match="not a whole PNG or JPEG"):
        add_fixture(text, tmp_path, labels={})
    with pytest.raises(FixtureError, match="cannot be read"):
        add_fixture(tmp_path / "missing.png", tmp_path, labels={})
