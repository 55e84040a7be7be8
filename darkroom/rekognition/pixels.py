"""A few pixels of a picture, cheaply and within a bound of memory.

Two views:

* `sample`: a tiny upright picture from a part of the file that costs little to decode. It feeds synthetic
  answers, which need to follow the pixels, not to understand them: about 1 ms for a 300 KB JPEG.
* `reduced`: the whole picture at no more than `REDUCED_SIDE` pixels a side. It feeds IMAGE_PROPERTIES.

Neither ever holds more than a band of the full picture, whatever its header claims. Pillow is imported when
the first pixel is needed, and only its PNG and JPEG readers, fed with the essential segments only: no text,
EXIF or colour profile of an untrusted file is parsed. Its readers are used directly, so no global of Pillow
is touched.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from darkroom.rekognition.errors import invalid_image_format
from darkroom.rekognition.images import PNG_SIGNATURE, Format, Picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

SAMPLE_SIDE = 32
REDUCED_SIDE = 256

_SAMPLED_JPEG_BYTES = 48 * 1024
_SAMPLED_PNG_BYTES = 256 * 1024
_BAND_BYTES = 2 * 1024 * 1024
_ONE_BAND_BYTES = 64 * 1024 * 1024
_WHOLE_PIXELS_LIMIT = 12_000_000
"""Of a progressive JPEG above this only the upper part is decoded: its reader keeps all coefficients in memory."""

_MOST_SCANS = 32

_DECODE_ERRORS = (OSError, SyntaxError, ValueError, struct.error, IndexError, KeyError, zlib.error)
"""What Pillow's readers raise for damaged files."""

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_JPEG_ESSENTIAL = frozenset((0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xEE))
"""Frame, Huffman and quantisation tables, restart interval, Adobe's colour transform."""


def sample(picture: Picture) -> Image:
    """An RGB picture of `SAMPLE_SIDE` squared, upright, from the part of the file that is cheap to decode.

    Raises:
        ServiceError: InvalidImageFormatException where the pixels cannot be decoded.
    """
    from PIL.Image import Resampling

    try:
        if picture.format is Format.JPEG:
            image = _jpeg(picture, scan_limit=_SAMPLED_JPEG_BYTES, side=SAMPLE_SIDE)
        else:
            image = next(_png_bands(picture, band_bytes=_SAMPLED_PNG_BYTES))
        small = image.resize((SAMPLE_SIDE, SAMPLE_SIDE), Resampling.BOX)
    except _DECODE_ERRORS:
        raise invalid_image_format() from None
    return _upright(small, picture.orientation)


def reduced(picture: Picture) -> Image:
    """The whole picture in RGB, upright, no side longer than `REDUCED_SIDE`.

    Raises:
        ServiceError: InvalidImageFormatException where the pixels cannot be decoded.
    """
    scale = min(1.0, REDUCED_SIDE / max(picture.width, picture.height))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    try:
        image = _reduced_jpeg(picture, size) if picture.format is Format.JPEG else _reduced_png(picture, size)
    except _DECODE_ERRORS:
        raise invalid_image_format() from None
    return _upright(image, picture.orientation)


def _reduced_jpeg(picture: Picture, size: tuple[int, int]) -> Image:
    from PIL.Image import Resampling

    image = _jpeg(picture, scan_limit=None, side=max(size))
    return image.resize(size, Resampling.BOX)


def _reduced_png(picture: Picture, size: tuple[int, int]) -> Image:
    """Bands are shrunk as they come and pasted, so that the picture is never whole in memory."""
    import PIL.Image as Pillow

    if _comes_as_one_band(picture):
        return next(_png_bands(picture, band_bytes=_ONE_BAND_BYTES)).resize(size, Pillow.Resampling.BOX)
    result = Pillow.new("RGB", size)
    done = 0
    for band in _png_bands(picture, band_bytes=_BAND_BYTES):
        top = round(done * size[1] / picture.height)
        done += band.height
        bottom = max(top + 1, round(done * size[1] / picture.height))
        result.paste(band.resize((size[0], bottom - top), Pillow.Resampling.BOX), (0, top))
    return result


def _comes_as_one_band(picture: Picture) -> bool:
    """Interlaced PNGs, and those with other than 8 bits a channel."""
    return picture.layered or picture.data[picture.frame_at + 8] != 8


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _jpeg(picture: Picture, *, scan_limit: int | None, side: int) -> Image:
    """Decode at the smallest of the format's own scales that still covers `side`.

    With a limit, only so many compressed bytes are read, and the header is made to claim the lines that they
    are likely to hold: baseline JPEG stores lines from the top, progressive a coarse whole first.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    data = picture.data
    end = _scans_end(picture)
    height = picture.height
    if scan_limit is not None and end - picture.pixels_at > scan_limit:
        share = 0.8 * scan_limit / (end - picture.pixels_at)
        height = min(height, max(16, int(height * share)))
        end = picture.pixels_at + scan_limit
    if picture.layered:
        height = min(height, max(16, _WHOLE_PIXELS_LIMIT // picture.width))
    stream = io.BytesIO()
    for part in _essential_jpeg(picture, height):
        stream.write(part)
    stream.write(data[picture.pixels_at : end])
    stream.write(b"\xff\xd9")
    stream.seek(0)
    image = JpegImageFile(stream)
    image.draft("RGB", (side, min(side, height)))
    return image.convert("RGB")


def _scans_end(picture: Picture) -> int:
    """Where the compressed data ends that is read: a progressive file's first scans only.

    Each scan costs a walk over the whole picture, however few bytes it has; usual files have ten.
    """
    if not picture.layered:
        return len(picture.data)
    end = picture.pixels_at
    for _ in range(_MOST_SCANS):
        end = picture.data.find(b"\xff\xda", end + 2)
        if end < 0:
            return len(picture.data)
    return end


def _essential_jpeg(picture: Picture, height: int) -> Iterator[bytes]:
    """The header up to and including the first scan's, without anything that decoding does not need."""
    data, offset = picture.data, 2
    yield b"\xff\xd8"
    while offset < picture.pixels_at:
        while data[offset] == 0xFF:
            offset += 1
        marker, start = data[offset], offset + 1
        offset = start
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue
        offset += int.from_bytes(data[start : start + 2], "big")
        if start == picture.frame_at:
            segment = data[start : start + 3] + height.to_bytes(2, "big") + data[start + 5 : offset]
            yield bytes((0xFF, marker)) + segment
        elif marker in _JPEG_ESSENTIAL or marker == 0xDA:
            yield bytes((0xFF, marker)) + data[start:offset]


def _png_bands(picture: Picture, *, band_bytes: int) -> Iterator[Image]:
    """The picture from the top in RGB bands of about `band_bytes` of raw lines.

    A PNG line may refer to the line above, so each band starts with the last line of the band before, stored
    unfiltered. That needs the line's raw bytes, which Pillow gives back only for 8 bits a channel; other
    depths come as one band, cut off where it would grow too large. An interlaced PNG yields one band too:
    its first pass, which is every eighth pixel of every eighth line.
    """
    width, height, depth, colour = struct.unpack_from(">IIBB", picture.data, picture.frame_at)
    if picture.layered:
        width, height = (width + 7) // 8, (height + 7) // 8
    line_bytes = (width * depth * _PNG_CHANNELS[colour] + 7) // 8 + 1
    band_lines = max(1, band_bytes // line_bytes)
    if _comes_as_one_band(picture):
        height = min(height, band_lines)
    lines = _PngLines(picture.data)
    prefix = _png_prefix(picture.data)
    above = b""
    for top in range(0, height, band_lines):
        wanted = min(band_lines, height - top)
        raw = lines.read(wanted * line_bytes)
        image = _decode_png(prefix, width=width, height=wanted + bool(top), lines=above + raw)
        above = b"\x00" + image.tobytes()[1 - line_bytes :] if depth == 8 else b""
        rgb = _to_rgb(image)
        yield rgb.crop((0, 1, width, rgb.height)) if top else rgb


class _PngLines:
    """Reads decompressed lines in order, holding no more of them than asked for."""

    def __init__(self, data: bytes) -> None:
        self._chunks = (chunk for kind, chunk in _png_chunks(data) if kind == b"IDAT")
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; a file with fewer is damaged."""
        parts, missing = [], size
        while missing:
            source = self._inflate.unconsumed_tail or next(self._chunks, b"")
            if not source:
                raise invalid_image_format()
            part = self._inflate.decompress(source, missing)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = len(PNG_SIGNATURE)
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        yield kind, data[offset + 8 : offset + 8 + size]
        offset += 12 + size


def _png_prefix(data: bytes) -> dict[bytes, bytes]:
    """The header and the palette: what decoding needs before the pixels."""
    found: dict[bytes, bytes] = {}
    for kind, chunk in _png_chunks(data):
        if kind == b"IDAT":
            break
        if kind in (b"IHDR", b"PLTE"):
            found[kind] = chunk
    return found


def _decode_png(prefix: dict[bytes, bytes], *, width: int, height: int, lines: bytes) -> Image:
    """Lines as they are in the file, as a PNG of their own."""
    from PIL.PngImagePlugin import PngImageFile

    header = struct.pack(">II", width, height) + prefix[b"IHDR"][8:12] + b"\x00"
    stream = io.BytesIO()
    stream.write(PNG_SIGNATURE)
    for kind, chunk in (
        (b"IHDR", header),
        (b"PLTE", prefix.get(b"PLTE", b"")),
        (b"IDAT", zlib.compress(lines, 0)),
        (b"IEND", b""),
    ):
        if chunk or kind != b"PLTE":
            stream.write(
                struct.pack(">I", len(chunk)) + kind + chunk + struct.pack(">I", zlib.crc32(kind + chunk))
            )
    stream.seek(0)
    image = PngImageFile(stream)
    image.load()
    return image


def _to_rgb(image: Image) -> Image:
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGB")
