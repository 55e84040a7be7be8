"""Every row of the table of limits and errors, as a caller sees it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from .helpers import BUCKET, ROOT, Caller, claiming, in_s3, inline, noise, photo, picture, png_of_lines

if TYPE_CHECKING:
    from pathlib import Path

    from .helpers import MemorySource

ONE_IMAGE = (
    "DetectFaces",
    "DetectLabels",
    "DetectModerationLabels",
    "DetectProtectiveEquipment",
    "DetectText",
    "RecognizeCelebrities",
)
INVALID_FORMAT = (400, "InvalidImageFormatException", "Request has invalid image format")
INVALID_PARAMETERS = (400, "InvalidParameterException", "Request has invalid parameters")
UNREADABLE = (
    400,
    "InvalidS3ObjectException",
    "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
)
TOO_LARGE = (400, "ImageTooLargeException", "Image size is too large")


@pytest.mark.parametrize("operation", ONE_IMAGE)
@pytest.mark.parametrize(
    "data",
    [
        b"hello, I am a text called photo.jpg",
        b"GIF89a" + bytes(200),
        b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(50),
        b"data:image/png;base64,iVBORw0KGgo=",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=["text", "gif", "webp", "data uri", "jpeg start only", "png start only"],
)
async def test_what_is_neither_png_nor_jpeg_by_content_is_refused(
    call: Caller, operation: str, data: bytes
) -> None:
    assert await call.error(operation, Image=inline(data)) == INVALID_FORMAT


@pytest.mark.parametrize("name", ["rocket-launch.jpg", "cat-chelsea.png"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
async def test_a_truncated_picture_is_refused(call: Caller, name: str, share: float) -> None:
    data = photo(name)
    assert await call.error("DetectLabels", Image=inline(data[: int(len(data) * share)])) == INVALID_FORMAT


async def test_a_png_with_a_damaged_chunk_is_refused(call: Caller) -> None:
    data = bytearray(photo("coffee.png"))
    data[len(data) // 2] ^= 0xFF
    assert await call.error("DetectLabels", Image=inline(bytes(data))) == INVALID_FORMAT


async def test_a_png_that_holds_fewer_lines_than_it_claims_is_refused(call: Caller) -> None:
    data = png_of_lines(100, 100, bytes(301 * 40))
    assert await call.error("DetectLabels", Image=inline(data)) == INVALID_FORMAT


@pytest.mark.parametrize("operation", ONE_IMAGE)
@pytest.mark.parametrize("image", [{}, {**inline(picture()), **in_s3("coffee.png")}], ids=["neither", "both"])
async def test_neither_or_both_of_bytes_and_s3object_is_an_invalid_parameter(
    call: Caller, operation: str, image: dict[str, Any]
) -> None:
    assert await call.error(operation, Image=image) == INVALID_PARAMETERS


@pytest.mark.parametrize(
    ("operation", "least"), [(name, 64 if "Protective" in name else 80) for name in ONE_IMAGE]
)
async def test_the_smallest_side_is_a_limit_and_one_pixel_less_is_refused(
    call: Caller, operation: str, least: int
) -> None:
    assert (await call(operation, Image=inline(picture(least, 200)))).status == 200
    assert await call.error(operation, Image=inline(picture(least - 1, 200))) == INVALID_PARAMETERS
    assert await call.error(operation, Image=inline(picture(200, least - 1))) == INVALID_PARAMETERS


@pytest.mark.parametrize(
    ("operation", "most"), [(name, 4096 if "Protective" in name else 10_000) for name in ONE_IMAGE]
)
async def test_the_largest_side_is_a_limit_and_one_pixel_more_is_refused_with_the_dimensions(
    call: Caller, operation: str, most: int
) -> None:
    assert (await call(operation, Image=inline(picture(most, 80, format="JPEG")))).status == 200
    assert await call.error(operation, Image=inline(picture(most + 1, 80, format="JPEG"))) == (
        400,
        "ImageTooLargeException",
        f"Input image dimensions {most + 1} x 80 exceed maximum dimension size of {most} pixels",
    )


async def test_five_mebibytes_inline_pass_and_one_byte_more_is_the_frameworks_validation_error(
    call: Caller,
) -> None:
    data = picture() + bytes(5 * 1024 * 1024)
    fitting, too_many = data[: 5 * 1024 * 1024], data[: 5 * 1024 * 1024 + 1]
    assert (await call("DetectLabels", Image=inline(fitting))).status == 200
    answer = await call("DetectLabels", Image=inline(too_many))
    assert json.loads(answer.body) == {
        "__type": "ValidationException",
        "message": "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=5242881 cap=5242881]'"
        " at 'image.bytes' failed to satisfy constraint: Member must have length less than or equal to 5242880",
    }


async def test_empty_bytes_are_the_frameworks_validation_error(call: Caller) -> None:
    status, code, message = await call.error("DetectLabels", Image={"Bytes": ""})
    assert (status, code) == (400, "ValidationException")
    assert message.endswith("at 'image.bytes' failed to satisfy constraint: Member must have length greater"
                            " than or equal to 1")  # fmt: skip


async def test_protective_equipment_takes_four_mebibytes_inline(call: Caller) -> None:
    data = picture() + bytes(4 * 1024 * 1024)
    assert await call.error("DetectProtectiveEquipment", Image=inline(data)) == TOO_LARGE


async def test_an_object_of_fifteen_mebibytes_passes_and_a_larger_one_is_too_large(
    call: Caller, source: MemorySource
) -> None:
    data = picture() + bytes(15 * 1024 * 1024)
    source.objects |= {"fits.png": data[: 15 * 1024 * 1024], "large.png": data[: 15 * 1024 * 1024 + 1]}
    assert (await call("DetectLabels", Image=in_s3("fits.png"))).status == 200
    assert await call.error("DetectLabels", Image=in_s3("large.png")) == TOO_LARGE


@pytest.mark.parametrize(
    "image",
    [
        in_s3("nothing.png"),
        in_s3("denied.png"),
        in_s3("coffee.png", Version="no-such-version"),
        {"S3Object": {"Bucket": "another-bucket", "Name": "coffee.png"}},
    ],
    ids=["missing key", "denied", "missing version", "missing bucket"],
)
async def test_an_object_that_cannot_be_read_gets_one_error_whatever_the_reason(
    call: Caller, image: dict[str, Any]
) -> None:
    assert await call.error("DetectLabels", Image=image) == UNREADABLE


@pytest.mark.parametrize("location", [{}, {"Bucket": BUCKET}, {"Name": "coffee.png"}])
async def test_an_s3object_without_bucket_or_name_is_malformed(
    call: Caller, location: dict[str, str]
) -> None:
    assert await call.error("DetectLabels", Image={"S3Object": location}) == (
        400,
        "InvalidS3ObjectException",
        "Request has invalid S3 object.",
    )


async def test_a_version_of_an_object_is_read_when_it_is_named(call: Caller, source: MemorySource) -> None:
    source.objects["swap.png"] = photo("coffee.png")
    source.objects["swap.png@v1"] = photo("cat-chelsea.png")
    labels = await call.ok("DetectLabels", Image=in_s3("swap.png", Version="v1"))
    assert labels["Labels"][0]["Name"] == "Animal"


async def test_s3_that_does_not_answer_is_an_internal_error_worth_a_retry(call: Caller) -> None:
    assert await call.error("DetectLabels", Image=in_s3("broken.png")) == (
        500,
        "InternalServerError",
        "Internal server error",
    )


async def test_900_megapixels_in_a_few_kilobytes_are_refused_at_once_and_without_memory(call: Caller) -> None:
    data = png_of_lines(30_000, 30_000, bytes(1_000_000))
    assert len(data) < 4096
    image = inline(data)
    tracemalloc.start()
    started = time.perf_counter()
    status, code, _message = await call.error("DetectLabels", Image=image)
    took_s = time.perf_counter() - started
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (status, code) == (400, "ImageTooLargeException")
    assert took_s < 0.1
    assert peak_bytes < 1_000_000


MEASURE = """
import asyncio, json, resource, sys
from pathlib import Path
from darkroom.rekognition import Rekognition
bodies = [Path(name).read_bytes() for name in sys.argv[1:]]
async def main():
    service = Rekognition(fixtures=Path("no-fixtures"), source=None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers = [await service.answer(target="RekognitionService.DetectLabels", body=body) for body in bodies]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    service.close()
    print(json.dumps({"statuses": [answer.status for answer in answers], "grown_kb": grown}))
asyncio.run(main())
"""


def test_a_hundred_megapixels_within_the_limits_are_analysed_within_bands_of_memory(tmp_path: Path) -> None:
    """Decoded whole, each would take 300 MB or more; in a process of its own, because C memory is meant too."""
    bombs = {
        "png": png_of_lines(10_000, 10_000, bytes(30_001), times=10_000),
        "jpeg": claiming(noise(100, 100, format="JPEG"), 10_000, 10_000),
        "progressive": claiming(noise(100, 100, format="JPEG", progressive=True), 10_000, 10_000),
    }
    for name, data in bombs.items():
        body = {"Image": inline(data), "Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]}
        (tmp_path / name).write_text(json.dumps(body))
    command = [sys.executable, "-c", MEASURE, *(str(tmp_path / name) for name in bombs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50)
    measured = json.loads(done.stdout)
    assert measured["statuses"] == [200, 200, 200]
    assert measured["grown_kb"] < 140_000


@pytest.mark.parametrize("target", ["", "DetectLabels", "RekognitionService.DetectDragons", "S3.GetObject"])
async def test_an_unknown_operation_is_named(call: Caller, target: str) -> None:
    answer = await call.rekognition.answer(target=target, body=b"{}")
    assert answer.status == 400
    assert json.loads(answer.body)["__type"] == "UnknownOperationException"
    assert target in json.loads(answer.body)["message"]


@pytest.mark.parametrize("operation", ["StartLabelDetection", "IndexFaces", "DetectCustomLabels"])
async def test_an_operation_of_the_service_that_is_not_served_is_refused_by_name(
    call: Caller, operation: str
) -> None:
    status, code, message = await call.error(operation, Image=inline(picture()))
    assert (status, code) == (400, "UnsupportedOperationException")
    assert operation in message
    assert "DetectLabels" in message


@pytest.mark.parametrize("body", [b"{", b"[1]", b"null", b'{"Image": NaN}', b"\xff\xfe", b"[" * 100_000])
async def test_malformed_json_is_a_serialization_error(call: Caller, body: bytes) -> None:
    answer = await call.rekognition.answer(target="RekognitionService.DetectLabels", body=body)
    assert answer.status == 400
    assert json.loads(answer.body)["__type"] == "SerializationException"


async def test_size_and_format_are_checked_before_dimensions(call: Caller) -> None:
    large_and_tiny = picture(10, 10) + bytes(5 * 1024 * 1024)
    assert (await call.error("DetectLabels", Image=inline(large_and_tiny)))[1] == "ValidationException"


async def test_service_errors_and_framework_errors_have_their_own_casing(call: Caller) -> None:
    service = json.loads((await call("DetectLabels", Image=inline(b"no picture"))).body)
    framework = json.loads((await call("DetectLabels")).body)
    assert service.keys() == {"__type", "Code", "Message"}
    assert framework.keys() == {"__type", "message"}


async def test_a_truncated_jpeg_with_a_thumbnail_that_is_whole_is_still_truncated(call: Caller) -> None:
    """The end marker of an embedded thumbnail is not the picture's."""
    body = noise(120, 90, format="JPEG")
    thumbnail = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00" + noise(40, 30, format="JPEG")
    app1 = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = body[:2] + app1 + body[2:]
    assert (await call("DetectLabels", Image=inline(whole))).status == 200
    assert await call.error("DetectLabels", Image=inline(whole[:-200])) == INVALID_FORMAT
