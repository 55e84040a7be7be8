"""The size of a picture, read from its first bytes without decoding it.

PNG: https://www.w3.org/TR/png-3/#11IHDR. JPEG: ITU-T T.81, B.1.1.3 (markers) and B.2.2 (frame header); the
orientation is in the Exif segment (Exif 2.32, 4.6.4). Rekognition turns a JPEG upright before it looks at it
and leaves a PNG as it is, and its boxes refer to that picture; so does the size here.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8"
_EXIF = b"Exif\x00\x00"
_APP1 = 0xE1
_START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers that stand alone: TEM, restarts, start of image."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three left out are tables and an extension."""
_ORIENTATION_TAG = 0x0112
_LYING = frozenset({5, 6, 7, 8})
"""Orientations in which the stored picture lies on its side."""


class Size(NamedTuple):
    """Pixels of the upright picture."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The bytes end before the size is told; it stands after `offset`, which may lie beyond them."""

    offset: int


def read_size(head: bytes) -> Size | Unfinished | None:
    """The picture's size from the file's first bytes; None when they are no intelligible PNG or JPEG."""
    if head.startswith(_PNG_SIGNATURE):
        return _png_size(head)
    if head.startswith(_JPEG_START):
        return _jpeg_size(head)
    return None


def is_whole_png(content: bytes) -> bool:
    """Whether a PNG's chunks have the right checksums and end as they should."""
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4])
        end = position + 8 + length
        if zlib.crc32(content[position + 4 : end]) != int.from_bytes(content[end : end + 4]):
            return False
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position = end + 4
    return False


def _png_size(head: bytes) -> Size | None:
    if len(head) < 24 or head[12:16] != b"IHDR":
        return None
    return Size(*struct.unpack(">II", head[16:24]))


def _jpeg_size(head: bytes) -> Size | Unfinished | None:
    position = 2
    lying = False
    while position + 4 <= len(head):
        if head[position] != 0xFF:
            return None
        marker = head[position + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # a fill byte, or a marker alone
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(head[position + 2 : position + 4])
        if marker == _START_OF_SCAN or length < 2:
            return None
        body = head[position + 4 : position + 2 + length]
        if marker in _FRAME_HEADERS:
            return _frame_size(body, lying=lying) or Unfinished(position)
        if marker == _APP1 and body.startswith(_EXIF):
            lying = exif_orientation(body[len(_EXIF) :]) in _LYING
        position += 2 + length
    return Unfinished(position)


def _frame_size(body: bytes, *, lying: bool) -> Size | None:
    if len(body) < 5:
        return None
    height, width = struct.unpack(">HH", body[1:5])
    return Size(height, width) if lying else Size(width, height)


def exif_orientation(tiff: bytes) -> int:
    """The orientation in an Exif segment's TIFF structure, 1 (upright) where there is none or it cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack(order + "I", tiff[4:8])
    if len(tiff) < directory + 2:
        return 1
    (entries,) = struct.unpack(order + "H", tiff[directory : directory + 2])
    for start in range(directory + 2, min(directory + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, _kind, _count, value = struct.unpack(order + "HHIH", tiff[start : start + 10])
        if tag == _ORIENTATION_TAG:
            return int(value)
    return 1
