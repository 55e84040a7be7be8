"""What the bytes of a picture are, without decoding it.

Format by content, dimensions, orientation, and whether the file is whole: a few hundred microseconds for 300
KB, no memory beyond the bytes themselves, so a picture that claims 900 megapixels costs nothing to refuse.

Damage is found where the structure shows it: a cut file, a missing end marker, a PNG chunk whose checksum is
wrong. A JPEG with flipped bits inside its compressed data still has a whole structure and passes here, as it
does in most decoders.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import Enum

from darkroom.rekognition.errors import invalid_image_format

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}

# Start-of-frame markers of baseline, extended sequential and progressive Huffman JPEG; nothing else is in
# use.
_SOF = (0xC0, 0xC1, 0xC2)
_OTHER_SOF = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_STANDALONE = (0x01, *range(0xD0, 0xD8))
_ORIENTATION_TAG = 0x0112


class Format(Enum):
    """The two formats that the service reads. The value is the media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole picture and what its header says.

    `width` and `height` are stored pixels; `layered` means progressive (JPEG) or interlaced (PNG);
    `frame_at` is the offset of the JPEG's frame header or of the PNG's IHDR data, `pixels_at` that of the
    first compressed byte.
    """

    data: bytes
    format: Format
    width: int
    height: int
    orientation: int
    layered: bool
    frame_at: int
    pixels_at: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as the service sees it: a JPEG's EXIF orientation applied, a PNG's ignored."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def inspect(data: bytes) -> Picture:
    """What `data` is.

    Raises:
        ServiceError: InvalidImageFormatException where it is neither a whole PNG nor a whole JPEG.
    """
    try:
        if data.startswith(PNG_SIGNATURE):
            return _inspect_png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _inspect_jpeg(data)
    except (struct.error, IndexError):
        pass
    raise invalid_image_format()


def _inspect_png(data: bytes) -> Picture:
    if data[8:16] != b"\x00\x00\x00\x0dIHDR":
        raise invalid_image_format()
    width, height, depth, colour, compression, filters, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if not (width and height) or depth not in _PNG_DEPTHS.get(colour, ()) or compression or filters:
        raise invalid_image_format()
    if interlace > 1 or width >= 2**31 or height >= 2**31:
        raise invalid_image_format()
    return Picture(
        data=data,
        format=Format.PNG,
        width=width,
        height=height,
        orientation=1,
        layered=bool(interlace),
        frame_at=16,
        pixels_at=_walk_png(data),
    )


def _walk_png(data: bytes) -> int:
    """Every chunk whole and with a right checksum up to IEND; returns where the first IDAT's data starts."""
    view = memoryview(data)
    offset, end, first_pixels = 8, len(data), 0
    while offset + 12 <= end:
        size, kind = struct.unpack_from(">I4s", data, offset)
        after = offset + 12 + size
        if (
            after > end
            or zlib.crc32(view[offset + 4 : after - 4]) != struct.unpack_from(">I", data, after - 4)[0]
        ):
            break
        if kind == b"IDAT" and not first_pixels:
            first_pixels = offset + 8
        if kind == b"IEND":
            if first_pixels:
                return first_pixels
            break
        offset = after
    raise invalid_image_format()


def _inspect_jpeg(data: bytes) -> Picture:
    offset, orientation, frame_at = 2, 1, 0
    while True:
        offset, marker = _next_marker(data, offset)
        if marker in _STANDALONE:
            continue
        size = int.from_bytes(data[offset : offset + 2], "big")
        if size < 2 or offset + size > len(data) or marker in _OTHER_SOF or marker in (0xD8, 0xD9):
            raise invalid_image_format()
        if marker in _SOF:
            frame_at = offset
        elif marker == 0xE1 and data.startswith(b"Exif\x00\x00", offset + 2):
            orientation = _exif_orientation(data[offset + 8 : offset + size])
        elif marker == 0xDA:
            return _jpeg_picture(data, frame_at=frame_at, pixels_at=offset + size, orientation=orientation)
        offset += size


def _next_marker(data: bytes, offset: int) -> tuple[int, int]:
    """The marker at `offset` (fill bytes skipped) and where its segment starts."""
    if data[offset] != 0xFF:
        raise invalid_image_format()
    while data[offset] == 0xFF:
        offset += 1
    return offset + 1, data[offset]


def _jpeg_picture(data: bytes, *, frame_at: int, pixels_at: int, orientation: int) -> Picture:
    # Inside compressed data 0xFF is always followed by 0x00 or a restart marker: any FF D9 is an end marker.
    whole = data.endswith(b"\xff\xd9", pixels_at) or data.find(b"\xff\xd9", pixels_at) >= 0
    if not frame_at or not whole:
        raise invalid_image_format()
    precision, height, width, components = struct.unpack_from(">BHHB", data, frame_at + 2)
    if precision != 8 or not (width and height) or components not in (1, 3, 4):
        raise invalid_image_format()
    return Picture(
        data=data,
        format=Format.JPEG,
        width=width,
        height=height,
        orientation=orientation,
        layered=data[frame_at - 1] == 0xC2,
        frame_at=frame_at,
        pixels_at=pixels_at,
    )


def _exif_orientation(tiff: bytes) -> int:
    """The orientation (1 to 8) in the first directory of an EXIF block; 1 where it says nothing usable."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    directory = struct.unpack_from(f"{order}I", tiff, 4)[0]
    if directory + 2 > len(tiff):
        return 1
    count = struct.unpack_from(f"{order}H", tiff, directory)[0]
    for number in range(min(count, (len(tiff) - directory - 2) // 12)):
        tag, kind, _length, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * number)
        if tag == _ORIENTATION_TAG and kind == 3 and 1 <= value <= 8:
            return int(value)
    return 1
