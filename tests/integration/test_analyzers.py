"""Every analyser on the running environment: chosen by a parameter of the stack, each with its part of the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.errors import DeployError, UsageError
from darkroom.settings import PROJECT_ROOT
from tests.integration.conftest import quiet
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Running

PHOTOGRAPHS = PROJECT_ROOT / "fixtures" / "images"
ALL = ("labels", "faces", "celebrities", "text", "moderation", "properties")
DONE = {analyzer: {"Status": "DONE"} for analyzer in ALL}
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _all_analyzers(running: Running) -> Iterator[None]:
    running.environment.up(overrides=(f"Analyzers={','.join(ALL)}",), report=quiet)
    yield
    running.environment.up(overrides=(), report=quiet)


def test_a_portrait_has_face_and_celebrity(running: Running) -> None:
    name = "astronaut-eileen-collins.png"
    key = running.drop(f"all/{name}", (PHOTOGRAPHS / name).read_bytes())
    record = running.record(key)
    assert (record["Status"], record["Analyzers"]) == ("TAGGED", DONE)
    (face,) = record["Faces"]
    assert face["AgeRange"]["Low"] < face["AgeRange"]["High"]
    assert face["Gender"]["Value"] == "Female"
    assert face["Smile"]["Value"] is True
    assert all(emotion["Confidence"] > 75 for emotion in face["Emotions"])
    assert set(face["BoundingBox"]) == {"Left", "Top", "Width", "Height"}
    (celebrity,) = record["Celebrities"]
    assert celebrity["Name"] == "Eileen Collins"
    assert celebrity["Id"]
    assert celebrity["Urls"]
    assert running.document(key) == record


def test_a_sign_has_lines_and_words_of_text(running: Running) -> None:
    key = running.drop("all/shop-sign.png", (PHOTOGRAPHS / "shop-sign.png").read_bytes())
    text = running.record(key)["Text"]
    lines = {line["Id"] for line in text if line["Type"] == "LINE"}
    words = [word for word in text if word["Type"] == "WORD"]
    assert lines
    assert words
    assert {word["ParentId"] for word in words} <= lines


def test_wine_is_moderated_with_its_whole_chain(running: Running) -> None:
    name = "still-life-with-wine.png"
    key = running.drop(f"all/{name}", (PHOTOGRAPHS / name).read_bytes())
    moderation = {label["Name"]: label for label in running.record(key)["Moderation"]}
    for label in moderation.values():
        assert label["TaxonomyLevel"] == 1 or label["ParentName"] in moderation


def test_a_picture_has_its_colours_and_its_quality(running: Running) -> None:
    properties = running.record(running.drop("all/plain.jpg", pictures.jpeg(4001)))["ImageProperties"]
    assert {"Brightness", "Sharpness", "Contrast"} == set(properties["Quality"])
    assert {"Red", "Green", "Blue", "HexCode", "CSSColor", "SimplifiedColor", "PixelPercent"} == set(
        properties["DominantColors"][0]
    )


def test_a_file_that_is_no_picture_is_refused_once_for_all(running: Running) -> None:
    record = running.record(running.drop("all/text.jpg", b"no picture\n" * 50))
    assert record["Status"] == "FAILED"
    states = [outcome["Status"] for outcome in record["Analyzers"].values()]
    assert sorted(states) == ["FAILED", "FAILED", "SKIPPED", "SKIPPED", "SKIPPED", "SKIPPED"]


@pytest.mark.parametrize("asked", ["face-search", "labels,collections"])
def test_face_search_is_refused_by_name_before_anything_is_changed(running: Running, asked: str) -> None:
    with pytest.raises((UsageError, DeployError), match="Face collections and face search are not offered"):
        running.environment.up(overrides=(f"Analyzers={asked}",), report=quiet)
