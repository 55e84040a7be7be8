"""Files as people really drop them: damaged, misnamed, of every format, and made to do harm.

    python -m tests.support.corpus FOLDER      writes them all there, to be dropped by hand

Each says how it must end with the template's defaults. None is copied from anywhere: all are made here.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pillow_heif
from PIL import Image

from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_FORMAT = "InvalidImageFormatException"
TOO_SMALL = "InvalidParameterException"
BOMB = "TooManyPixels"
VIDEO = "VideoNotSupported"
MEBIBYTE = 1024 * 1024
ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Specimen:
    """A file, and how it ends.

    Attributes:
        name: of the file.
        make: its content.
        error: the record's ErrorCode; None where it is tagged.
        converted: reason of the conversion; None where the file itself is analysed.
        size: (width, height) of the record, where it matters.
    """

    name: str
    make: Callable[[], bytes]
    error: str | None = None
    converted: str | None = None
    size: tuple[int, int] | None = None


def picture(mode: str = "RGB", size: tuple[int, int] = (320, 240), seed: int = 0) -> Image.Image:
    """A picture that differs with its seed, in any of Pillow's modes."""
    drawn = Image.open(io.BytesIO(pictures.png(seed, size=size)))
    if mode == "I;16":
        return drawn.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    return drawn.convert(mode)


def encoded(form: str, image: Callable[[], Image.Image] = picture, **options: Any) -> Callable[[], bytes]:
    """A maker of a picture in a format of Pillow's."""

    def make() -> bytes:
        file = io.BytesIO()
        image().save(file, form, **options)
        return file.getvalue()

    return make


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def heic() -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture(seed=1)).save(file)
    return file.getvalue()


def part_of(make: Callable[[], bytes], share: float) -> Callable[[], bytes]:
    """The first part of a file, as a broken transfer leaves it."""
    return lambda: make()[: int(len(make()) * share)]


def frames(form: str) -> Callable[[], bytes]:
    """An animation of three pictures."""
    others = [picture(seed=seed) for seed in (2, 3)]
    return encoded(form, save_all=True, append_images=others)


def text(content: str) -> Callable[[], bytes]:
    return lambda: content.encode() * 40


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body


def with_segments(*segments: bytes) -> Callable[[], bytes]:
    """A JPEG with segments of somebody's after its start."""
    return lambda: jpeg()[:2] + b"".join(segments) + jpeg()[2:]


jpeg = partial(pictures.jpeg, 4)
png = partial(pictures.png, 5)


def damaged_scan() -> bytes:
    """A JPEG whose coded data is disturbed in the middle, but whole in structure."""
    content = bytearray(jpeg())
    middle = len(content) * 3 // 4
    content[middle : middle + 4] = b"\x55\x12\x34\x21"
    return bytes(content)


def many_scans() -> bytes:
    """A progressive JPEG that makes a decoder pass over the picture some 2,000 times."""
    content = encoded("JPEG", progressive=True)()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 2000 + b"\xff\xd9"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few hundred kilobytes that claims so many pixels of one bit."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(min(height, 60_000) * (width // 8 + 1) // 100), 9)
    return png()[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bmp_claiming(width: int, height: int) -> bytes:
    content = bytearray(encoded("BMP")())
    content[18:26] = struct.pack("<ii", width, height)
    return bytes(content)


def gif_claiming(width: int, height: int) -> bytes:
    content = bytearray(pictures.gif(6))
    content[6:10] = struct.pack("<HH", width, height)
    return bytes(content)


def wrong_checksum(name: bytes) -> bytes:
    content = bytearray(png())
    start = content.index(name)
    length = int.from_bytes(content[start - 4 : start])
    content[start + 4 + length] ^= 0xFF
    return bytes(content)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def film(brand: bytes) -> bytes:
    """The beginning of a film in an ISO base media file."""
    return box(b"ftyp", brand + bytes(4) + b"isommp41") + box(b"mdat", bytes(4000)) + box(b"moov", bytes(400))


def tiff_with(tag: int, value: int) -> Callable[[], bytes]:
    return encoded("TIFF", tiffinfo={tag: value})


def flat(size: tuple[int, int], colour: str = "teal") -> Callable[[], Image.Image]:
    return lambda: Image.new("RGB", size, colour)


Makers = dict[str, Callable[[], bytes]]


def _no_pictures() -> Iterator[Specimen]:
    yield Specimen("empty.jpg", lambda: b"", "EmptyObject")
    yield Specimen("empty-without-ending", lambda: b"", "EmptyObject")
    makers: Makers = {
        "one-byte.jpg": lambda: b"\xff",
        "text.jpg": text("this is no photograph\n"),
        "page.jpg": text("<!doctype html><script>alert(1)</script>\n"),
        "drawing.svg": text('<svg xmlns="http://www.w3.org/2000/svg"><rect width="99" height="99"/></svg>'),
        "document.pdf": text("%PDF-1.7\n"),
        "postscript.eps": text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n"),
        "data.json": text('{"labels": []}\n'),
        "zeros.jpg": lambda: bytes(4096),
        "archive.zip": lambda: b"PK\x03\x04" + bytes(400),
        "layers.psd": lambda: b"8BPS\x00\x01" + bytes(400),
        "song.mp3": lambda: b"ID3\x04" + bytes(400),
        "song.m4a": lambda: film(b"M4A "),
        "appledouble.jpg": lambda: b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(400),
        "raw.cr3": lambda: film(b"crx "),
        "raw.dng": tiff_with(50706, 1),
        "raw.nef": tiff_with(254, 1),
        "icon.ico": encoded("ICO"),
        "picture.jp2": encoded("JPEG2000"),
        "picture.ppm": encoded("PPM"),
        "picture.tga": encoded("TGA"),
    }
    for name, make in makers.items():
        yield Specimen(name, make, NO_FORMAT)


def _jpegs() -> Iterator[Specimen]:
    makers: Makers = {
        "cut-in-header.jpg": lambda: jpeg()[:20],
        "cut-in-half.jpg": part_of(jpeg, 0.5),
        "cut-at-the-end.jpg": lambda: jpeg()[:-200],
        "only-the-start.jpg": lambda: b"\xff\xd8\xff",
        "junk-before.jpg": lambda: b"junk" + jpeg(),
        "header-only.jpg": lambda: jpeg()[: jpeg().index(b"\xff\xda")],
    }
    for name, make in makers.items():
        yield Specimen(name, make, NO_FORMAT)
    good: Makers = {
        "damaged-inside.jpg": damaged_scan,
        "junk-behind.jpg": lambda: jpeg() + b"and more" * 99,
        "with-a-film-behind.jpg": lambda: jpeg() + film(b"mp42"),
        "progressive.jpg": encoded("JPEG", progressive=True),
        "inks.jpg": encoded("JPEG", partial(picture, "CMYK")),
        "grey.jpg": encoded("JPEG", partial(picture, "L")),
        "large-exif.jpg": with_segments(segment(0xE1, b"Exif\x00\x00" + bytes(65_000))),
        "long-preamble.jpg": with_segments(*[segment(0xE2, b"ICC_PROFILE\x00" + bytes(60_000))] * 5),
        "comment.jpg": with_segments(segment(0xFE, b"<script>alert(1)</script>")),
        "fill-bytes.jpg": lambda: jpeg()[:2] + b"\xff" * 9 + jpeg()[2:],
        "no-ending": jpeg,
        "UPPER.JPG": jpeg,
        "a-png-named.jpg": png,
        "two.endings.png.jpg": jpeg,
    }
    for name, make in good.items():
        yield Specimen(name, make)
    for orientation in range(1, 9):
        size = (240, 320) if orientation >= 5 else (320, 240)
        make = encoded("JPEG", exif=oriented(orientation))
        yield Specimen(f"orientation-{orientation}.jpg", make, size=size)
    yield Specimen("orientation-99.jpg", encoded("JPEG", exif=oriented(99)), size=(320, 240))
    yield Specimen("many-scans.jpg", many_scans, "TooManyScans")


def _pngs() -> Iterator[Specimen]:
    makers: Makers = {
        "cut-in-half.png": part_of(png, 0.5),
        "without-end.png": lambda: png()[:-12],
        "wrong-checksum-of-header.png": lambda: wrong_checksum(b"IHDR"),
        "wrong-checksum-of-data.png": lambda: wrong_checksum(b"IDAT"),
        "signature-only.png": lambda: png()[:8],
    }
    for name, make in makers.items():
        yield Specimen(name, make, NO_FORMAT)
    good: Makers = {
        "a-jpeg-named.png": jpeg,
        "palette.png": encoded("PNG", partial(picture, "P"), transparency=0),
        "transparent.png": encoded("PNG", partial(picture, "RGBA")),
        "grey-and-transparent.png": encoded("PNG", partial(picture, "LA")),
        "one-bit.png": encoded("PNG", partial(picture, "1")),
        "sixteen-bits.png": encoded("PNG", partial(picture, "I;16")),
        "animated.png": frames("PNG"),
    }
    for name, make in good.items():
        yield Specimen(name, make)
    # Rekognition leaves a PNG as it is stored.
    yield Specimen("orientation-6.png", encoded("PNG", exif=oriented(6)), size=(320, 240))


def _sizes() -> Iterator[Specimen]:
    for name, size in {"one-pixel.png": (1, 1), "79-pixels.jpg": (79, 79), "thin.jpg": (20_000, 20)}.items():
        converted = "PIXELS" if max(size) > 10_000 else None
        form = "PNG" if name.endswith("png") else "JPEG"
        yield Specimen(name, encoded(form, flat(size)), TOO_SMALL, converted, size)
    yield Specimen("80-pixels.jpg", encoded("JPEG", flat((80, 80))), size=(80, 80))
    yield Specimen("10000-pixels.jpg", encoded("JPEG", flat((10_000, 80))), size=(10_000, 80))
    yield Specimen(
        "10001-pixels.jpg", encoded("JPEG", flat((10_001, 100))), converted="PIXELS", size=(10_001, 100)
    )
    yield Specimen(
        "10001-pixels.png", encoded("PNG", flat((120, 10_001))), converted="PIXELS", size=(120, 10_001)
    )
    yield Specimen(
        "108-megapixels.jpg", encoded("JPEG", flat((12_000, 9_000))), converted="PIXELS", size=(12_000, 9_000)
    )
    yield Specimen("15-mb.jpg", lambda: jpeg().ljust(15 * MEBIBYTE, b"\x00"))
    yield Specimen("more-than-15-mb.jpg", lambda: jpeg().ljust(15 * MEBIBYTE + 1, b"\x00"), converted="BYTES")
    yield Specimen(
        "more-than-15-mb.png",
        lambda: png()[:33] + chunk(b"prVt", bytes(15 * MEBIBYTE)) + png()[33:],
        converted="BYTES",
    )
    yield Specimen("bomb.png", lambda: png_claiming(60_000, 60_000), BOMB)
    yield Specimen("bomb.bmp", lambda: bmp_claiming(60_000, 60_000), BOMB)
    yield Specimen("bomb.gif", lambda: gif_claiming(65_000, 65_000), BOMB)


def _converted() -> Iterator[Specimen]:
    makers: Makers = {
        "phone.heic": heic,
        "a-heic-named.jpg": heic,
        "picture.avif": encoded("AVIF"),
        "picture.webp": encoded("WEBP"),
        "transparent.webp": encoded("WEBP", partial(picture, "RGBA"), lossless=True),
        "animated.webp": frames("WEBP"),
        "picture.gif": partial(pictures.gif, 7),
        "animated.gif": frames("GIF"),
        "picture.tiff": encoded("TIFF"),
        "compressed.tiff": encoded("TIFF", compression="tiff_lzw"),
        "sixteen-bits.tiff": encoded("TIFF", partial(picture, "I;16")),
        "inks.tiff": encoded("TIFF", partial(picture, "CMYK")),
        "pages.tiff": frames("TIFF"),
        "picture.bmp": encoded("BMP"),
        "one-bit.bmp": encoded("BMP", partial(picture, "1")),
    }
    for name, make in makers.items():
        yield Specimen(name, make, converted="FORMAT", size=(320, 240))
    for form, ending in (("WEBP", "webp"), ("TIFF", "tiff"), ("AVIF", "avif")):
        make = encoded(form, exif=oriented(6))
        yield Specimen(f"orientation-6.{ending}", make, converted="FORMAT", size=(240, 320))
    for name in ("phone.heic", "picture.avif", "picture.webp", "picture.gif", "picture.tiff", "picture.bmp"):
        yield Specimen(f"cut-{name}", part_of(makers[name], 0.6), NO_FORMAT)
    yield Specimen("small.webp", encoded("WEBP", flat((40, 40))), TOO_SMALL, "FORMAT", (40, 40))


def _films() -> Iterator[Specimen]:
    makers: Makers = {
        "film.mp4": lambda: film(b"mp42"),
        "film.mov": lambda: film(b"qt  "),
        "a-film-named.jpg": lambda: film(b"isom"),
        "old-film.mov": lambda: box(b"moov", bytes(400)) + box(b"mdat", bytes(4000)),
        "film.webm": lambda: b"\x1aE\xdf\xa3" + bytes(400),
        "film.avi": lambda: b"RIFF" + struct.pack("<I", 400) + b"AVI LIST" + bytes(400),
    }
    for name, make in makers.items():
        yield Specimen(name, make, VIDEO)


CORPUS: tuple[Specimen, ...] = (
    *_no_pictures(), *_jpegs(), *_pngs(), *_sizes(), *_converted(), *_films(),
)  # fmt: skip


def write(folder: Path) -> int:
    """Write all files into a folder; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for specimen in CORPUS:
        (folder / specimen.name).write_bytes(specimen.make())
    return len(CORPUS)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.support.corpus FOLDER")
    print(f"{write(Path(sys.argv[1]))} files in {sys.argv[1]}")
