"""What is answered for a picture or by a fixture file: `darkroom rekognition complete`.

The *widest* answer of each operation: everything that is known, before a request's MinConfidence, MaxLabels or
filters take their part of it.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import FixtureError, ServiceError
from darkroom.rekognition.fixtures import SUFFIXES, read_fixture
from darkroom.rekognition.images import inspect
from darkroom.rekognition.ladder import Ladder, Subject
from darkroom.rekognition.sections import BUILDERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Completed:
    """Per operation the widest answer, and which file or invention it comes from."""

    answers: Mapping[str, dict[str, Any]]
    sources: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def completed(path: Path, fixtures: Path) -> Completed:
    """The answers of a fixture file, or those to a picture that is sent as bytes.

    Args:
        path: a fixture (by its suffix) or a picture.
        fixtures: the folder with `authored/` and `recorded/`, for a picture.

    Raises:
        FixtureError: the file cannot be read or used, or is no picture that the service takes.
    """
    if path.suffix in SUFFIXES:
        fixture = read_fixture(path)
        return Completed(
            fixture.answers, dict.fromkeys(fixture.answers, f"fixture {path.name}"), fixture.remarks
        )
    try:
        data = path.read_bytes()
        subject = Subject(sha256=hashlib.sha256(data).hexdigest(), picture=inspect(data))
        ladder = Ladder(fixtures=fixtures, strict=False, clock=time.monotonic)
        found = {name: ladder.find(name, subject, {}) for name in BUILDERS}
        fixture_of_it = ladder.fixture(subject)
    except OSError as error:
        raise FixtureError(path, [f"cannot be read: {error.strerror}"]) from None
    except ServiceError as error:
        raise FixtureError(path, [f"the service would refuse it: {error}"]) from None
    return Completed(
        answers={name: answer.answer for name, answer in found.items()},
        sources={name: answer.detail for name, answer in found.items()},
        remarks=fixture_of_it.remarks if fixture_of_it else (),
    )
