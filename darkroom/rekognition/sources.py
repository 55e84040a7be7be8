"""How an `S3Object` becomes bytes.

The service depends on `ObjectSource` only; a gateway passes its own. `Boto3Source` is for a server that
stands alone: it reads with the server's own credentials from the endpoint that boto3's environment names.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from darkroom.rekognition.errors import (
    ObjectDeniedError,
    ObjectMissingError,
    ObjectTooLargeError,
    SourceError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_CONNECTIONS = 16
_DENIED = frozenset(("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "InvalidAccessKeyId"))


class ObjectSource(Protocol):
    """Where the bytes of an `S3Object` come from."""

    async def fetch(self, *, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        """The whole object.

        Raises:
            ObjectMissingError: no such bucket, key or version.
            ObjectDeniedError: not readable with the credentials in use.
            ObjectTooLargeError: more than `limit_bytes`.
            SourceUnavailableError: S3 does not answer.
        """
        ...


class Boto3Source:
    """Reads objects with boto3 in a few threads.

    Args:
        client: an S3 client; made from the environment on first use where it is None.
    """

    def __init__(self, client: S3Client | None = None) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(max_workers=_CONNECTIONS, thread_name_prefix="s3")

    async def fetch(self, *, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        """See `ObjectSource`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._read, bucket, key, version, limit_bytes
        )

    def close(self) -> None:
        """Stop the threads; a read under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def warm(self) -> None:
        """Make the client now, so that the first request does not wait for it."""
        if self._client is None:
            self._client = _default_client()

    def _read(self, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        self.warm()
        assert self._client is not None  # noqa: S101 -- `warm` sets it
        extra: Any = {"VersionId": version} if version else {}
        try:
            response = self._client.get_object(Bucket=bucket, Key=key, **extra)
            if response["ContentLength"] > limit_bytes:
                response["Body"].close()
                message = (
                    f"s3://{bucket}/{key} has {response['ContentLength']} bytes, the limit is {limit_bytes}"
                )
                raise ObjectTooLargeError(message)
            return response["Body"].read()
        except ClientError as error:
            raise _translated(error, f"s3://{bucket}/{key}") from error
        except BotoCoreError as error:
            raise SourceUnavailableError(f"s3://{bucket}/{key} cannot be read: {error}") from error


def _translated(error: Any, what: str) -> SourceError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = f"{what}: {error}"
    if code in _DENIED or status == 403:
        return ObjectDeniedError(message)
    if status >= 500:
        return SourceUnavailableError(message)
    return ObjectMissingError(message)


def _default_client() -> S3Client:
    """boto3's own environment says endpoint, region and credentials."""
    import boto3
    from botocore.config import Config

    config = Config(
        max_pool_connections=_CONNECTIONS,
        connect_timeout=3,
        read_timeout=20,
        retries={"total_max_attempts": 2, "mode": "standard"},
        s3={"addressing_style": "path"},
    )
    return boto3.Session().client("s3", config=config)
