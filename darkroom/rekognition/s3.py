"""S3 for a server that stands alone: its own credentials, from the endpoint that boto3's environment names.

botocore resolves endpoint, region and credentials, and signs; aiohttp fetches. A full boto3 call costs more than
everything else that an answer needs, and would need a thread.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from darkroom.rekognition.errors import SourceUnavailableError
from darkroom.rekognition.sources import check_answer

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_CONNECTIONS = 16
_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=3)


@dataclass(frozen=True, slots=True)
class Access:
    """Where S3 is and who asks. `credentials` are botocore's, which renew themselves; None signs nothing."""

    endpoint: str
    region: str
    credentials: Any


def access_from_environment() -> Access:
    """As boto3 would find it: environment, shared files, container and instance roles.

    Raises:
        SourceUnavailableError: no region is set, or a setting cannot be read.
    """
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        session = botocore.session.get_session()
        client = session.create_client("s3", config=Config(s3={"addressing_style": "path"}))
        credentials = session.get_credentials()
    except (BotoCoreError, ValueError) as error:
        raise SourceUnavailableError(f"S3 is not configured: {error}") from error
    if credentials is None:
        logger.warning("there are no AWS credentials: S3 is read without a signature")
    return Access(client.meta.endpoint_url, client.meta.region_name, credentials)


class S3Source:
    """An `ObjectSource`. Use it in one event loop, and close it there.

    Args:
        find_access: called in a thread when the first object is read.
    """

    def __init__(self, find_access: Callable[[], Access] = access_from_environment) -> None:
        self._find_access = find_access
        self._access: Access | None = None
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()

    async def fetch(self, *, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        """See `ObjectSource`."""
        access, session = await self._ready()
        url = object_url(access.endpoint, bucket, key, version)
        try:
            async with session.get(URL(url, encoded=True), headers=signed_headers(access, url)) as response:
                check_answer(
                    f"s3://{bucket}/{key}",
                    status=response.status,
                    size_bytes=response.content_length,
                    limit_bytes=limit_bytes,
                )
                return await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceUnavailableError(f"s3://{bucket}/{key} cannot be read: {error!r}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ready(self) -> tuple[Access, aiohttp.ClientSession]:
        async with self._lock:
            if self._access is None:
                self._access = await asyncio.to_thread(self._find_access)
            if self._session is None:
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                    timeout=_TIMEOUT,
                    auto_decompress=False,
                )
        return self._access, self._session


def object_url(endpoint: str, bucket: str, key: str, version: str | None) -> str:
    """The path-style address of an object, encoded as S3 wants it signed."""
    address = f"{endpoint.rstrip('/')}/{quote(bucket, safe='')}/{quote(key, safe='/~', errors='replace')}"
    return f"{address}?versionId={quote(version, safe='-_.~', errors='replace')}" if version else address


def signed_headers(access: Access, url: str) -> dict[str, str]:
    """The headers of a GET with Signature Version 4."""
    if access.credentials is None:
        return {}
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError

    request = AWSRequest(method="GET", url=url)
    try:
        S3SigV4Auth(access.credentials.get_frozen_credentials(), "s3", access.region).add_auth(request)
    except BotoCoreError as error:
        raise SourceUnavailableError(f"the AWS credentials cannot be used: {error}") from error
    return dict(request.headers.items())
