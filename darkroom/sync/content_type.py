"""Which Content-Type a file gets: by its first bytes where they are known, else by its name.

The first bytes win because the name lies often (a GIF named .png), and because a browser shows what the
header says.
"""

from __future__ import annotations

import mimetypes

HEAD_BYTES = 32  # enough for every rule below
UNKNOWN = "application/octet-stream"

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)

# ISO base media files name their kind in the "major brand", bytes 8 to 12 of the leading `ftyp` box.
_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic-sequence",
    b"hevx": "image/heic-sequence",
    b"mif1": "image/heif",
    b"msf1": "image/heif-sequence",
    b"avif": "image/avif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
}

# Only Python's own table: the machine's /etc/mime.types would make two machines differ.
_BY_NAME = mimetypes.MimeTypes(filenames=())
for _ending, _type in (
    (".webp", "image/webp"),
    (".heic", "image/heic"),
    (".heif", "image/heif"),
    (".avif", "image/avif"),
):
    _BY_NAME.add_type(_type, _ending)
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def content_type(head: bytes, name: str) -> str:
    """The Content-Type of a file.

    Args:
        head: its first `HEAD_BYTES` bytes, fewer when the file is shorter.
        name: its name; only the ending counts, and only when the bytes say nothing.
    """
    return _by_bytes(head) or _by_name(name)


def _by_bytes(head: bytes) -> str | None:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    # "BM" alone is too common at the start of a text; a bitmap also has four reserved zero bytes.
    if head[:2] == b"BM" and head[6:10] == b"\x00\x00\x00\x00":
        return "image/bmp"
    return None


def _by_name(name: str) -> str:
    # A "data:" name would be read as a URL by guess_type: only the ending is handed over.
    _, dot, ending = name.rpartition(".")
    kind, encoding = _BY_NAME.guess_type("x" + dot + ending) if dot else (None, None)
    if encoding:
        return _COMPRESSED.get(encoding, UNKNOWN)
    return kind or UNKNOWN
