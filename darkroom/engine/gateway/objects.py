"""How the local Rekognition reads S3 objects when it runs inside the gateway: straight from the engine's socket."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
from yarl import URL

from darkroom.engine.internal import root_authorization
from darkroom.rekognition import ObjectDeniedError, ObjectMissingError, ObjectTooLargeError

if TYPE_CHECKING:
    from pathlib import Path


class EngineObjects:
    """An `ObjectSource` over the engine's Unix socket, with the environment's own credentials."""

    def __init__(self, socket: Path, *, root_key: str, region: str) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket), limit=16))
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
        """
        query = f"?versionId={quote(version, safe='')}" if version else ""
        url = URL(f"http://engine/{quote(bucket, safe='')}/{quote(key, safe='/~')}{query}", encoded=True)
        headers = {
            "Authorization": root_authorization(root_key=self._root_key, region=self._region, service="s3"),
            "X-Forwarded-Proto": "https",
        }
        async with self._session.get(url, headers=headers) as answer:
            if answer.status == 403:
                raise ObjectDeniedError(bucket, key)
            if answer.status != 200:
                raise ObjectMissingError(bucket, key)
            if (answer.content_length or 0) > limit_bytes:
                raise ObjectTooLargeError(bucket, key)
            return await answer.read()
