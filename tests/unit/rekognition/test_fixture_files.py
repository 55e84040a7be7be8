"""Fixture files: what people write, what is completed, what is told when it is wrong, what is noticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from darkroom.rekognition import FixtureError
from darkroom.rekognition.fixtures import FixtureStore, read_fixture
from darkroom.rekognition.linting import lint

from .helpers import FIXTURES, IMAGES, Caller, in_s3, names, photo, write_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COFFEE = hashlib.sha256(photo("coffee.png")).hexdigest()
HEAD = f"image: {{name: coffee.png, sha256: {COFFEE}}}\n"


def problems(tmp_path: Path, content: str) -> str:
    with pytest.raises(FixtureError) as caught:
        read_fixture(write_fixture(tmp_path, "wrong", content))
    assert str(caught.value.path) in str(caught.value)
    return "\n".join(caught.value.problems)


async def test_one_line_is_enough_and_the_taxonomy_says_the_rest(own: Caller, tmp_path: Path) -> None:
    write_fixture(tmp_path, "coffee", HEAD + "labels: {Cat: 71.2}\n")
    answer = await own("DetectLabels", Image=in_s3("coffee.png"), MinConfidence=50)
    assert answer.headers["x-darkroom-source"] == "authored"
    assert answer.headers["x-darkroom-detail"] == "fixture coffee.yaml"
    labels = (await own.ok("DetectLabels", Image=in_s3("coffee.png")))["Labels"]
    assert [label["Name"] for label in labels] == ["Animal", "Cat", "Mammal", "Pet"]
    assert {label["Confidence"] for label in labels} == {71.19999694824219}
    assert labels[1]["Parents"] == [{"Name": "Animal"}, {"Name": "Mammal"}, {"Name": "Pet"}]
    assert labels[1]["Categories"] == [{"Name": "Animals and Pets"}]


async def test_everything_about_a_label_can_be_written(own: Caller, tmp_path: Path) -> None:
    write_fixture(
        tmp_path,
        "coffee",
        HEAD
        + "labels:\n"
        + "  Flux Capacitor:\n"
        + "    confidence: 88\n"
        + "    parents: [Machine]\n"
        + "    aliases: [Time Circuit]\n"
        + "    category: Tools and Machinery\n"
        + "    boxes: [[0, 0, 0.5, 0.5], {box: [0.5, 0.5, 0.5, 0.5], confidence: 93}]\n",
    )
    labels = (await own.ok("DetectLabels", Image=in_s3("coffee.png")))["Labels"]
    assert [label["Name"] for label in labels] == ["Flux Capacitor", "Machine"]
    assert [instance["Confidence"] for instance in labels[0]["Instances"]] == [93.0, 88.0]
    assert labels[0]["Aliases"] == [{"Name": "Time Circuit"}]


async def test_an_alias_is_answered_under_the_services_name(own: Caller, tmp_path: Path) -> None:
    write_fixture(tmp_path, "coffee", HEAD + "labels: {automobile: 90}\n")
    assert names(await own.ok("DetectLabels", Image=in_s3("coffee.png"))) == [
        "Car",
        "Transportation",
        "Vehicle",
    ]


async def test_faces_and_text_imply_labels_where_none_are_written(own: Caller, tmp_path: Path) -> None:
    write_fixture(tmp_path, "coffee", HEAD + "faces: [{box: [0, 0, 1, 1]}]\ntext: [Hello]\n")
    answer = await own.ok("DetectLabels", Image=in_s3("coffee.png"))
    assert names(answer) == ["Face", "Head", "Person", "Text"]


@pytest.mark.parametrize("word", ["no", "on", "yes", "off", "y", "12:30", "2024-01-02", "1e3"])
async def test_yaml_keeps_its_surprises_to_itself(own: Caller, tmp_path: Path, word: str) -> None:
    write_fixture(tmp_path, "coffee", HEAD + f"text: [{word}]\n")
    found = (await own.ok("DetectText", Image=in_s3("coffee.png")))["TextDetections"]
    assert found[0]["DetectedText"] == word


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("labels: {Cat: 71.2}\n", "image.sha256: must be the 64 hexadecimal digits"),
        ("image: {sha256: 12}\n", "image.sha256: must be the 64 hexadecimal digits"),
        (HEAD + "labels: {Cat: 171}\n", "labels.Cat.confidence: is 171; it must be from 0 to 100"),
        (HEAD + "labels: {Cat: high}\n", "labels.Cat.confidence: must be a number from 0 to 100, not 'high'"),
        (HEAD + "labels: {Cat: 5, Cat: 6}\n", "the key 'Cat' stands twice"),
        (HEAD + "labels: {Car: 5, Automobile: 6}\n", "'Car' is already there under another name"),
        (HEAD + "labels: [Cat]\n", "labels: must be a mapping"),
        (HEAD + "labels: {Cat: {boxes: []}}\n", "labels.Cat: 'confidence' is missing"),
        (
            HEAD + "labels: {Cat: {confidence: 5, box: []}}\n",
            "labels.Cat: 'box' is not known here; known are",
        ),
        (HEAD + "labels: {Cat: {confidence: 5, boxes: [[1, 2]]}}\n", "must be [left, top, width, height]"),
        (HEAD + "lables: {Cat: 5}\n", "the file: 'lables' is not known here; known are image, when, labels"),
        (HEAD + "faces: [{}]\n", "faces[0]: 'box' is missing"),
        (HEAD + "faces: [{box: [0, 0, 1, 1], gender: Dragon}]\n", "must be one of Male, Female"),
        (HEAD + "faces: [{box: [0, 0, 1, 1], age: old}]\n", "faces[0].age: must be like 31-39"),
        (HEAD + "faces: [{box: [0, 0, 1, 1], smile: yes please}]\n", "faces[0].smile: must be true or false"),
        (HEAD + "faces: [{box: [0, 0, 1, 1], emotions: {GLAD: 5}}]\n", "must be one of HAPPY, SAD"),
        (
            HEAD + "faces: [{box: [0, 0, 1, 1], celebrity: {name: X, id: 'a b'}}]\n",
            "must be letters and digits",
        ),
        (HEAD + "moderation: {Dragons: 5}\n", "'Dragons' is not a moderation label of v7.0"),
        (HEAD + "content_types: {Painted: 5}\n", "must be one of Animated, Illustrated"),
        (
            HEAD + "protective_equipment: [{box: [0, 0, 1, 1], parts: {KNEE: 5}}]\n",
            "'KNEE' is not known here",
        ),
        (HEAD + "answers: {DetectLabels: {Labels: [{Nam: Cat}]}}\n", "Labels[0].Nam is not a member"),
        (HEAD + "answers: {DetectLabels: {Labels: [{Name: Cat}]}}\n", "something lacks its 'Confidence'"),
        (HEAD + "answers: {DetectText: {}}\n", "something lacks its 'TextDetections'"),
        (
            HEAD + "answers: {DetectText: {TextDetections: [{Type: WORD, Id: 0}]}}\n",
            "something lacks its 'Geometry'",
        ),
        (HEAD + "when: {key: x}\n", "`image` and `when` exclude each other"),
        ("when: {}\n", "when: needs at least one of bucket, key"),
        ("when: {width: wide}\n", "when.width: must be like 640"),
        ("when: {media: image/gif}\n", "must be one of image/jpeg, image/png"),
        ("labels: {Cat: 5\n", "expected"),
        ("- a list\n", "the file must hold a mapping"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(
    tmp_path: Path, content: str, sentence: str
) -> None:
    assert sentence in problems(tmp_path, content)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    told = problems(tmp_path, HEAD + "labels: {Cat: 171, Dog: -1}\nmoderation: {Dragons: 5}\n")
    assert len(told.splitlines()) == 3


async def test_a_broken_fixture_is_an_error_that_names_the_file_not_an_invented_answer(
    own: Caller, tmp_path: Path
) -> None:
    write_fixture(tmp_path, "coffee", HEAD + "labels: {Cat: 171}\n")
    status, code, message = await own.error("DetectLabels", Image=in_s3("coffee.png"))
    assert (status, code) == (400, "InvalidFixtureException")
    assert "coffee.yaml" in message
    assert "must be from 0 to 100" in message


async def test_a_changed_a_new_and_a_removed_file_are_noticed_within_a_second(
    own: Caller, tmp_path: Path, now: list[float]
) -> None:
    async def first() -> str:
        return names(await own.ok("DetectLabels", Image=in_s3("coffee.png"), MinConfidence=0))[0]

    invented = await first()
    path = write_fixture(tmp_path, "coffee", HEAD + "labels: {Rust: 71.2}\n")
    assert await first() == invented
    now[0] += 1.01
    assert await first() == "Rust"
    write_fixture(tmp_path, "coffee", HEAD + "labels: {Launch: 71.2}\n# longer\n")
    now[0] += 1.01
    assert await first() == "Launch"
    path.unlink()
    now[0] += 1.01
    assert await first() == invented


def test_a_folder_is_looked_at_once_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import darkroom.rekognition.fixtures as module

    looks: list[Path] = []

    def looked_at(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
        looks.append(folder)
        return real(folder)

    real = module.listing
    monkeypatch.setattr(module, "listing", looked_at)
    seconds = [0.0]
    store = FixtureStore(folder=tmp_path, clock=lambda: seconds[0])
    for step in range(100):
        seconds[0] = step / 50
        store.find("0" * 64)
    assert len(looks) == 2


def test_the_shipped_fixtures_have_nothing_to_remark_on() -> None:
    assert lint(FIXTURES, IMAGES) == []


@pytest.mark.parametrize("path", sorted((FIXTURES / "authored").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_fixture_answers_every_operation(path: Path) -> None:
    assert read_fixture(path).answers.keys() == {
        "DetectFaces",
        "DetectLabels",
        "DetectModerationLabels",
        "DetectProtectiveEquipment",
        "DetectText",
        "RecognizeCelebrities",
    }
