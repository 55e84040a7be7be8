"""Faces: the section of a fixture, and the parts that DetectFaces answers.

A written face needs nothing but a box; what a person does not say is filled in plausibly::

    faces:
      - box: [0.35, 0.14, 0.19, 0.24]        # left, top, width, height as shares of the picture
        age: 31-39
        gender: Female                       # or {value: Female, confidence: 99.8}
        smile: true                          # so are eyeglasses, sunglasses, beard, mustache, eyes_open, …
        emotions: {HAPPY: 98.9, CALM: 0.6}
        person: eileen                       # CompareFaces: the same person in another picture

Landmarks follow a measured face, scaled to the box, turned by the roll, and moved to points that are written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.rekognition.reading import Reader

Face = dict[str, Any]

MOST_FACES = 100
EMOTIONS = ("HAPPY", "SAD", "ANGRY", "CONFUSED", "DISGUSTED", "SURPRISED", "CALM", "FEAR")
BASIC_LANDMARKS = ("eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose")

_DEFAULT_MEMBERS = ("BoundingBox", "Confidence", "Pose", "Quality", "Landmarks")
_BY_ATTRIBUTE = {
    "AGE_RANGE": "AgeRange",
    "BEARD": "Beard",
    "EMOTIONS": "Emotions",
    "EYEGLASSES": "Eyeglasses",
    "EYES_OPEN": "EyesOpen",
    "EYE_DIRECTION": "EyeDirection",
    "FACE_OCCLUDED": "FaceOccluded",
    "GENDER": "Gender",
    "MOUTH_OPEN": "MouthOpen",
    "MUSTACHE": "Mustache",
    "SMILE": "Smile",
    "SUNGLASSES": "Sunglasses",
}

_FLAGS = {
    "smile": ("Smile", False),
    "eyeglasses": ("Eyeglasses", False),
    "sunglasses": ("Sunglasses", False),
    "beard": ("Beard", False),
    "mustache": ("Mustache", False),
    "eyes_open": ("EyesOpen", True),
    "mouth_open": ("MouthOpen", False),
    "occluded": ("FaceOccluded", False),
}
"""Written name: the member, and what is assumed where nothing is written."""

FACE_KEYS = (
    "box",
    "confidence",
    "age",
    "gender",
    "emotions",
    "pose",
    "quality",
    "eye_direction",
    "landmarks",
    "person",
    "celebrity",
    *_FLAGS,
)

_LANDMARK_SHARES = {
    "eyeLeft": (0.274, 0.404),
    "eyeRight": (0.728, 0.402),
    "mouthLeft": (0.318, 0.766),
    "mouthRight": (0.692, 0.765),
    "nose": (0.492, 0.602),
    "leftEyeBrowLeft": (0.099, 0.321),
    "leftEyeBrowRight": (0.362, 0.300),
    "leftEyeBrowUp": (0.230, 0.282),
    "rightEyeBrowLeft": (0.628, 0.299),
    "rightEyeBrowRight": (0.910, 0.317),
    "rightEyeBrowUp": (0.766, 0.278),
    "leftEyeLeft": (0.196, 0.401),
    "leftEyeRight": (0.363, 0.406),
    "leftEyeUp": (0.272, 0.387),
    "leftEyeDown": (0.276, 0.419),
    "rightEyeLeft": (0.633, 0.405),
    "rightEyeRight": (0.803, 0.398),
    "rightEyeUp": (0.722, 0.384),
    "rightEyeDown": (0.720, 0.417),
    "noseLeft": (0.413, 0.641),
    "noseRight": (0.582, 0.635),
    "mouthUp": (0.497, 0.722),
    "mouthDown": (0.500, 0.827),
    "leftPupil": (0.274, 0.404),
    "rightPupil": (0.728, 0.402),
    "upperJawlineLeft": (0.007, 0.396),
    "midJawlineLeft": (0.109, 0.783),
    "chinBottom": (0.507, 1.007),
    "midJawlineRight": (0.929, 0.778),
    "upperJawlineRight": (1.028, 0.391),
}
"""Where the landmarks of a documented answer lie within its face's box, as shares of width and height."""


def read_face(reader: Reader, details: Mapping[str, Any], where: str) -> Face:
    """One written face as a complete FaceDetail (as with ``Attributes=["ALL"]``)."""
    box = {
        side: float32(share)
        for side, share in reader.box(reader.member(details, "box", where), f"{where}.box").items()
    }
    pose = _numbers(reader, details.get("pose", {}), f"{where}.pose", {"roll": 0, "yaw": 0, "pitch": 0}, 180)
    quality = _numbers(
        reader, details.get("quality", {}), f"{where}.quality", {"brightness": 70.5, "sharpness": 86.9}, 100
    )
    face: Face = {
        "BoundingBox": box,
        "AgeRange": _age(reader, details.get("age", "25-35"), f"{where}.age"),
    }
    for key, (member, assumed) in _FLAGS.items():
        value, confidence = _flag(reader, details.get(key, assumed), f"{where}.{key}")
        face[member] = {"Value": value, "Confidence": confidence}
    gender = details.get("gender", "Female")
    word, confidence = (
        (gender.get("value"), gender.get("confidence", 99.1)) if isinstance(gender, dict) else (gender, 99.1)
    )
    face["Gender"] = {
        "Value": reader.choice(word, f"{where}.gender", ("Male", "Female")),
        "Confidence": float32(reader.percent(confidence, f"{where}.gender")),
    }
    face["Emotions"] = _emotions(reader, details.get("emotions", {}), f"{where}.emotions")
    face["Landmarks"] = landmarks(box, pose["Roll"], _points(reader, details.get("landmarks", {}), where))
    face["Pose"] = pose
    face["Quality"] = quality
    face["Confidence"] = float32(reader.percent(details.get("confidence", 99.99), f"{where}.confidence"))
    face["EyeDirection"] = {
        **_numbers(
            reader, details.get("eye_direction", {}), f"{where}.eye_direction", {"yaw": 0, "pitch": 0}, 180
        ),
        "Confidence": float32(99.2),
    }
    return face


def _age(reader: Reader, value: object, where: str) -> dict[str, int]:
    """``31-39``, ``[31, 39]`` or one number."""
    parts = value if isinstance(value, list) else str(value).split("-")
    try:
        low, high = int(parts[0]), int(parts[-1])
    except (ValueError, IndexError, TypeError):
        reader.problem(where, f"must be like 31-39, not {value!r}")
        return {"Low": 0, "High": 0}
    if not 0 <= low <= high <= 150:
        reader.problem(where, f"must go from the lower to the higher age, not {value!r}")
    return {"Low": low, "High": high}


def _flag(reader: Reader, value: object, where: str) -> tuple[bool, float]:
    """``true``, or ``{value: true, confidence: 97.1}``."""
    confidence: object = 97.5
    if isinstance(value, dict):
        details = reader.mapping(value, where, known=("value", "confidence"))
        value, confidence = details.get("value", True), details.get("confidence", confidence)
    return reader.flag(value, where), float32(reader.percent(confidence, where))


def _numbers(
    reader: Reader, value: object, where: str, defaults: dict[str, float], most: float
) -> dict[str, float]:
    written = reader.mapping(value, where, known=(*defaults, "confidence"))
    low = 0 if "brightness" in defaults else -most
    return {
        name.capitalize(): float32(
            reader.number(written.get(name, default), f"{where}.{name}", low=low, high=most)
        )
        for name, default in defaults.items()
    }


def _emotions(reader: Reader, value: object, where: str) -> list[dict[str, Any]]:
    """All eight, highest first; those that are not written share what is missing to 100, up to 1 each."""
    written = {
        reader.choice(name, where, (*EMOTIONS, "UNKNOWN")): reader.percent(percent, f"{where}.{name}")
        for name, percent in reader.mapping(value, where).items()
    } or {"CALM": 97.2}
    others = [name for name in EMOTIONS if name not in written]
    missing = max(0.0, 100 - sum(written.values()))
    for number, name in enumerate(others):
        written[name] = min(1.0, missing / len(others)) / (number + 2)
    ranked = sorted(written.items(), key=lambda item: (-item[1], item[0]))
    return [{"Type": name, "Confidence": float32(percent)} for name, percent in ranked]


def _points(reader: Reader, value: object, where: str) -> dict[str, tuple[float, float]]:
    points = {}
    for name, point in reader.mapping(value, f"{where}.landmarks", known=_LANDMARK_SHARES).items():
        place = f"{where}.landmarks.{name}"
        if not isinstance(point, list) or len(point) != 2:
            reader.problem(place, f"must be [x, y] as shares of the picture, not {point!r}")
            continue
        x, y = (reader.number(part, place, low=-0.5, high=1.5) for part in point)
        points[name] = (x, y)
    return points


def landmarks(
    box: Mapping[str, float], roll: float, fixed: Mapping[str, tuple[float, float]] | None = None
) -> list[dict[str, Any]]:
    """All thirty landmarks of a face in a box, turned by `roll` degrees; `fixed` ones stay where they are."""
    turn = math.radians(roll)
    cosine, sine = math.cos(turn), math.sin(turn)
    found = []
    for name, (across, down) in _LANDMARK_SHARES.items():
        x, y = across - 0.5, down - 0.5
        x, y = x * cosine - y * sine, x * sine + y * cosine
        point = (box["Left"] + (x + 0.5) * box["Width"], box["Top"] + (y + 0.5) * box["Height"])
        if fixed and name in fixed:
            point = fixed[name]
        found.append({"Type": name, "X": float32(point[0]), "Y": float32(point[1])})
    return found


def area(face: Mapping[str, Any]) -> float:
    """The size of a face as a share of the picture."""
    box = face.get("BoundingBox", {})
    return float(box.get("Width", 0) * box.get("Height", 0))


def largest(faces: list[Face], most: int) -> list[Face]:
    """The `most` largest faces, in the order in which they were found."""
    if len(faces) <= most:
        return faces
    ranked = sorted(range(len(faces)), key=lambda number: (-area(faces[number]), number))
    return [faces[number] for number in sorted(ranked[:most])]


def compared(face: Face) -> Face:
    """A face as RecognizeCelebrities and CompareFaces show it: a ComparedFace with five landmarks."""
    members = ("BoundingBox", "Confidence", "Pose", "Quality", "Emotions", "Smile")
    result = {member: face[member] for member in members if member in face}
    result["Landmarks"] = basic_landmarks(face)
    return result


def basic_landmarks(face: Face) -> list[dict[str, Any]]:
    """The five landmarks that are always there."""
    return [mark for mark in face.get("Landmarks", ()) if mark["Type"] in BASIC_LANDMARKS]


def narrow_faces(widest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """DetectFaces: the attributes that were asked for; the default ones always, 30 landmarks only with ALL."""
    attributes = set(request.get("Attributes", ()))
    faces = largest(widest["FaceDetails"], MOST_FACES)
    if "ALL" in attributes:
        return {**widest, "FaceDetails": faces}
    wanted = {*_DEFAULT_MEMBERS, *(_BY_ATTRIBUTE[name] for name in attributes if name in _BY_ATTRIBUTE)}
    narrowed = []
    for face in faces:
        kept = {member: value for member, value in face.items() if member in wanted}
        if "Landmarks" in kept:
            kept["Landmarks"] = basic_landmarks(face)
        narrowed.append(kept)
    return {**widest, "FaceDetails": narrowed}
