"""IMAGE_PROPERTIES, computed from the pixels.

Nobody outside knows the service's formulas, so the numbers differ from AWS's, but they mean the same and move the
same way: a darker picture has less brightness, a blurred one less sharpness, a faded one less contrast, and the
colours are those that are there.

* Brightness: the mean luma. Contrast: its spread between the 2nd and the 98th percentile. Sharpness: how
  strong edges are at a fixed size, on a curve that keeps 0 and 100 out of reach.
* Foreground: what differs most from the colours along the border, weighted towards the middle.
* Dominant colours: the share of pixels nearest to each CSS colour, largest first. In the one capture known, none
  is below 10 %, and the shares of one region do not add up to 100: smaller ones are left out here too.
* An instance's colours are given where no ancestor of its label has the same box: in the capture a Person has
  them, the Woman and the Adult in the same box have an empty list.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.colours import nearest
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_MOST_COLOURS = 10
SMALLEST_SHARE_PERCENT = 10.0

_PALETTE_SIZE = 64
_COLOUR_SIDE = 64
_EDGE_SCALE = 18.0
"""Edge strength (standard deviation of the Laplacian, in luma steps) at which sharpness is 63."""


class ImageProperties:
    """The properties of one picture; regions are computed when asked for.

    Args:
        image: the whole picture in RGB, reduced (`pixels.reduced`).
    """

    def __init__(self, image: Image) -> None:
        from PIL import ImageFilter

        self._luma = image.convert("L")
        # Kernel results are clipped to 0..255, so the Laplacian is shifted to the middle.
        kernel = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)
        self._edges = self._luma.filter(kernel)
        small = image.copy()
        small.thumbnail((_COLOUR_SIDE, _COLOUR_SIDE))
        self._indexed = small.quantize(colors=_PALETTE_SIZE, kmeans=0)
        self._mask = _foreground_mask(image)

    def document(self, most_colours: int = DEFAULT_MOST_COLOURS) -> dict[str, Any]:
        """The ImageProperties member of an answer."""
        from PIL import ImageChops

        whole = self._quality(None)
        return {
            "Quality": {**whole, "Contrast": float32(self._contrast())},
            "DominantColors": self._colours(None, most_colours),
            "Foreground": self._region(self._mask, most_colours),
            "Background": self._region(ImageChops.invert(self._mask), most_colours),
        }

    def colours_in(self, box: dict[str, float], most_colours: int) -> list[dict[str, Any]]:
        """The dominant colours within a BoundingBox."""
        from PIL import Image as Pillow

        width, height = self._luma.size
        left, top = box.get("Left", 0.0), box.get("Top", 0.0)
        right, bottom = left + box.get("Width", 0.0), top + box.get("Height", 0.0)
        corners = (
            math.floor(max(0.0, left) * width),
            math.floor(max(0.0, top) * height),
            math.ceil(min(1.0, right) * width),
            math.ceil(min(1.0, bottom) * height),
        )
        if corners[0] >= corners[2] or corners[1] >= corners[3]:
            return []
        mask = Pillow.new("L", self._luma.size, 0)
        mask.paste(255, corners)
        return self._colours(mask, most_colours)

    def _region(self, mask: Image, most_colours: int) -> dict[str, Any]:
        return {"Quality": self._quality(mask), "DominantColors": self._colours(mask, most_colours)}

    def _quality(self, mask: Image | None) -> dict[str, float]:
        from PIL import ImageStat

        brightness = ImageStat.Stat(self._luma, mask).mean[0] / 255 * 100
        edges = ImageStat.Stat(self._edges, mask).stddev[0]
        sharpness = 100 * (1 - math.exp(-edges / _EDGE_SCALE))
        return {"Brightness": float32(brightness), "Sharpness": float32(sharpness)}

    def _contrast(self) -> float:
        histogram = self._luma.histogram()
        total = sum(histogram)
        return (_percentile(histogram, total * 0.98) - _percentile(histogram, total * 0.02)) / 255 * 100

    def _colours(self, mask: Image | None, most: int) -> list[dict[str, Any]]:
        small_mask = mask.resize(self._indexed.size) if mask else None
        counts = self._indexed.histogram(small_mask.point(_to_binary) if small_mask else None)
        palette = self._indexed.getpalette() or []
        total = sum(counts)
        shares: dict[Any, int] = {}
        for index, count in enumerate(counts):
            if count:
                colour = nearest(*palette[3 * index : 3 * index + 3])
                shares[colour] = shares.get(colour, 0) + count
        ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0].css_name))
        return [
            {
                "Red": colour.red,
                "Blue": colour.blue,
                "Green": colour.green,
                "HexCode": colour.hex_code,
                "CSSColor": colour.css_name,
                "SimplifiedColor": colour.simple_name,
                "PixelPercent": float32(count / total * 100),
            }
            for colour, count in ranked[:most]
            if count / total * 100 >= SMALLEST_SHARE_PERCENT
        ]


def with_instance_colours(
    labels: list[dict[str, Any]], properties: ImageProperties, most_colours: int
) -> list[dict[str, Any]]:
    """Labels whose instances carry DominantColors, as when both features are asked for."""
    boxes = {
        label["Name"]: [_corner(instance) for instance in label.get("Instances", ())] for label in labels
    }
    coloured = []
    for label in labels:
        taken = {box for parent in label.get("Parents", ()) for box in boxes.get(parent["Name"], ())}
        instances = []
        for instance in label.get("Instances", ()):
            own = (
                []
                if _corner(instance) in taken
                else properties.colours_in(instance.get("BoundingBox", {}), most_colours)
            )
            instances.append({**instance, "DominantColors": own})
        coloured.append({**label, "Instances": instances})
    return coloured


def _corner(instance: dict[str, Any]) -> tuple[float, ...]:
    box = instance.get("BoundingBox", {})
    return tuple(box.get(side, 0.0) for side in ("Left", "Top", "Width", "Height"))


def _foreground_mask(image: Image) -> Image:
    """White where the foreground is; never empty and never everything."""
    from PIL import Image as Pillow
    from PIL import ImageChops, ImageFilter, ImageStat

    border = Pillow.new("L", image.size, 255)
    inner = [max(1, side // 8) for side in image.size]
    border.paste(0, (inner[0], inner[1], image.width - inner[0], image.height - inner[1]))
    mean = tuple(round(value) for value in ImageStat.Stat(image, border).mean)
    difference = ImageChops.difference(image, Pillow.new("RGB", image.size, mean)).convert("L")
    middle = ImageChops.invert(Pillow.radial_gradient("L").resize(image.size))
    weighted = ImageChops.multiply(difference, middle).filter(ImageFilter.BoxBlur(3))
    threshold = max(1.0, ImageStat.Stat(weighted).mean[0])
    mask = weighted.point(lambda value: 255 if value > threshold else 0)
    share = mask.histogram()[255] / (mask.width * mask.height)
    if 0.02 < share < 0.98:
        return mask
    return middle.point(lambda value: 255 if value > 110 else 0)


def _to_binary(value: float) -> int:
    return 255 if value > 127 else 0


def _percentile(histogram: list[int], wanted: float) -> int:
    seen = 0
    for value, count in enumerate(histogram):
        seen += count
        if seen >= wanted:
            return value
    return 255
