"""How the gateway's Rekognition reads objects from the engine, and what it says when it cannot."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from darkroom.engine.gateway.objects import EngineObjects
from darkroom.rekognition import (
    ObjectDeniedError,
    ObjectMissingError,
    ObjectTooLargeError,
    SourceError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def objects_of(folder: Path) -> AsyncIterator[EngineObjects]:
    """Objects of an engine that answers each key with the status in its name."""

    async def answer(request: web.BaseRequest) -> web.Response:
        name = request.path.rpartition("/")[2]
        return web.Response(status=int(name), body=b"x" * 100)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.UnixSite(runner, str(folder / "engine.sock")).start()
    objects = EngineObjects(folder / "engine.sock", root_key="ROOT", region="us-east-1")
    try:
        yield objects
    finally:
        await objects.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "limit_bytes", "error"),
    [
        (403, 1000, ObjectDeniedError),
        (404, 1000, ObjectMissingError),
        (400, 1000, ObjectMissingError),
        (500, 1000, SourceUnavailableError),
        (503, 1000, SourceUnavailableError),
        (200, 99, ObjectTooLargeError),
    ],
)
async def test_each_failure_of_the_engine_is_the_one_that_the_caller_can_act_on(
    tmp_path: Path, status: int, limit_bytes: int, error: type[SourceError]
) -> None:
    async with objects_of(tmp_path) as objects:
        with pytest.raises(error, match=f"s3://bucket/{status}"):
            await objects.fetch(bucket="bucket", key=str(status), version=None, limit_bytes=limit_bytes)


async def test_a_key_that_is_no_text_is_a_missing_object(tmp_path: Path) -> None:
    async with objects_of(tmp_path) as objects:
        with pytest.raises(ObjectMissingError):
            await objects.fetch(bucket="b", key="\ud800/404", version="\ud800", limit_bytes=1)


async def test_an_object_within_the_limit_is_read_whole(tmp_path: Path) -> None:
    async with objects_of(tmp_path) as objects:
        assert await objects.fetch(bucket="b", key="200", version="v 1", limit_bytes=100) == b"x" * 100


async def test_an_engine_that_is_away_is_unavailable_and_no_missing_object(tmp_path: Path) -> None:
    objects = EngineObjects(tmp_path / "nothing.sock", root_key="ROOT", region="us-east-1")
    try:
        with pytest.raises(SourceUnavailableError, match="cannot be read"):
            await objects.fetch(bucket="b", key="k", version=None, limit_bytes=1)
    finally:
        await objects.close()
