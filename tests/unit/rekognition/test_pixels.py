"""What is read from the pixels: formats, orientation, bands, IMAGE_PROPERTIES."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter

from darkroom.rekognition import pixels
from darkroom.rekognition.colours import css_colours, nearest
from darkroom.rekognition.images import Format, inspect
from darkroom.rekognition.pixels import reduced, sample

from .helpers import Caller, in_s3, inline, noise, photo, picture, write_fixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def saved(image: Image.Image, **save: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **save)
    return stream.getvalue()


def half_red_half_blue() -> Image.Image:
    image = Image.new("RGB", (200, 100), (220, 20, 20))
    image.paste((20, 20, 220), (100, 0, 200, 100))
    return image


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (photo("cat-chelsea.png"), Format.PNG, (451, 300)),
        (photo("rocket-launch.jpg"), Format.JPEG, (640, 427)),
        (noise(100, 90, format="JPEG", progressive=True), Format.JPEG, (100, 90)),
        (saved(Image.new("CMYK", (90, 95)), format="JPEG"), Format.JPEG, (90, 95)),
        (saved(Image.new("L", (90, 95)), format="JPEG"), Format.JPEG, (90, 95)),
        (picture(81, 82) + b"something after the end", Format.PNG, (81, 82)),
        (picture(81, 82, format="JPEG") + b"something after the end", Format.JPEG, (81, 82)),
    ],
    ids=["png", "jpeg", "progressive", "cmyk", "grey", "png with a tail", "jpeg with a tail"],
)
def test_format_and_size_are_read_from_the_structure(
    data: bytes, kind: Format, size: tuple[int, int]
) -> None:
    found = inspect(data)
    assert (found.format, found.upright_size) == (kind, size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpegs_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = inspect(saved(half_red_half_blue(), format="JPEG", exif=exif))
    assert found.orientation == orientation
    assert found.upright_size == ((100, 200) if orientation >= 5 else (200, 100))
    upright = reduced(found)
    assert upright.size == found.upright_size
    width, height = upright.size
    first = upright.getpixel((width // 2, 2) if orientation >= 5 else (2, height // 2))
    assert isinstance(first, tuple)
    starts_red = orientation in (1, 4, 5, 6)
    assert (first[0] > first[2]) is starts_red


def test_a_pngs_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert inspect(saved(half_red_half_blue(), format="PNG", exif=exif)).upright_size == (200, 100)


async def test_dimensions_in_an_error_are_upright(call: Caller) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.new("RGB", (10_001, 90)), format="JPEG", exif=exif)
    assert "90 x 10001" in (await call.error("DetectLabels", Image=inline(data)))[2]


PNG_KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "rgb": lambda image: image.copy(),
    "rgba": lambda image: image.convert("RGBA"),
    "grey": lambda image: image.convert("L"),
    "grey with alpha": lambda image: image.convert("LA"),
    "palette": lambda image: image.quantize(64),
    "one bit": lambda image: image.convert("1"),
}


@pytest.mark.parametrize("kind", PNG_KINDS)
def test_a_png_decoded_in_bands_is_the_picture_that_pillow_decodes_whole(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = PNG_KINDS[kind](Image.open(io.BytesIO(photo("coffee.png"))))
    data = saved(image, format="PNG")
    monkeypatch.setattr(pixels, "_BAND_BYTES", 20_000)
    ours = reduced(inspect(data))
    theirs = Image.open(io.BytesIO(data)).convert("RGB").resize(ours.size, Image.Resampling.BOX)
    difference = ImageChops.difference(ours, theirs).convert("L")
    assert sum(value * count for value, count in enumerate(difference.histogram())) / (256 * 171) < 2.5


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.new("I;16", (90, 90), 30_000), format="PNG"),
        noise(90, 90, format="JPEG", progressive=True),
        saved(Image.new("CMYK", (90, 95), (10, 200, 30, 0)), format="JPEG"),
    ],
    ids=["16 bits", "progressive", "cmyk"],
)
def test_unusual_pictures_are_read_too(data: bytes) -> None:
    assert sample(inspect(data)).size == (32, 32)
    assert max(reduced(inspect(data)).size) <= 256


def test_an_interlaced_png_is_read_from_its_first_pass() -> None:
    """Pillow does not write interlaced files, so one is made: every pixel of the first pass has its own value."""
    import struct
    import zlib

    width = height = 80
    lines = b""
    for start_x, start_y, step_x, step_y in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        line = b"\x00" + bytes((x * 3) & 0xFF for x in range(start_x, width, step_x))
        lines += line * len(range(start_y, height, step_y))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, chunk in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        data += struct.pack(">I", len(chunk)) + kind + chunk + struct.pack(">I", zlib.crc32(kind + chunk))
    small = reduced(inspect(data)).convert("L")
    assert small.size == (80, 80)
    assert small.getpixel((0, 0)) == 0
    assert small.getpixel((79, 40)) == 72 * 3


async def properties(call: Caller, data: bytes, **settings: Any) -> dict[str, Any]:
    answer = await call.ok(
        "DetectLabels",
        Image=inline(data),
        Features=["IMAGE_PROPERTIES"],
        Settings={"ImageProperties": settings},
    )
    return dict(answer["ImageProperties"])


async def test_quality_follows_the_picture(call: Caller) -> None:
    coffee = Image.open(io.BytesIO(photo("coffee.png"))).convert("RGB")
    as_it_is = (await properties(call, saved(coffee, format="PNG")))["Quality"]
    darker = (await properties(call, saved(coffee.point(lambda value: value * 0.5), format="PNG")))["Quality"]
    blurred = (await properties(call, saved(coffee.filter(ImageFilter.GaussianBlur(6)), format="PNG")))[
        "Quality"
    ]
    faded = (await properties(call, saved(coffee.point(lambda value: 100 + value * 0.2), format="PNG")))[
        "Quality"
    ]
    assert darker["Brightness"] < as_it_is["Brightness"] * 0.6
    assert blurred["Sharpness"] < as_it_is["Sharpness"] * 0.6
    assert faded["Contrast"] < as_it_is["Contrast"] * 0.4
    for quality in (as_it_is, darker, blurred, faded):
        assert all(0 <= value <= 100 for value in quality.values())


async def test_a_plain_picture_has_one_colour_with_its_css_name(call: Caller) -> None:
    found = await properties(call, picture(colour=(0x2F, 0x4F, 0x4F)))
    (colour,) = found["DominantColors"]
    assert colour == {
        "Red": 47,
        "Blue": 79,
        "Green": 79,
        "HexCode": "#2f4f4f",
        "CSSColor": "darkslategrey",
        "SimplifiedColor": "grey",
        "PixelPercent": 100.0,
    }
    assert found.keys() == {"Quality", "DominantColors", "Foreground", "Background"}
    assert "Contrast" in found["Quality"]
    assert "Contrast" not in found["Foreground"]["Quality"]


async def test_foreground_and_background_have_their_own_colours(call: Caller) -> None:
    image = Image.new("RGB", (300, 200), (255, 255, 255))
    image.paste((220, 20, 20), (100, 60, 200, 140))
    found = await properties(call, saved(image, format="PNG"))
    assert found["Foreground"]["DominantColors"][0]["SimplifiedColor"] == "red"
    assert found["Background"]["DominantColors"][0]["SimplifiedColor"] == "white"
    assert found["DominantColors"][0]["SimplifiedColor"] == "white"


@pytest.mark.parametrize(("most", "count"), [(0, 0), (1, 1), (2, 2), (20, 3)])
async def test_max_dominant_colors_is_a_limit(call: Caller, most: int, count: int) -> None:
    image = Image.new("RGB", (300, 100), (255, 0, 0))
    image.paste((0, 0, 255), (100, 0, 200, 100))
    image.paste((255, 255, 0), (200, 0, 300, 100))
    found = await properties(call, saved(image, format="PNG"), MaxDominantColors=most)
    assert len(found["DominantColors"]) == count


async def test_instances_have_colours_only_with_both_features_and_not_twice_for_one_box(call: Caller) -> None:
    image = in_s3("astronaut-eileen-collins.png")
    both = await call.ok("DetectLabels", Image=image, Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"])
    plain = await call.ok("DetectLabels", Image=image)
    by_name = {label["Name"]: label for label in both["Labels"]}
    assert by_name["Person"]["Instances"][0]["DominantColors"]
    assert by_name["Woman"]["Instances"][0]["DominantColors"] == []
    assert by_name["Helmet"]["Instances"][0]["DominantColors"][0]["CSSColor"] == "black"
    assert "DominantColors" not in plain["Labels"][0]["Instances"][0]
    assert "ImageProperties" not in plain
    only = await call.ok("DetectLabels", Image=image, Features=["IMAGE_PROPERTIES"])
    assert only["Labels"] == []
    assert only["ImageProperties"] == both["ImageProperties"]


@pytest.mark.parametrize(
    "box",
    ["{}", "{Left: 1.2, Width: 0.1}", "{Left: -0.2, Top: -0.1, Width: 1.9, Height: 1.3}", "{Width: 0.0}"],
)
async def test_literal_answers_with_odd_boxes_are_coloured_without_a_failure(
    own: Caller, tmp_path: Path, box: str
) -> None:
    import hashlib

    data = noise(90, 90)
    label = f"{{Name: X, Confidence: 90.0, Instances: [{{BoundingBox: {box}}}, {{Confidence: 5.0}}]}}"
    head = f"image: {{sha256: {hashlib.sha256(data).hexdigest()}}}\n"
    write_fixture(
        tmp_path,
        "odd",
        head + f"answers: {{DetectLabels: {{Labels: [{label}]}}, DetectFaces: {{FaceDetails: [{{}}]}}}}\n",
    )
    both = ["GENERAL_LABELS", "IMAGE_PROPERTIES"]
    answer = await own.ok("DetectLabels", Image=inline(data), Features=both)
    assert len(answer["Labels"][0]["Instances"]) == 2
    match = await own.ok("CompareFaces", SourceImage=inline(data), TargetImage=inline(data))
    assert match["SourceImageFace"] == {}


def test_there_are_twelve_simple_colours_and_every_css_value_once() -> None:
    assert len({colour.simple_name for colour in css_colours()}) == 12
    assert len({colour.hex_code for colour in css_colours()}) == len(css_colours()) == 139


@given(st.sampled_from(css_colours()))
def test_a_css_colour_is_nearest_to_itself(colour: Any) -> None:
    assert nearest(colour.red, colour.green, colour.blue) == colour
