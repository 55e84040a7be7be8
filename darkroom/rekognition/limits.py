"""How large a picture may be, per operation.

From the developer guide: 15 MB from S3, 5 MB as bytes (4 MB for protective equipment), at least 80 pixels a
side (64 for protective equipment), at most 10,000 a side for DetectLabels and DetectModerationLabels and
4,096 for protective equipment. For the other operations no largest side is documented; 10,000 is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bytes and pixels that one operation takes."""

    most_bytes_s3: int = 15 * _MIB
    most_bytes_inline: int = 5 * _MIB
    least_pixels: int = 80
    most_pixels: int = 10_000


_COMMON = ImageLimits()

IMAGE_LIMITS = {
    "CompareFaces": _COMMON,
    "DetectFaces": _COMMON,
    "DetectLabels": _COMMON,
    "DetectModerationLabels": _COMMON,
    "DetectProtectiveEquipment": ImageLimits(most_bytes_inline=4 * _MIB, least_pixels=64, most_pixels=4096),
    "DetectText": _COMMON,
    "RecognizeCelebrities": _COMMON,
}
