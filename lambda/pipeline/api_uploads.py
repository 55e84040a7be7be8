"""Uploads: the server makes the key and says what may be stored under it; the browser sends the file to S3 itself."""

from __future__ import annotations

import secrets
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.api_addresses import FORM_SECONDS
from pipeline.api_ids import id_of
from pipeline.api_models import Upload, Uploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.api_addresses import Addresses
    from pipeline.api_models import WantedFile, WantedUploads

TYPES = {
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "image/png": ("png",),
    "image/webp": ("webp",),
    "image/gif": ("gif",),
    "image/bmp": ("bmp",),
    "image/tiff": ("tif", "tiff"),
    "image/heic": ("heic", "heif"),
    "image/avif": ("avif",),
}
"""Media types that may be uploaded, and the file names by which they are known where a browser says none."""
_MAX_NAME_BYTES = 600
"""Of the 1,024 bytes of a key, for the path as the user named it."""


class UploadForms:
    """Makes upload forms.

    Args:
        addresses: signs them.
        prefix: what all keys begin with.
        max_bytes: size of the largest file.
        now: the clock.
    """

    def __init__(
        self,
        addresses: Addresses,
        *,
        prefix: str,
        max_bytes: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._addresses = addresses
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._now = now

    def make(self, wanted: WantedUploads) -> Uploads:
        """A form for each file, or why there is none."""
        folder = f"{self._prefix}{self._now():%Y/%m/%d}/{secrets.token_hex(5)}"
        uploads = [self._form(file, f"{folder}-{number}") for number, file in enumerate(wanted.files)]
        return Uploads(uploads=uploads, expires_in_seconds=FORM_SECONDS)

    def _form(self, file: WantedFile, folder: str) -> Upload:
        content_type = media_type(file.name, file.type)
        refusal = self._refusal(file, content_type)
        if content_type is None or refusal is not None:
            return Upload(name=file.name, refusal=refusal)
        key = f"{folder}/{safe_path(file.name)}"
        form = self._addresses.form(key, content_type=content_type, max_bytes=self._max_bytes)
        return Upload(name=file.name, id=id_of(key), key=key, url=form["url"], fields=form["fields"])

    def _refusal(self, file: WantedFile, content_type: str | None) -> str | None:
        if content_type is None:
            known = ", ".join(sorted(names[0] for names in TYPES.values()))
            return f"This is no picture of a kind that can be uploaded ({known})."
        if file.size_bytes == 0:
            return "The file is empty."
        if file.size_bytes > self._max_bytes:
            return (
                f"The file has {_mb(file.size_bytes)} MB; {_mb(self._max_bytes)} MB can be uploaded at most."
            )
        return None


def media_type(name: str, said: str) -> str | None:
    """The type that a file is stored with: what the browser says, else what its name says; None for no picture."""
    said = said.partition(";")[0].strip().lower()
    if said in TYPES:
        return said
    ending = name.rpartition(".")[2].lower()
    by_name = next((known for known, endings in TYPES.items() if ending in endings), None)
    return by_name if said in {"", "application/octet-stream", "image/jpg", "image/heif"} else None


def safe_path(name: str) -> str:
    """A path as a key may hold it: the user's own words, less what no path holds.

    Control characters, empty parts and `.`, `..` go; a name that is too long keeps its end, which is the file's.
    """
    text = unicodedata.normalize("NFC", name).replace("\\", "/")
    text = "".join(char for char in text if unicodedata.category(char)[0] != "C")
    parts = [part for part in (each.strip() for each in text.split("/")) if part not in {"", ".", ".."}]
    path = "/".join(parts) or "picture"
    return path.encode()[-_MAX_NAME_BYTES:].decode(errors="ignore").lstrip("/")


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1_000_000:.1f}".removesuffix(".0")
