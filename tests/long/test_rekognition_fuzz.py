"""A hundred thousand mutated requests and pictures: refusals and answers, but never a failure, a hang or a leak.

``FUZZ_CALLS`` and ``FUZZ_SEED`` choose how many and which.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from PIL import Image

from darkroom.rekognition import ObjectMissingError, Rekognition
from darkroom.rekognition.model import SERVED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLS = int(os.environ.get("FUZZ_CALLS", "100000"))
SEED = int(os.environ.get("FUZZ_SEED", "20"))
LONGEST_CALL_S = 2.0
MOST_GROWTH_BYTES = 48 * 1024 * 1024

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 99.5, 1e308, -1e-308, 2**63, "", "x", "GENERAL_LABELS", "ALL", "\u0000", "ü" * 60,
    [], {}, [None], [[]], {"": None}, ["x"] * 200, "\ud800", 10**30,
]  # fmt: skip


class Objects:
    """A few objects; every other key is missing."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    async def fetch(self, *, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        if key not in self.objects or version:
            raise ObjectMissingError(f"{bucket}/{key} within {limit_bytes}")
        return self.objects[key]


def seeds() -> list[bytes]:
    """Small whole pictures of many kinds."""
    base = Image.effect_noise((110, 90), 70).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    found = []
    for image, save in (
        (base, {"format": "PNG"}),
        (base.convert("RGBA"), {"format": "PNG"}),
        (base.convert("L"), {"format": "PNG"}),
        (base.quantize(16), {"format": "PNG"}),
        (base.convert("1"), {"format": "PNG"}),
        (Image.new("I;16", (90, 90), 999), {"format": "PNG"}),
        (base, {"format": "JPEG"}),
        (base, {"format": "JPEG", "progressive": True}),
        (base, {"format": "JPEG", "exif": exif}),
        (base, {"format": "JPEG", "restart_marker_blocks": 4}),
        (base.convert("CMYK"), {"format": "JPEG"}),
        (base, {"format": "GIF"}),
        (base, {"format": "WEBP"}),
    ):
        stream = io.BytesIO()
        image.save(stream, **save)
        found.append(stream.getvalue())
    return found


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flip, cut, insert, repeat, or write odd numbers into the first bytes, where the headers are."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not changed:
            break
        at = rng.randrange(min(len(changed), rng.choice((40, 400, len(changed)))))
        kind = rng.randrange(6)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            changed[at:at] = rng.randbytes(rng.randint(1, 20))
        elif kind == 3:
            changed[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"))
        elif kind == 4:
            changed[at : at + 2] = bytes((0xFF, rng.randrange(256)))
        else:
            end = min(len(changed), at + rng.randint(1, 300))
            changed[at:at] = changed[at:end]
    return bytes(changed)


def mutate_document(rng: random.Random, value: Any) -> Any:
    """Replace, drop or add something somewhere in a JSON document."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        changed = dict(value)
        name = rng.choice(list(changed))
        kind = rng.randrange(4)
        if kind == 0:
            del changed[name]
        elif kind == 1:
            changed[rng.choice(("Bytes", "S3Object", "Image", "MinConfidence", "Dragon"))] = rng.choice(
                ODD_VALUES
            )
        else:
            changed[name] = mutate_document(rng, changed[name])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.7:
        return [mutate_document(rng, item) if rng.random() < 0.5 else item for item in value]
    return rng.choice(ODD_VALUES)


def request_for(rng: random.Random, operation: str, picture: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A right request with random parameters."""
    percent = round(rng.uniform(0, 100), 2)
    parameters: dict[str, dict[str, Any]] = {
        "CompareFaces": {
            "SimilarityThreshold": percent,
            "QualityFilter": rng.choice(["NONE", "AUTO", "HIGH"]),
        },
        "DetectFaces": {"Attributes": rng.choice([["ALL"], ["DEFAULT"], ["SMILE", "GENDER"]])},
        "DetectLabels": {
            "MinConfidence": percent,
            "MaxLabels": rng.randint(0, 30),
            "Features": rng.choice(
                [["GENERAL_LABELS"], ["GENERAL_LABELS"], ["GENERAL_LABELS", "IMAGE_PROPERTIES"]]
            ),
            "Settings": {
                "GeneralLabels": {"LabelExclusionFilters": ["Cat"], "LabelCategoryInclusionFilters": []},
                "ImageProperties": {"MaxDominantColors": rng.randint(0, 20)},
            },
        },
        "DetectModerationLabels": {"MinConfidence": percent},
        "DetectProtectiveEquipment": {
            "SummarizationAttributes": {"MinConfidence": percent, "RequiredEquipmentTypes": ["HEAD_COVER"]}
        },
        "DetectText": {
            "Filters": {
                "WordFilter": {"MinConfidence": percent},
                "RegionsOfInterest": [
                    {"Polygon": [{"X": rng.random(), "Y": rng.random()} for _ in range(4)]}
                ],
            }
        },
        "GetCelebrityInfo": {"Id": rng.choice(["3Ir0du6", "nobody7"])},
    }
    request = dict(parameters.get(operation, {}))
    if operation == "CompareFaces":
        request |= {"SourceImage": picture(), "TargetImage": picture()}
    elif operation != "GetCelebrityInfo":
        request["Image"] = picture()
    return request


def body_of(rng: random.Random, request: Any) -> bytes:
    body = json.dumps(request).encode()
    return mutate_bytes(rng, body) if rng.random() < 0.15 else body


@pytest.mark.timeout(1800)
async def test_no_mutated_request_or_picture_makes_it_fail_hang_or_grow(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    originals = seeds()
    rekognition = Rekognition(
        fixtures=tmp_path, source=Objects({"a.png": originals[0], "b.jpg": originals[6]})
    )
    process = psutil.Process()
    statuses: Counter[str] = Counter()
    longest_s = settled_bytes = 0.0

    def picture() -> dict[str, Any]:
        if rng.random() < 0.1:
            return {"S3Object": {"Bucket": "bucket", "Name": rng.choice(["a.png", "b.jpg", "c.gif"])}}
        data = rng.choice(originals)
        data = data if rng.random() < 0.1 else mutate_bytes(rng, data)
        return {"Bytes": base64.b64encode(data).decode()}

    for number in range(CALLS):
        operation = rng.choice(SERVED)
        request: Any = request_for(rng, operation, picture)
        if rng.random() < 0.3:
            request = mutate_document(rng, request)
        body = body_of(rng, request)
        started = time.perf_counter()
        answer = await rekognition.answer(target=f"RekognitionService.{operation}", body=body)
        longest_s = max(longest_s, time.perf_counter() - started)
        document = json.loads(answer.body)
        assert answer.status < 500, (number, operation, body[:2000], document)
        statuses[f"{answer.status} {document.get('__type', '')}"] += 1
        if number == CALLS // 5:
            settled_bytes = process.memory_info().rss
    growth_bytes = process.memory_info().rss - settled_bytes
    rekognition.close()
    print(
        f"\n{CALLS} calls, longest {longest_s * 1000:.0f} ms, growth {growth_bytes / 1e6:.1f} MB; {statuses}"
    )
    assert longest_s < LONGEST_CALL_S
    assert growth_bytes < MOST_GROWTH_BYTES
    assert statuses["200 "] > CALLS / 20
