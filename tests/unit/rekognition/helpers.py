"""Pictures, a source of objects and short calls for the tests of the local Rekognition."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from darkroom.rekognition import (
    Answer,
    ObjectDeniedError,
    ObjectMissingError,
    ObjectTooLargeError,
    Rekognition,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "fixtures" / "rekognition"
IMAGES = ROOT / "fixtures" / "images"
SAMPLES = Path(__file__).parent / "samples"

BUCKET = "photos-bucket"


@dataclass
class MemorySource:
    """Objects in memory; keys in `denied` and `broken` fail as S3 would. A version is kept as ``key@version``."""

    objects: dict[str, bytes] = field(default_factory=dict)
    denied: frozenset[str] = frozenset(("denied.png",))
    broken: frozenset[str] = frozenset(("broken.png",))

    async def fetch(self, *, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        if key in self.denied:
            raise ObjectDeniedError(key)
        if key in self.broken:
            raise SourceUnavailableError(key)
        name = f"{key}@{version}" if version else key
        if bucket != BUCKET or name not in self.objects:
            raise ObjectMissingError(name)
        if len(self.objects[name]) > limit_bytes:
            raise ObjectTooLargeError(name)
        return self.objects[name]


@dataclass
class Caller:
    """Calls a service with little to write."""

    rekognition: Rekognition

    async def __call__(self, operation: str, **request: Any) -> Answer:
        body = json.dumps(request).encode()
        return await self.rekognition.answer(target=f"RekognitionService.{operation}", body=body)

    async def ok(self, operation: str, **request: Any) -> dict[str, Any]:
        answer = await self(operation, **request)
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    async def error(self, operation: str, **request: Any) -> tuple[int, str, str]:
        """Status, code and message of a refusal."""
        answer = await self(operation, **request)
        assert answer.status != 200, answer.body
        document = json.loads(answer.body)
        return answer.status, document["__type"], document.get("Message") or document["message"]


def in_s3(key: str, **more: str) -> dict[str, Any]:
    return {"S3Object": {"Bucket": BUCKET, "Name": key, **more}}


def inline(data: bytes) -> dict[str, Any]:
    return {"Bytes": base64.b64encode(data).decode()}


def photo(name: str) -> bytes:
    return (IMAGES / name).read_bytes()


def picture(
    width: int = 120, height: int = 90, colour: tuple[int, int, int] = (30, 90, 200), **save: Any
) -> bytes:
    """A plain PNG, or what `format` and other words for Pillow's save say."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, **{"format": "PNG", **save})
    return stream.getvalue()


def noise(width: int, height: int, seed: int = 1, **save: Any) -> bytes:
    """A picture without two equal neighbours, the same for the same seed."""
    state = seed.to_bytes(4, "big") * 8
    raw = bytearray()
    while len(raw) < width * height * 3:
        state = zlib.crc32(state).to_bytes(4, "big") + state[:28]
        raw += state
    image = Image.frombytes("RGB", (width, height), bytes(raw[: width * height * 3]))
    stream = io.BytesIO()
    image.save(stream, **{"format": "PNG", **save})
    return stream.getvalue()


def png_of_lines(width: int, height: int, lines: bytes, *, times: int = 1) -> bytes:
    """An RGB PNG with a header and lines of one's own, repeated: it may lie, and it may be huge when unpacked."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(lines) for _ in range(times)) + packer.flush()
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


def claiming(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims other dimensions."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        at = jpeg.find(marker)
        if at > 0:
            return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]
    raise AssertionError("no frame header")


def write_fixture(folder: Path, name: str, content: str) -> Path:
    path = folder / "authored" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def names(answer: Mapping[str, Any]) -> list[str]:
    """The labels of a DetectLabels answer, in order."""
    return [label["Name"] for label in answer["Labels"]]
