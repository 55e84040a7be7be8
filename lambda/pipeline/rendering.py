"""Pictures are decoded and drawn anew here: upright, small, as JPEG. The only module that loads Pillow.

What reaches a decoder comes from strangers. Only the formats that are meant are tried, only the first picture of a
file is decoded, and a file that claims more pixels than fit in the function's memory is refused before any of
them is decoded; a JPEG, which the decoder reduces while it reads, may be larger than the others.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import cast

from PIL import Image, ImageOps

from pipeline.errors import ImageRefusedError
from pipeline.media import Kind
from pipeline.pixels import Size

MOST_PIXELS = 100_000_000
MOST_JPEG_PIXELS = 210_000_000
"""The largest cameras of phones take 200 megapixels."""

_QUALITY = 85
_LARGEST_PROFILE_BYTES = 64 * 1024
_FORMATS = {
    Kind.JPEG: "JPEG",
    Kind.PNG: "PNG",
    Kind.HEIC: "HEIF",
    Kind.AVIF: "AVIF",
    Kind.WEBP: "WEBP",
    Kind.GIF: "GIF",
    Kind.TIFF: "TIFF",
    Kind.BMP: "BMP",
}
_TURNED_BY_EXIF = frozenset({Kind.JPEG, Kind.WEBP, Kind.AVIF})
"""Decoders of the others turn the picture themselves (HEIC, TIFF), or it is not to be turned: Rekognition leaves a PNG
as it is stored, whatever orientation it names, and boxes refer to that."""
_ORIENTATION, _SUBFILE_TYPE, _DNG_VERSION = 0x0112, 254, 50706
_LYING = frozenset({5, 6, 7, 8})

Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit lies below what Rekognition takes; `_check_pixels` is ours


class UndecodableError(Exception):
    """The file cannot be decoded; the message says why."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture as it was drawn anew.

    Attributes:
        content: a JPEG.
        drawn: its pixels.
        size: pixels of the whole picture, upright.
    """

    content: bytes
    drawn: Size
    size: Size


def draw(content: bytes, kind: Kind, *, side: int) -> Drawing:
    """Decode a picture and draw it upright, at most `side` pixels wide and high; it is never enlarged.

    Raises:
        ImageRefusedError: it claims more pixels than are decoded.
        UndecodableError: it is damaged, or holds no picture that is meant to be seen.
    """
    try:
        with _open(content, kind) as picture:
            _check_pixels(picture.width * picture.height, kind)
            if kind is Kind.TIFF:
                _check_is_no_raw_file(picture)
            lying = kind in _TURNED_BY_EXIF and picture.getexif().get(_ORIENTATION) in _LYING
            size = Size(picture.height, picture.width) if lying else Size(picture.width, picture.height)
            profile = picture.info.get("icc_profile") if picture.mode in {"RGB", "RGBA", "L"} else None
            small = _reduced(picture, side)
            if kind in _TURNED_BY_EXIF:
                small = ImageOps.exif_transpose(small)
            return Drawing(_jpeg(_opaque(small), profile), Size(small.width, small.height), size)
    except (ImageRefusedError, MemoryError):
        raise
    # Decoders say by all kinds of exceptions that a file is damaged, and all of them mean the same here.
    except Exception as error:
        raise UndecodableError(f"{type(error).__name__}: {error}") from error


def _open(content: bytes, kind: Kind) -> Image.Image:
    if kind is Kind.HEIC:
        _register_heic()
    return Image.open(io.BytesIO(content), formats=(_FORMATS[kind],))


@cache
def _register_heic() -> None:
    """Loaded for the first HEIC only: most workers never meet one."""
    import pi_heif

    pi_heif.register_heif_opener()


def _check_pixels(pixels: int, kind: Kind) -> None:
    most = MOST_JPEG_PIXELS if kind is Kind.JPEG else MOST_PIXELS
    if pixels > most:
        raise ImageRefusedError(
            "TooManyPixels",
            f"The picture claims {pixels / 1e6:,.0f} megapixels; a {kind} of at most {most / 1e6:.0f} is decoded.",
        )


def _check_is_no_raw_file(picture: Image.Image) -> None:
    """Cameras' raw files are TIFFs whose first picture is a thumbnail: its labels would not be the picture's."""
    tags = picture.getexif()
    if tags.get(_SUBFILE_TYPE, 0) & 1 or _DNG_VERSION in tags:
        raise UndecodableError("a camera's raw file, of which only a thumbnail could be read")


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    """The picture in at most so many pixels, in a mode that can be reduced smoothly."""
    if picture.mode in {"P", "PA"}:
        picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode.startswith("I") or picture.mode == "F":
        picture = _in_bytes(picture)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=1.0)
    return picture


def _in_bytes(picture: Image.Image) -> Image.Image:
    """A picture of 16 or 32 bits a pixel in 8: the whole range of 16 bits, or from the darkest to the brightest."""
    values = picture.convert("F")
    low, high = (0.0, 65_535.0)
    if not picture.mode.startswith("I;16"):
        low, high = cast("tuple[float, float]", values.getextrema())
    step = 255 / (high - low) if high > low else 1.0
    return values.point(lambda value: value * step - low * step).convert("L")


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture in colours or grey, on white where it is transparent."""
    if picture.mode in {"RGB", "L"}:
        return picture
    if picture.mode not in {"RGBA", "LA", "La", "RGBa"} and "transparency" not in picture.info:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    paper = Image.new("RGB", layer.size, "white")
    paper.paste(layer, mask=layer.getchannel("A"))
    return paper


def _jpeg(picture: Image.Image, profile: bytes | None) -> bytes:
    """Without Exif: a preview tells nobody where the photograph was taken."""
    file = io.BytesIO()
    fitting = profile if profile and len(profile) <= _LARGEST_PROFILE_BYTES else None
    picture.save(file, "JPEG", quality=_QUALITY, icc_profile=fitting, exif=b"")
    return file.getvalue()
