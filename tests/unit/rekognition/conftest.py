"""A service over the shipped fixtures, and one over a folder of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.rekognition import Rekognition

from .helpers import FIXTURES, IMAGES, Caller, MemorySource
from .live_world import make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .live_world import World


@pytest.fixture
def source() -> MemorySource:
    """The shipped pictures under their file names."""
    return MemorySource({path.name: path.read_bytes() for path in IMAGES.iterdir() if path.suffix != ".md"})


@pytest.fixture
def call(source: MemorySource) -> Iterator[Caller]:
    """Calls a service that has the shipped fixtures."""
    rekognition = Rekognition(fixtures=FIXTURES, source=source)
    yield Caller(rekognition)
    rekognition.close()


@pytest.fixture
def now() -> list[float]:
    """The time that `own` goes by; a test moves it."""
    return [100.0]


@pytest.fixture
def own(source: MemorySource, tmp_path: Path, now: list[float]) -> Iterator[Caller]:
    """Calls a service whose fixtures are `tmp_path`."""
    rekognition = Rekognition(fixtures=tmp_path, source=source, clock=lambda: now[0])
    yield Caller(rekognition)
    rekognition.close()


@pytest.fixture
def world(tmp_path: Path, source: MemorySource) -> Iterator[World]:
    """A local Rekognition over HTTP with a stand-in for AWS behind it; its fixtures lie in `tmp_path` / aws."""
    yield from make_world(tmp_path, source)
