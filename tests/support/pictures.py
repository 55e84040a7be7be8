"""Pictures for tests, made from scratch so that each is another."""

from __future__ import annotations

import io
import random

from PIL import Image


def jpeg(seed: int = 0, *, size: tuple[int, int] = (320, 240)) -> bytes:
    """A small JPEG whose content depends on the seed."""
    return _encoded(seed, size, "JPEG")


def png(seed: int = 0, *, size: tuple[int, int] = (320, 240)) -> bytes:
    return _encoded(seed, size, "PNG")


def gif(seed: int = 0, *, size: tuple[int, int] = (320, 240)) -> bytes:
    return _encoded(seed, size, "GIF")


def noisy_jpeg(seed: int, *, size_bytes: int) -> bytes:
    """A JPEG of about the given size: like a photograph, it does not compress further."""
    side = max(96, round((size_bytes / 0.85) ** 0.5))
    noise = random.Random(seed).randbytes(side * side)
    picture = Image.frombytes("L", (side, side), noise)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def _encoded(seed: int, size: tuple[int, int], form: str) -> bytes:
    dice = random.Random(seed)
    picture = Image.new("RGB", size, tuple(dice.randbytes(3)))
    for _ in range(8):
        corner = (dice.randrange(size[0]), dice.randrange(size[1]))
        patch = Image.new("RGB", (dice.randrange(8, 80), dice.randrange(8, 80)), tuple(dice.randbytes(3)))
        picture.paste(patch, corner)
    file = io.BytesIO()
    picture.save(file, form)
    return file.getvalue()
