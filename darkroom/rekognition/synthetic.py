"""Answers for pictures that nobody has described: invented, but not at random.

They follow a few pixels of the picture (`pixels.sample`): the same picture gets the same answer for ever, a
blue one is more likely a seaside than a meal, and all operations tell the same story, because they are all
derived from one scene. They are marked as synthetic wherever they go.
"""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.reading import Reader
from darkroom.rekognition.sections import BUILDERS

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Scene:
    """A kind of picture: what is in it, and for which colours it is likely.

    `labels` maps leaves to a typical confidence; `tones` are the words for colours that speak for the scene;
    `faces` is how many people look at the camera, `text` what can be read, `worker` whether they wear a helmet.
    """

    name: str
    tones: frozenset[str]
    labels: dict[str, float]
    faces: int = 0
    text: tuple[str, ...] = ()
    moderation: tuple[str, ...] = ()
    worker: bool = False


def _scene(
    name: str,
    tones: str,
    labels: str,
    *,
    faces: int = 0,
    text: tuple[str, ...] = (),
    moderation: tuple[str, ...] = (),
    worker: bool = False,
) -> Scene:
    """`labels` is written as ``Beach 93, Sea 96``."""
    confidences = {}
    for item in labels.split(", "):
        label, _, confidence = item.rpartition(" ")
        confidences[label] = float(confidence)
    return Scene(
        name=name,
        tones=frozenset(tones.split()),
        labels=confidences,
        faces=faces,
        text=text,
        moderation=moderation,
        worker=worker,
    )


SCENES = (
    _scene("seaside", "blue bright", "Beach 93, Sea 96, Horizon 84, Cloud 79, Sand 71, Boat 58"),
    _scene("mountains", "blue grey bright", "Mountain Range 95, Landscape 91, Snow 76, Cloud 81, Lake 62"),
    _scene("forest", "green dark", "Forest 96, Tree 94, Vegetation 92, Moss 68, Path 57, Fog 61"),
    _scene("meadow", "green bright", "Meadow 92, Grass 95, Flower 83, Tree 77, Cow 59"),
    _scene("garden", "green red bright", "Garden 93, Flower 96, Petal 82, Bee 64, Rose 57"),
    _scene(
        "city",
        "grey dark",
        "Street 93, Office Building 88, Car 85, Sidewalk 76, Road Sign 66",
        text=("ONE WAY",),
    ),
    _scene("night", "dark blue", "Night 97, Starry Sky 88, Lighting 81, City 66, Moon 58"),
    _scene("sunset", "orange red dark", "Sunset 97, Silhouette 79, Horizon 90, Sea 64"),
    _scene(
        "meal",
        "orange red bright",
        "Lunch 92, Plate 85, Fork 74, Salad 69, Wine 66, Wine Glass 61",
        moderation=("Alcoholic Beverages",),
    ),
    _scene("coffee", "orange dark", "Coffee Cup 94, Saucer 82, Tabletop 71, Spoon 66"),
    _scene(
        "living room", "orange grey bright", "Living Room 94, Couch 91, Potted Plant 78, Cushion 69, Book 57"
    ),
    _scene("desk", "grey bright", "Laptop 95, Desk 88, Computer Keyboard 82, Mug 64, Book 58"),
    _scene("dog", "orange green grey", "Golden Retriever 81, Puppy 72, Grass 76, Dog 96"),
    _scene("cat", "orange grey dark", "Cat 95, Tabby 66, Kitten 58, Couch 70"),
    _scene("road trip", "grey blue bright", "Car 95, Highway 84, Sports Car 62, Mountain 71"),
    _scene(
        "page",
        "grey bright plain",
        "Document 94, Page 88, Letter 66, Number 59",
        text=("Meeting notes", "Agenda for Monday", "1 Budget", "2 Dates"),
    ),
    _scene("portrait", "orange grey dark", "Portrait 93, Smile 81, Adult 97, Shirt 68, Hair 72", faces=1),
    _scene("couple", "orange bright", "Adult 96, Couple 74, Smile 83, Selfie 66, Outdoors 61", faces=2),
    _scene("group", "grey orange dark", "Groupshot 84, Adult 95, People 97, Indoors 69, Happy 71", faces=5),
    _scene("building site", "orange blue", "Worker 84, Hardhat 91, Adult 95, Vest 63", faces=1, worker=True),
)


@dataclass(frozen=True, slots=True)
class Story:
    """What a synthetic picture shows: the scene and the numbers that vary within it."""

    scene: Scene
    seed: bytes

    def number(self, name: str, low: float, high: float) -> float:
        """A number in a range, the same for the same picture and name."""
        digest = hashlib.blake2b(name.encode(), key=self.seed, digest_size=8).digest()
        return low + (high - low) * int.from_bytes(digest, "big") / 2**64

    def document(self) -> dict[str, Any]:
        """The story in the words of a fixture."""
        labels: dict[str, Any] = {
            name: self._confidence(f"label {name}", typical) for name, typical in self.scene.labels.items()
        }
        document: dict[str, Any] = {"labels": labels}
        faces = [self._face(number) for number in range(self.scene.faces)]
        if faces:
            document["faces"] = faces
            boxes = [_body(face["box"]) for face in faces]
            labels["Person"] = {"confidence": self._confidence("label Person", 96), "boxes": boxes}
        if self.scene.text:
            document["text"] = [
                {"line": line, "confidence": self._confidence(f"text {line}", 95)} for line in self.scene.text
            ]
            labels["Text"] = self._confidence("label Text", 90)
        if self.scene.moderation:
            document["moderation"] = {
                name: self._confidence(f"moderation {name}", 82) for name in self.scene.moderation
            }
        document["protective_equipment"] = [self._protected(face["box"]) for face in faces]
        return document

    def _confidence(self, name: str, typical: float) -> float:
        return min(99.9, max(1.0, typical + self.number(name, -6, 3.5)))

    def _face(self, number: int) -> dict[str, Any]:
        width = 0.62 / (self.scene.faces + 1) * self.number(f"face {number} width", 0.8, 1.1)
        middle = (number + 1) / (self.scene.faces + 1)
        top = self.number(f"face {number} top", 0.12, 0.3)
        age = int(self.number(f"face {number} age", 8, 62))
        smile = self.number(f"face {number} smile", 0, 1) > 0.4
        happy = self.number(f"face {number} mood", 60, 99)
        return {
            "box": [middle - width / 2, top, width, min(0.6, width * 1.35)],
            "confidence": self.number(f"face {number} confidence", 99.1, 99.99),
            "age": [age, age + 8],
            "gender": "Female" if self.number(f"face {number} gender", 0, 1) > 0.5 else "Male",
            "smile": smile,
            "emotions": {"HAPPY" if smile else "CALM": happy},
            "eyeglasses": self.number(f"face {number} glasses", 0, 1) > 0.75,
            "pose": {
                "roll": self.number(f"face {number} roll", -9, 9),
                "yaw": self.number(f"face {number} yaw", -25, 25),
                "pitch": self.number(f"face {number} pitch", -12, 12),
            },
            "quality": {
                "brightness": self.number(f"face {number} brightness", 55, 92),
                "sharpness": self.number(f"face {number} sharpness", 60, 97),
            },
        }

    def _protected(self, face: list[float]) -> dict[str, Any]:
        head: dict[str, Any] = {"confidence": 99.4}
        if self.scene.worker:
            left, top, width, height = face
            head["cover"] = {
                "box": [left, max(0.0, top - height * 0.3), width, height * 0.5],
                "confidence": 94.2,
            }
        return {"box": _body(face), "confidence": 99.1, "parts": {"FACE": 99.2, "HEAD": head}}


def _body(face: list[float]) -> list[float]:
    """The box of the person whose face is in a box."""
    left, top, width, height = face
    return [
        max(0.0, left - width * 0.6),
        max(0.0, top - height * 0.3),
        min(1.0, width * 2.2),
        1 - max(0.0, top),
    ]


def tell(sample: Image) -> Story:
    """Choose a scene for a sample of a picture."""
    pixels = sample.tobytes()
    seed = hashlib.blake2b(pixels, digest_size=32).digest()
    tones = _tones(pixels)
    best = max(
        enumerate(SCENES),
        key=lambda item: (
            len(item[1].tones & tones) / len(item[1].tones) + seed[item[0]] / 512,
            item[0],
        ),
    )
    return Story(scene=best[1], seed=seed)


def _tones(pixels: bytes) -> frozenset[str]:
    """The words for a picture's colours: a hue or grey, bright or dark, plain where it hardly varies."""
    count = len(pixels) // 3
    red, green, blue = (sum(pixels[channel::3]) / count / 255 for channel in range(3))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    tones = {"bright" if value > 0.45 else "dark"}
    if saturation < 0.18:
        tones.add("grey")
    else:
        tones.add(_hue_word(hue * 360))
    if max(pixels) - min(pixels) < 48:
        tones.add("plain")
    return frozenset(tones)


def _hue_word(degrees: float) -> str:
    for limit, word in ((20, "red"), (70, "orange"), (165, "green"), (265, "blue")):
        if degrees < limit:
            return word
    return "red"


def answer(story: Story, operation: str) -> dict[str, Any]:
    """The widest answer of a story to an operation."""
    return BUILDERS[operation](Reader(), story.document())
