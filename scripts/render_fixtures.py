#!/usr/bin/env python3
"""Draw the two fixture pictures that are not photographs: a shop sign to read, and a harmless still life to moderate.

    python scripts/render_fixtures.py [FOLDER]          (fixtures/images by default)

The pictures are drawn with Pillow's own font, so they come out the same wherever the same Pillow draws them. Their
fixtures know them by their bytes: after a change here, run ``darkroom rekognition add`` or put the printed SHA-256
into fixtures/rekognition/authored/.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

IMAGES = Path(__file__).resolve().parent.parent / "fixtures" / "images"


def shop_sign() -> Image.Image:
    """A sign with four lines of text of different size."""
    image = Image.new("RGB", (640, 480), (46, 74, 62))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((40, 40, 600, 440), radius=24, outline=(236, 224, 190), width=6)
    for text, top, size, colour in (
        ("DARKROOM", 78, 92, (250, 240, 210)),
        ("Film & Prints", 196, 52, (236, 224, 190)),
        ("Open 9 - 18", 286, 44, (236, 224, 190)),
        ("Monday to Friday", 358, 34, (200, 190, 160)),
    ):
        draw.text((320, top), text, font=ImageFont.load_default(size), fill=colour, anchor="ma")
    return image


def still_life() -> Image.Image:
    """A drawn glass and bottle of wine on a table: alcohol, and nothing worse."""
    image = Image.new("RGB", (640, 480), (232, 222, 204))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 340, 640, 480), fill=(140, 96, 60))
    draw.rectangle((230, 150, 320, 380), fill=(36, 66, 44))
    draw.polygon(((230, 150), (258, 100), (292, 100), (320, 150)), fill=(36, 66, 44))
    draw.rectangle((258, 50, 292, 104), fill=(36, 66, 44))
    draw.rectangle((256, 40, 294, 66), fill=(120, 24, 36))
    draw.rectangle((238, 220, 312, 310), fill=(238, 230, 206))
    draw.pieslice((380, 120, 500, 300), 0, 180, fill=(122, 20, 44), outline=(70, 70, 80), width=3)
    draw.arc((380, 120, 500, 300), 180, 360, fill=(180, 180, 190), width=2)
    draw.line((440, 300, 440, 388), fill=(120, 120, 130), width=6)
    draw.ellipse((392, 380, 488, 402), fill=(200, 200, 208), outline=(120, 120, 130), width=2)
    return image


PICTURES = {"shop-sign.png": shop_sign, "still-life-with-wine.png": still_life}


def main() -> int:
    """Draw them all and print what a fixture needs to know."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    for name, draw in PICTURES.items():
        path = folder / name
        draw().save(path, format="PNG", compress_level=9)
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
