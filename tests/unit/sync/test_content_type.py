from __future__ import annotations

import pytest

from darkroom.sync.content_type import content_type


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0..JFIF", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"II*\x00....", "image/tiff"),
        (b"MM\x00*....", "image/tiff"),
        (b"BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00", "image/bmp"),
        (b"\x00\x00\x00\x18ftypheic....", "image/heic"),
        (b"\x00\x00\x00\x18ftypmif1....", "image/heif"),
        (b"\x00\x00\x00\x18ftypavif....", "image/avif"),
        (b"\x00\x00\x00\x14ftypqt  ....", "video/quicktime"),
        (b"\x00\x00\x00\x18ftypisom....", "video/mp4"),
    ],
)
def test_the_first_bytes_decide_whatever_the_name_says(head: bytes, expected: str) -> None:
    assert content_type(head, "misleading.txt") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text named.jpg", "image/jpeg"),
        ("UPPER.JPG", "image/jpeg"),
        ("notes.txt", "text/plain"),
        ("photo.webp", "image/webp"),
        ("photo.heic", "image/heic"),
        ("drawing.svgz", "application/gzip"),
        ("archive.tar.gz", "application/gzip"),
        ("no ending", "application/octet-stream"),
        ("odd.qqqq", "application/octet-stream"),
        ("data:text/html,x.png", "image/png"),
    ],
)
def test_the_name_decides_when_the_bytes_say_nothing(name: str, expected: str) -> None:
    assert content_type(b"BM is the start of a text", name) == expected
    assert content_type(b"", name) == expected
