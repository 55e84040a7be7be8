"""Over a hundred bad and odd files dropped at once: each ends as documented, and stops no other."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.integration.conftest import quiet
from tests.support import pictures
from tests.support.corpus import CORPUS, Specimen

if TYPE_CHECKING:
    from darkroom.operations.records import Record
    from tests.integration.conftest import Running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def dropped(running: Running) -> dict[str, str]:
    """Name of each specimen -> its key; all are dropped one right after the other."""
    return {specimen.name: running.drop(f"corpus/{specimen.name}", specimen.make()) for specimen in CORPUS}


@pytest.mark.parametrize("specimen", CORPUS, ids=lambda it: it.name)
def test_a_bad_or_odd_file_ends_as_documented(
    running: Running, dropped: dict[str, str], specimen: Specimen
) -> None:
    record = running.record(dropped[specimen.name], timeout_s=120)
    assert (record["Status"], record.get("ErrorCode")) == (
        "FAILED" if specimen.error else "TAGGED",
        specimen.error,
    )
    assert record.get("Converted", {}).get("Reason") == specimen.converted
    if specimen.size:
        assert (record["Width"], record["Height"]) == specimen.size
    assert running.document(dropped[specimen.name]) == record
    if specimen.error:
        assert record["ErrorMessage"]
        assert "Labels" not in record
    else:
        assert max(preview(running, record).size) <= 1280


def preview(running: Running, record: Record) -> Image.Image:
    answer = running.s3.get_object(Bucket=running.bucket, Key=record["PreviewKey"])
    assert answer["ContentType"] == "image/jpeg"
    image = Image.open(io.BytesIO(answer["Body"].read()), formats=("JPEG",))
    image.load()
    return image


def test_they_stop_no_other(running: Running, dropped: dict[str, str]) -> None:
    assert len(dropped) >= 60
    key = running.drop("corpus-after.jpg", pictures.jpeg(4711))
    assert running.record(key)["Status"] == "TAGGED"
    status = running.environment.engine.runtime_status()["queue"]
    assert status["waiting"] == status["running"] == 0, "nothing is being tried again"


def test_a_converted_picture_keeps_the_facts_of_its_file(running: Running, dropped: dict[str, str]) -> None:
    specimen = next(it for it in CORPUS if it.name == "phone.heic")
    record = running.record(dropped["phone.heic"])
    assert record["Bytes"] == len(specimen.make())
    assert record["ContentType"] == "image/heic"
    assert record["Converted"] == {"From": "HEIC", "Reason": "FORMAT", "Width": 320, "Height": 240}
    assert record["PreviewKey"] == "previews/corpus/phone.heic.jpg"


def test_with_conversion_off_such_pictures_fail_as_rekognition_says(running: Running) -> None:
    running.environment.up(overrides=("ConvertImages=false",), report=quiet)
    try:
        for name, code in {
            "phone.heic": "InvalidImageFormatException",
            "picture.webp": "InvalidImageFormatException",
            "more-than-15-mb.jpg": "ImageTooLargeException",
            "10001-pixels.jpg": "ImageTooLargeException",
        }.items():
            specimen = next(it for it in CORPUS if it.name == name)
            record = running.record(running.drop(f"unconverted/{name}", specimen.make()))
            assert (record["Status"], record["ErrorCode"]) == ("FAILED", code)
            assert "Converted" not in record
    finally:
        running.environment.up(overrides=(), report=quiet)
