"""A smaller copy of a picture that has too many bytes for AWS to take inline."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from darkroom.rekognition.errors import invalid_image_format
from darkroom.rekognition.images import Format, inspect

if TYPE_CHECKING:
    from PIL.Image import Image

_SHARES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)
_QUALITY = 90


def fitting_copy(data: bytes, *, limit_bytes: int) -> bytes:
    """A JPEG of the whole picture, upright, as large as fits.

    Boxes in an answer are shares of the picture, so they hold for the original too.

    Raises:
        ServiceError: InvalidImageFormatException where the picture cannot be decoded.
    """
    image = _decoded(data)
    copy = b""
    for share in _SHARES:
        size = (max(80, round(image.width * share)), max(80, round(image.height * share)))
        stream = io.BytesIO()
        image.resize(size).save(stream, "JPEG", quality=_QUALITY)
        copy = stream.getvalue()
        if len(copy) <= limit_bytes:
            break
    return copy


def _decoded(data: bytes) -> Image:
    from PIL import Image, ImageOps, UnidentifiedImageError

    picture = inspect(data)
    try:
        with Image.open(io.BytesIO(data)) as image:
            # as the service does: a JPEG's orientation is applied, a PNG's is not
            upright = ImageOps.exif_transpose(image) if picture.format is Format.JPEG else image
            return upright.convert("RGB")
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        raise invalid_image_format() from None
