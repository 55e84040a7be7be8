"""What is done with a file before Rekognition is asked: what it is, its size, its preview, and its conversion.

    content ──▶ what is it? ──▶ video ────────────────────────▶ refused
                    │
                    ├──▶ JPEG or PNG within the limits ───────▶ the object itself is analysed; a preview is made
                    ├──▶ HEIC, AVIF, WebP, GIF, TIFF, BMP, or
                    │    too many bytes or pixels ────────────▶ the preview is analysed in its place
                    └──▶ anything else, or damaged ───────────▶ the object itself: the service says what is wrong

What cannot be decoded here is left to the service's judgement, so that the reason in the record is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.analysis import Trust
from pipeline.errors import ImageRefusedError
from pipeline.media import PICTURES, TAKEN_BY_REKOGNITION, Kind, kind_of
from pipeline.pixels import Size, is_whole_png, read_size
from pipeline.plain_jpeg import PlainJpeg, read_plain
from pipeline.videos import NOT_SUPPORTED

MOST_BYTES = 15 * 1024 * 1024
SMALLEST_SIDE = 80
LARGEST_SIDE = 10_000
"""What Rekognition takes: bytes of an object, pixels of a side.
https://docs.aws.amazon.com/rekognition/latest/dg/limits.html"""
PREVIEW_SIDE = 1280
"""Pixels of a preview's longer side, at most."""
_LARGEST_PLAIN_BYTES = 1024 * 1024
"""A small picture with more bytes than this is encoded anew, for the sake of who looks at many previews."""
_MOST_SCANS = 100
"""Of a progressive JPEG: encoders write about ten, and each costs a decoder a pass over the whole picture."""


class Reason(StrEnum):
    """Why a picture is converted."""

    FORMAT = "FORMAT"
    BYTES = "BYTES"
    PIXELS = "PIXELS"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A picture that is analysed in place of the object.

    Attributes:
        content: a JPEG within the service's limits.
        size: its pixels.
        kind: what the object is.
        reason: why the service does not take it.
    """

    content: bytes
    size: Size
    kind: Kind
    reason: Reason


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of a file before it is analysed. `size` is that of the upright picture."""

    size: Size | None = None
    preview: bytes | None = None
    conversion: Conversion | None = None
    trust: Trust = Trust.UNCERTAIN


def prepare(content: bytes, *, convert: bool) -> Prepared:
    """Look at a whole file, draw its preview, and convert it where the service would refuse it.

    Args:
        content: the file.
        convert: whether it may be converted.

    Raises:
        ImageRefusedError: it is a video, or cannot be decoded with the means of this function.
    """
    kind = kind_of(content)
    if kind is Kind.VIDEO:
        raise NOT_SUPPORTED
    if kind not in PICTURES:
        return Prepared()
    if kind is not Kind.JPEG:
        return _drawn(content, kind, whole=kind is not Kind.PNG or is_whole_png(content), convert=convert)
    plain, size = read_plain(content), read_size(content)
    if plain is None or not isinstance(size, Size):
        return _drawn(content, kind, whole=False, convert=convert)
    if plain.scans > _MOST_SCANS:
        raise ImageRefusedError(
            "TooManyScans",
            f"The JPEG is drawn in {plain.scans} passes over the whole picture; at most {_MOST_SCANS} are decoded.",
        )
    if not _is_its_own_preview(plain, size):
        return _drawn(content, kind, whole=True, convert=convert)
    reason = _reason(content, kind, size)
    conversion = Conversion(plain.content, size, kind, reason) if reason and convert else None
    return Prepared(size, plain.content, conversion, _trust(size, taken=not reason or convert))


def prepare_head(head: bytes) -> Prepared:
    """The same of a file that is too large to be read as a whole: what its first bytes tell.

    Raises:
        ImageRefusedError: it is a video.
    """
    if kind_of(head) is Kind.VIDEO:
        raise NOT_SUPPORTED
    return Prepared(_size_in(head))


def _is_its_own_preview(plain: PlainJpeg, size: Size) -> bool:
    return (
        max(size) <= PREVIEW_SIDE
        and plain.orientation == 1
        and plain.components in {1, 3}  # browsers show inks in wrong colours
        and len(plain.content) <= _LARGEST_PLAIN_BYTES
    )


def _drawn(content: bytes, kind: Kind, *, whole: bool, convert: bool) -> Prepared:
    from pipeline import rendering  # Pillow is loaded for those who need it

    try:
        drawing = rendering.draw(content, kind, side=PREVIEW_SIDE)
        reason = _reason(content, kind, drawing.size)
        if reason is None or not convert:
            trust = _trust(drawing.size, taken=whole and reason is None)
            return Prepared(drawing.size, drawing.content, None, trust)
        analysed = drawing
        if min(drawing.drawn) < SMALLEST_SIDE <= min(drawing.size):
            analysed = rendering.draw(content, kind, side=_side_of_a_long_picture(drawing.size))
    except rendering.UndecodableError:
        return Prepared(_size_in(content))
    conversion = Conversion(analysed.content, analysed.drawn, kind, reason)
    return Prepared(drawing.size, drawing.content, conversion, _trust(analysed.drawn, taken=True))


def _reason(content: bytes, kind: Kind, size: Size) -> Reason | None:
    """Why the service does not take the file; None where it does."""
    if kind not in TAKEN_BY_REKOGNITION:
        return Reason.FORMAT
    if max(size) > LARGEST_SIDE:
        return Reason.PIXELS
    return Reason.BYTES if len(content) > MOST_BYTES else None


def _side_of_a_long_picture(size: Size) -> int:
    """The longer side with which the shorter one is as long as the service wants it, if that is possible."""
    return min(LARGEST_SIDE, -(-SMALLEST_SIDE * max(size) // min(size)))


def _trust(size: Size, *, taken: bool) -> Trust:
    return Trust.READABLE if taken and min(size) >= SMALLEST_SIDE else Trust.UNCERTAIN


def _size_in(content: bytes) -> Size | None:
    size = read_size(content)
    return size if isinstance(size, Size) else None
