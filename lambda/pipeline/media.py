"""What a file is, judged by its first bytes and never by its name.

Signatures: JPEG ITU-T T.81, PNG https://www.w3.org/TR/png-3/#5PNG-file-signature, WebP RFC 9649, GIF89a, TIFF 6.0,
BMP, ISO base media files (ISO/IEC 14496-12: HEIC, AVIF, MP4, QuickTime), Matroska RFC 9559.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a file is, in the words of the record's `Converted.From`."""

    JPEG = "JPEG"
    PNG = "PNG"
    HEIC = "HEIC"
    AVIF = "AVIF"
    WEBP = "WebP"
    GIF = "GIF"
    TIFF = "TIFF"
    BMP = "BMP"
    VIDEO = "video"
    UNKNOWN = "unknown"


TAKEN_BY_REKOGNITION = frozenset({Kind.JPEG, Kind.PNG})
"""https://docs.aws.amazon.com/rekognition/latest/dg/limits.html"""
PICTURES = frozenset(Kind) - {Kind.VIDEO, Kind.UNKNOWN}

_SIGNATURES = {
    b"\xff\xd8\xff": Kind.JPEG,
    b"\x89PNG\r\n\x1a\n": Kind.PNG,
    b"GIF87a": Kind.GIF,
    b"GIF89a": Kind.GIF,
    b"II*\x00": Kind.TIFF,
    b"MM\x00*": Kind.TIFF,
    b"BM": Kind.BMP,
    b"\x1aE\xdf\xa3": Kind.VIDEO,  # Matroska and WebM
    b"\x00\x00\x01\xba": Kind.VIDEO,  # MPEG program stream
}
_RIFF = {b"WEBP": Kind.WEBP, b"AVI ": Kind.VIDEO}
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_NO_PICTURES = frozenset({b"M4A ", b"M4B ", b"M4P ", b"crx "})
"""Brands of sound and of camera raw files."""
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
"""First boxes of QuickTime files that are older than the `ftyp` box."""


def kind_of(head: bytes) -> Kind:
    """What a file is, from its first bytes (64 are enough)."""
    box = head[4:8]
    if box == b"ftyp":
        return _by_brands(head)
    if box in _OLD_QUICKTIME:
        return Kind.VIDEO
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], Kind.UNKNOWN)
    return next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), Kind.UNKNOWN)


def _by_brands(head: bytes) -> Kind:
    """An ISO base media file: the major brand decides, then those that it is compatible with."""
    end = min(int.from_bytes(head[:4]), len(head))
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, end, 4))]
    if brands[0] in _NO_PICTURES:
        return Kind.UNKNOWN
    if _AVIF_BRANDS & set(brands):
        return Kind.AVIF
    return Kind.HEIC if _HEIC_BRANDS & set(brands[:1]) or b"heic" in brands else Kind.VIDEO
