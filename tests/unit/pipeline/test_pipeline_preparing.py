"""What a file is, its preview and its conversion: every file of the corpus, and what previews must keep to."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import pytest
from PIL import Image

from pipeline import preparing, rendering
from pipeline.analysis import Trust
from pipeline.errors import ImageRefusedError
from pipeline.media import Kind, kind_of
from pipeline.pixels import Size
from pipeline.plain_jpeg import read_plain
from pipeline.preparing import PREVIEW_SIDE, Prepared, Reason
from tests.support import corpus, pictures
from tests.support.corpus import CORPUS, Specimen, encoded, flat, oriented, picture

OURS = {"TooManyPixels", "TooManyScans", "VideoNotSupported"}
"""Refusals that need no request to Rekognition."""

prepare = partial(preparing.prepare, convert=True)


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    image = Image.open(io.BytesIO(content), formats=("JPEG",))
    image.load()
    return image


@pytest.mark.parametrize("specimen", CORPUS, ids=lambda it: it.name)
def test_each_file_of_the_corpus_is_prepared_as_it_is_to_end(specimen: Specimen) -> None:
    content = specimen.make()
    if specimen.error in OURS:
        with pytest.raises(ImageRefusedError) as refusal:
            prepare(content)
        assert refusal.value.code == specimen.error
        return
    prepared = prepare(content)
    assert (prepared.conversion and prepared.conversion.reason.value) == specimen.converted
    assert specimen.size in {None, prepared.size}
    assert (prepared.trust is Trust.READABLE) == (specimen.error is None)
    if specimen.error is None:
        assert max(opened(prepared.preview).size) <= PREVIEW_SIDE


def test_a_small_jpeg_is_its_own_preview_without_what_the_camera_wrote() -> None:
    exif = oriented(1)
    exif[0x010F] = "a maker of cameras"
    content = encoded("JPEG", exif=exif, comment=b"where it was taken")()
    preview = prepare(content).preview
    assert preview is not None
    assert b"a maker of cameras" in content
    assert b"a maker of cameras" not in preview
    assert b"where it was taken" not in preview
    assert opened(preview).tobytes() == opened(content).tobytes(), "the picture itself is untouched"


def test_a_film_behind_a_photograph_does_not_get_into_the_preview() -> None:
    content = pictures.jpeg(1)
    assert len(prepare(content + corpus.film(b"mp42")).preview or b"") <= len(content)


def test_a_colour_profile_stays_with_the_preview() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for size in ((320, 240), (2000, 1500)):
        content = encoded("JPEG", partial(picture, size=size), icc_profile=profile)()
        assert opened(prepare(content).preview).info["icc_profile"] == profile


@pytest.mark.parametrize(("stored", "preview"), [((4000, 3000), (1280, 960)), ((1281, 10), (1280, 10))])
def test_a_large_picture_is_reduced_and_keeps_its_shape(
    stored: tuple[int, int], preview: tuple[int, int]
) -> None:
    prepared = prepare(encoded("JPEG", flat(stored))())
    assert prepared.size == stored
    assert opened(prepared.preview).size == preview


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_preview_is_upright_and_says_nothing_of_an_orientation(form: str, orientation: int) -> None:
    """A picture with a red top left quarter, stored in each of the eight ways."""
    upright = Image.new("RGB", (400, 200), "white")
    upright.paste("red", (0, 0, 200, 100))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    prepared = prepare(encoded(form, lambda: stored, exif=oriented(orientation))())
    preview = opened(prepared.preview)
    assert prepared.size == preview.size == (400, 200)
    assert not preview.getexif()
    colours: Any = [
        preview.convert("RGB").getpixel(point) for point in ((50, 25), (350, 25), (50, 175), (350, 175))
    ]
    assert [green < 100 for _, green, _ in colours] == [True, False, False, False]


def test_what_is_transparent_lies_on_white() -> None:
    content = encoded("PNG", lambda: Image.new("RGBA", (200, 100), (255, 0, 0, 0)))()
    assert opened(prepare(content).preview).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_a_pixel_keep_their_greys() -> None:
    content = encoded("PNG", lambda: Image.new("I;16", (200, 100), 32_768))()
    grey: Any = opened(prepare(content).preview).getpixel((5, 5))
    assert abs(grey - 128) <= 2


def test_without_conversion_the_file_itself_is_analysed_but_has_a_preview() -> None:
    prepared = preparing.prepare(encoded("WEBP")(), convert=False)
    assert prepared.conversion is None
    assert prepared.trust is Trust.UNCERTAIN
    assert opened(prepared.preview).size == (320, 240)


def test_a_very_long_picture_is_analysed_wider_than_its_preview() -> None:
    """A preview of 1,280 x 32 pixels would be refused as too small."""
    prepared = prepare(encoded("BMP", flat((4000, 100)))())
    assert opened(prepared.preview).size == (1280, 32)
    assert prepared.conversion is not None
    assert prepared.conversion.size == opened(prepared.conversion.content).size == (3200, 80)


def test_a_heic_is_converted_and_says_so() -> None:
    prepared = prepare(corpus.heic())
    assert prepared.conversion is not None
    assert (prepared.conversion.kind, prepared.conversion.reason) == (Kind.HEIC, Reason.FORMAT)


def test_a_bomb_is_refused_before_its_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(rendering, "_reduced", decoded)
    for name in ("bomb.png", "bomb.bmp", "bomb.gif"):
        content = next(it for it in CORPUS if it.name == name).make()
        with pytest.raises(ImageRefusedError, match=r"megapixels; a \w+ of at most 100 is decoded"):
            prepare(content)


def test_a_decoder_that_fails_for_want_of_memory_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(rendering, "_reduced", full)
    with pytest.raises(MemoryError):
        prepare(pictures.png(1))


def test_of_a_file_that_is_too_large_to_be_read_the_head_tells_size_and_kind() -> None:
    assert preparing.prepare_head(pictures.jpeg(1)[:2000]) == Prepared(Size(320, 240))
    with pytest.raises(ImageRefusedError, match="video"):
        preparing.prepare_head(corpus.film(b"mp42"))


@pytest.mark.parametrize("length", range(0, 700, 7))
def test_a_jpeg_that_is_cut_anywhere_is_not_taken_for_whole(length: int) -> None:
    assert read_plain(pictures.jpeg(1)[:length]) is None


@pytest.mark.parametrize(
    ("major", "compatible", "kind"),
    [
        (b"heic", b"mif1heic", Kind.HEIC),
        (b"mif1", b"mif1heic", Kind.HEIC),
        (b"mif1", b"mif1avif", Kind.AVIF),
        (b"avif", b"mif1miaf", Kind.AVIF),
        (b"mp42", b"isommp41", Kind.VIDEO),
        (b"qt  ", b"qt  ", Kind.VIDEO),
        (b"M4A ", b"M4A mp42", Kind.UNKNOWN),
    ],
)
def test_the_brands_of_a_media_file_tell_pictures_from_films(
    major: bytes, compatible: bytes, kind: Kind
) -> None:
    assert kind_of(corpus.box(b"ftyp", major + bytes(4) + compatible)) is kind
