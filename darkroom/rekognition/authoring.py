"""Writing a fixture for a picture: `darkroom rekognition add`.

Faces are given in words: ``"0.34,0.12,0.19,0.24 age=31-39 gender=Female smile emotion=HAPPY celebrity=Eileen
Collins"``: the box first (left, top, width, height as shares of the picture), then what is known, in any
order.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import FixtureError, ServiceError
from darkroom.rekognition.fixtures import FixtureStore, read_fixture
from darkroom.rekognition.images import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FACE_WORD = re.compile(r"\s+(?=[a-z_]+(?:=|\s|$))")
FACE_TEXTS = ("age", "gender", "person", "celebrity")
FACE_FLAGS = (
    "smile",
    "eyeglasses",
    "sunglasses",
    "beard",
    "mustache",
    "eyes_open",
    "mouth_open",
    "occluded",
)


def add_fixture(
    image: Path,
    fixtures: Path,
    *,
    labels: Mapping[str, float] | None = None,
    faces: Sequence[str] = (),
    text: Sequence[str] = (),
    moderation: Mapping[str, float] | None = None,
    replace: bool = False,
) -> Path:
    """Write `fixtures`/authored/<name>.yaml for a picture and return its path.

    Args:
        image: a PNG or JPEG.
        fixtures: the fixtures folder.
        labels: name to confidence; ancestors are completed when served. Without any, the other sections imply them.
        faces: see the module.
        text: lines, from the top.
        moderation: name to confidence.
        replace: write over a fixture that the picture already has.

    Raises:
        FixtureError: the picture is none, already has a fixture, or what is given is not right; nothing is written.
    """
    try:
        data = image.read_bytes()
        width, height = inspect(data).upright_size
    except OSError as error:
        raise FixtureError(image, [f"cannot be read: {error.strerror}"]) from None
    except ServiceError:
        raise FixtureError(image, ["is not a whole PNG or JPEG: the service would refuse it"]) from None
    sha256 = hashlib.sha256(data).hexdigest()
    folder = fixtures / "authored"
    path = _place(folder, image, sha256, replace=replace)
    document: dict[str, Any] = {"image": {"name": image.name, "sha256": sha256, "size": f"{width}x{height}"}}
    if labels or not (faces or text or moderation):
        document["labels"] = dict(labels or {})
    if faces:
        document["faces"] = [read_face_words(words, image) for words in faces]
    if text:
        document["text"] = list(text)
    if moderation:
        document["moderation"] = dict(moderation)
    _write_checked(path, render(document))
    return path


def _place(folder: Path, image: Path, sha256: str, *, replace: bool) -> Path:
    """The file that the picture has, or a free one with the picture's name."""
    own = FixtureStore(folder=folder, clock=lambda: 0.0).place(sha256)
    if own is not None:
        if not replace:
            raise FixtureError(own, [f"already describes this picture ({image}): edit it, or replace it"])
        return own
    path = folder / f"{image.stem}.yaml"
    if path.exists():
        path = folder / f"{image.stem}-{sha256[:8]}.yaml"
    return path


def _write_checked(path: Path, content: str) -> None:
    """Write beside the place, read it back as the server will, then put it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(content, encoding="utf-8")
    try:
        read_fixture(draft)
        draft.replace(path)
    except FixtureError as error:
        raise FixtureError(path, list(error.problems)) from None
    finally:
        draft.unlink(missing_ok=True)


def read_face_words(words: str, image: Path) -> dict[str, Any]:
    """A face in words as a fixture has it.

    Raises:
        FixtureError: a word is not known.
    """
    first, *rest = _FACE_WORD.split(words.strip())
    try:
        face: dict[str, Any] = {"box": [float(part) for part in first.split(",")]}
    except ValueError:
        raise FixtureError(image, [f"the face {words!r} must start with left,top,width,height"]) from None
    for word in rest:
        name, equals, value = word.partition("=")
        if name in FACE_TEXTS and equals:
            face[name] = value
        elif name in FACE_FLAGS:
            face[name] = value.strip().casefold() not in ("no", "false", "0")
        elif name == "emotion" and equals:
            face["emotions"] = {value.upper(): 95.0}
        else:
            known = ", ".join((*FACE_TEXTS, "emotion", *FACE_FLAGS))
            raise FixtureError(image, [f"{word!r} is not known of a face; known are {known}"])
    return face


def render(document: Mapping[str, Any]) -> str:
    """A fixture as a person would write it. Strings are quoted as JSON, which YAML reads."""
    lines: list[str] = []
    for section, content in document.items():
        lines.extend([""] if lines else [])
        lines.append(f"{section}:" if content else f"{section}: {{}}")
        if isinstance(content, dict):
            lines.extend(f"  {_key(name)}: {_flow(value)}" for name, value in content.items())
        else:
            lines.extend(f"  - {_flow(item)}" for item in content)
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9 &-]*", name) else json.dumps(name, ensure_ascii=False)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(str(name))}: {_flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z_][A-Za-z0-9_.-]*", value):
        return value
    return json.dumps(value, ensure_ascii=False)
