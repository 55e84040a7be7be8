from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.pixels import Size, Unfinished, read_size
from tests.unit.pipeline.world import png


def jpeg(width: int = 120, height: int = 90, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(buffer, "JPEG", **options)
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(exif=exif)


@pytest.mark.parametrize(
    "content",
    [png(), jpeg(), jpeg(progressive=True), jpeg(icc_profile=b"x" * 70_000), jpeg(comment=b"hello")],
    ids=["png", "baseline", "progressive", "colour profile", "comment"],
)
def test_the_size_is_read_from_the_header(content: bytes) -> None:
    assert read_size(content) == Size(120, 90)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_a_standing_jpeg_keeps_its_sides(orientation: int) -> None:
    assert read_size(turned(orientation)) == Size(120, 90)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_lying_jpeg_is_measured_upright(orientation: int) -> None:
    assert read_size(turned(orientation)) == Size(90, 120)


def test_a_header_beyond_the_bytes_is_unfinished_and_found_with_more() -> None:
    content = jpeg(icc_profile=b"x" * 200_000)
    assert isinstance(read_size(content[: 64 * 1024]), Unfinished)
    assert read_size(content) == Size(120, 90)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"GIF89a\x01\x00", b"\x89PNG\r\n\x1a\n", png()[:20], b"\xff\xd8\x00\x00\x00\x00"],
)
def test_what_is_no_picture_has_no_size(content: bytes) -> None:
    assert read_size(content) is None


@given(st.binary(max_size=300))
def test_no_bytes_are_a_surprise(content: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe1\x00\x40Exif\x00\x00II*\x00", b"\x89PNG\r\n\x1a\n"):
        assert isinstance(read_size(start + content), Size | Unfinished | None)


@given(st.integers(min_value=0, max_value=900))
def test_a_jpeg_cut_anywhere_is_no_surprise(length: int) -> None:
    assert isinstance(read_size(turned(6)[:length]), Size | Unfinished | None)
