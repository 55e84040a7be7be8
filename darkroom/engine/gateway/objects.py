"""How the local Rekognition reads S3 objects when it runs inside the gateway: straight from the engine's socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from darkroom.engine.internal import root_authorization
from darkroom.rekognition import SourceUnavailableError, check_answer
from darkroom.rekognition.s3 import object_url

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = aiohttp.ClientTimeout(total=30)
"""The engine reads from this machine's disk: what takes longer has stopped answering."""


class EngineObjects:
    """An `ObjectSource` over the engine's Unix socket, with the environment's own credentials."""

    def __init__(self, socket: Path, *, root_key: str, region: str) -> None:
        connector = aiohttp.UnixConnector(str(socket), limit=16)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        self._root_key = root_key
        self._region = region

    async def close(self) -> None:
        await self._session.close()

    async def fetch(self, *, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        """Read one object.

        Raises:
            ObjectMissingError: there is no such bucket, key or version.
            ObjectDeniedError: the bucket's policy forbids it.
            ObjectTooLargeError: it has more than `limit_bytes`; it is not read then.
            SourceUnavailableError: the engine fails or does not answer, as while it restarts.
        """
        url = URL(object_url("http://engine", bucket, key, version), encoded=True)
        headers = {
            "Authorization": root_authorization(root_key=self._root_key, region=self._region, service="s3"),
            "X-Forwarded-Proto": "https",
        }
        place = f"s3://{bucket}/{key}"
        try:
            async with self._session.get(url, headers=headers) as answer:
                size_bytes = answer.content_length
                check_answer(place, status=answer.status, size_bytes=size_bytes, limit_bytes=limit_bytes)
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceUnavailableError(f"{place} cannot be read: {error!r}") from error
