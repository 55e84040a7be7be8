"""A JPEG as its own preview: its picture data as they are, without what a camera or a phone wrote beside them.

Decoding a small picture and encoding it again costs much more than walking through its segments, and a little
quality. What decides the picture is kept (tables, frame, scans, colour profile); what tells about its making is
not (Exif with place and time, XMP, thumbnails, comments, and whatever lies behind the end of the picture).

Markers: ITU-T T.81, B.1.1.3 and table B.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.pixels import exif_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive frames with Huffman coding: what browsers show."""
_KEPT = frozenset({*_FRAMES, 0xC4, 0xDB, 0xDD, _SCAN})
_RARE = frozenset(range(0xC0, 0xD0)) - _KEPT
"""Lossless, hierarchical or arithmetic coding."""
_KEPT_APPLICATIONS = {0xE0: b"JFIF\x00", 0xE2: b"ICC_PROFILE\x00", 0xEE: b"Adobe"}
"""Application segments without which a picture would look different."""
_EXIF = 0xE1
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker after coded data, in which FF is followed by 00, by a restart marker or by fill bytes."""


@dataclass(frozen=True, slots=True)
class PlainJpeg:
    """A JPEG whose structure is whole.

    Attributes:
        content: the file without metadata.
        components: of a pixel: 1 is grey, 3 colours, 4 inks.
        scans: how often a decoder passes over the picture.
        orientation: as Exif numbers it; 1 is upright.
    """

    content: bytes
    components: int
    scans: int
    orientation: int


class _Segment(NamedTuple):
    marker: int
    body: bytes
    whole: bytes
    """The segment with its marker; of a scan with its coded data."""


def read_plain(content: bytes) -> PlainJpeg | None:
    """The JPEG without its metadata; None where it is cut off, damaged in its structure, or of a rare kind."""
    parts = [content[:2]]
    components, scans, orientation = 0, 0, 1
    for segment in _segments(content):
        marker, body, whole = segment
        if marker == _END:
            parts.append(whole)
            return PlainJpeg(b"".join(parts), components, scans, orientation) if scans else None
        if marker in _RARE or (marker == _SCAN and not components):
            return None
        if marker in _FRAMES:
            components = body[5] if len(body) > 5 and not components else 0
        elif marker == _EXIF and body.startswith(b"Exif\x00\x00"):
            orientation = exif_orientation(body[6:])
        scans += marker == _SCAN
        if marker in _KEPT or (marker in _KEPT_APPLICATIONS and body.startswith(_KEPT_APPLICATIONS[marker])):
            parts.append(whole)
    return None


def _segments(content: bytes) -> Iterator[_Segment]:
    """The segments after the start marker, up to the end marker; fewer where the file is damaged."""
    position = 2
    while content[position : position + 1] == b"\xff":
        if content[position : position + 2] == b"\xff\xff":  # a fill byte
            position += 1
            continue
        marker = content[position + 1] if position + 1 < len(content) else 0
        if marker == _END:
            yield _Segment(marker, b"", content[position : position + 2])
            return
        length = int.from_bytes(content[position + 2 : position + 4])
        end = position + 2 + length
        if end > len(content) or length < 2 or marker in {0, _START} or marker in _RESTARTS:
            return
        body = content[position + 4 : end]
        if marker == _SCAN:
            following = _AFTER_SCAN.search(content, end)
            if following is None:
                return
            end = following.start()
        yield _Segment(marker, body, content[position:end])
        position = end
