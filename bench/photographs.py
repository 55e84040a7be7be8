"""Photographs of 300 KB, each with another content, made without a camera."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tests.support.pictures import noisy_jpeg

if TYPE_CHECKING:
    from pathlib import Path

SIZE_BYTES = 300_000


class Photographs:
    """One JPEG of noise, made different by a comment in it: as large as a photograph and as hard to compress."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _base(self) -> bytes:
        return noisy_jpeg(1, size_bytes=420_000)

    def content(self, number: int) -> bytes:
        """The photograph of this number."""
        comment = f"photograph {number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        return self._base[:2] + segment + self._base[2:]

    def copy_to(self, folder: Path, count: int) -> None:
        """Write `count` photographs as a person's copy does: one after the other, each closed."""
        for number in range(count):
            (folder / f"{number}.jpg").write_bytes(self.content(number))
