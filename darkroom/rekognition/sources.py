"""How an `S3Object` becomes bytes: what the service needs. A gateway passes its own; see also `s3.S3Source`."""

from __future__ import annotations

from typing import Protocol

from darkroom.rekognition.errors import (
    ObjectDeniedError,
    ObjectMissingError,
    ObjectTooLargeError,
    SourceUnavailableError,
)


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


def check_answer(what: str, *, status: int, size_bytes: int | None, limit_bytes: int) -> None:
    """What an S3's answer to a GET means, before its body is read.

    Args:
        what: the object, for people.
        status: of the HTTP answer.
        size_bytes: its Content-Length, if it has one.
        limit_bytes: the most that is wanted.

    Raises:
        SourceError: the kind that `ObjectSource.fetch` promises.
    """
    if status == 403:
        raise ObjectDeniedError(f"{what}: S3 denies it to the credentials in use")
    if status >= 500:
        raise SourceUnavailableError(f"{what}: S3 answers {status}")
    if status != 200:
        raise ObjectMissingError(f"{what}: S3 answers {status}")
    if (size_bytes or 0) > limit_bytes:
        raise ObjectTooLargeError(f"{what} has {size_bytes} bytes, the limit is {limit_bytes}")
