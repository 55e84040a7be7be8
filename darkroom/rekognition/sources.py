"""How an `S3Object` becomes bytes: what the service needs. A gateway passes its own; see also `s3.S3Source`."""

from __future__ import annotations

from typing import Protocol


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
