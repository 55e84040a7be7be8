"""The bucket as the sync sees it: five operations, and every failure sorted by what to do about it.

    StoreError
    ├── AwayError     nothing can be stored now (engine stopped, no bucket yet): wait, then compare again
    │   └── KeysRefusedError    the keys are why: make a new client, they may have been written anew
    ├── BusyError     this one request failed for now (throttling, a time-out, a 500): try it again later
    └── RefusedError  the store said no to this key (AccessDenied …): say so, try again rarely

The rest of the sync knows only `ObjectStore`; boto lives in `S3Store`.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef


class StoreError(Exception):
    """The root; `str(error)` is a sentence part for people."""


class AwayError(StoreError):
    """No request can succeed at the moment."""


class KeysRefusedError(AwayError):
    """The access keys are missing, unknown or wrong."""


class BusyError(StoreError):
    """This request failed; the same one may succeed in a moment."""


class RefusedError(StoreError):
    """The store will not take this request."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store answered to an upload; `etag` without its quotes."""

    etag: str
    version: str | None


class ObjectStore(Protocol):
    """One bucket. Safe to use from several threads. Every method raises `StoreError`."""

    def list(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Key and ETag of every object under a prefix."""

    def head(self, key: str) -> str | None:
        """The ETag of an object, or None when there is none (or no such bucket)."""

    def put(self, key: str, body: bytes | IO[bytes], *, content_type: str) -> Stored:
        """Store an object in one request."""

    def put_parts(self, key: str, parts: Iterable[bytes], *, content_type: str) -> Stored:
        """Store an object in parts; when `parts` raises, nothing is stored."""

    def delete(self, key: str) -> None:
        """Delete an object; deleting what is not there is no error."""


_KEYS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "TokenRefreshRequired",
}
_THROTTLED = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
}
_AGAIN = _THROTTLED | {
    "RequestTimeout",
    "InternalError",
    "OperationAborted",
    "BadDigest",
    "RequestTimeTooSkewed",
}
_MEANING = {
    "AccessDenied": "these keys are not allowed to do it (AccessDenied)",
    "403": "these keys are not allowed to do it (403)",
    "InvalidAccessKeyId": "the access key is unknown there (InvalidAccessKeyId)",
    "SignatureDoesNotMatch": "the secret key is wrong (SignatureDoesNotMatch)",
}


def sorted_error(error: Exception, *, bucket: str) -> Exception:
    """Turn what botocore raised into a `StoreError`; anything else is a bug and comes back as it is."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        return _sorted_answer(error, bucket)
    keys = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.ProfileNotFound,
        boto.CredentialRetrievalError,
    )
    if isinstance(error, keys):
        return KeysRefusedError(f"no usable AWS keys ({str(error).rstrip('.')})")
    if isinstance(error, boto.ReadTimeoutError):
        return BusyError("the engine did not answer in time")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        url = urlsplit(str(error.kwargs.get("endpoint_url", "")))
        place = f" to {url.scheme}://{url.netloc}" if url.netloc else f" ({str(error).rstrip('.')})"
        return AwayError(f"no connection{place}")
    if isinstance(error, boto.BotoCoreError):
        return RefusedError(str(error).rstrip("."))
    return error


@contextlib.contextmanager
def _sorting(bucket: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        found = sorted_error(error, bucket=bucket)
        if found is error:
            raise
        raise found from error


def _sorted_answer(error: Any, bucket: str) -> StoreError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return AwayError(f"the bucket {bucket} does not exist")
    reason = _MEANING.get(code) or (f"{said.rstrip('.')} ({code})" if said else code)
    if code in _KEYS:
        return KeysRefusedError(reason)
    if code in _AGAIN or status in {429, 500}:
        return BusyError(reason)
    if status in {502, 503, 504}:
        return AwayError(reason)
    return RefusedError(reason)


def _without_expect(request: Any, **_: object) -> None:
    del request.headers["Expect"]  # no error when there is none


class S3Store:
    """`ObjectStore` over S3, with addresses and keys from boto's own environment.

    boto's retries are switched off: the sync has its own, which know that other files can go on meanwhile.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    @classmethod
    def connect(cls, bucket: str, *, connections: int = 4) -> S3Store:
        """Make a client from the environment.

        Raises:
            KeysRefusedError: the profile or its file is not there (yet).
        """
        # botocore is the core of boto3; without boto3's resources and its transfer manager (the sync has
        # its own parts) this process is smaller.
        import botocore.session
        from botocore.config import Config

        local = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        config = Config(
            connect_timeout=2,
            read_timeout=60,
            max_pool_connections=connections,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            # The body is signed (SHA-256), so a CRC on top would only cost time.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # `bucket.localstack` resolves nowhere: path style for every endpoint that is not AWS.
            s3={"addressing_style": "path" if local else "auto"},
        )
        with _sorting(bucket):
            client: Any = botocore.session.Session().create_client("s3", config=config)
        # boto asks "may I send the body?" (Expect: 100-continue) and waits for the answer before every file,
        # one round trip more than a photo needs.
        for operation in ("PutObject", "UploadPart"):
            client.meta.events.register(f"request-created.s3.{operation}", _without_expect)
        return cls(client, bucket)

    def list(self, prefix: str) -> Iterator[tuple[str, str]]:
        with _sorting(self._bucket):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"], entry["ETag"].strip('"')

    def head(self, key: str) -> str | None:
        from botocore.exceptions import ClientError

        with _sorting(self._bucket):
            try:
                return self._s3.head_object(Bucket=self._bucket, Key=key)["ETag"].strip('"')
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise

    def put(self, key: str, body: bytes | IO[bytes], *, content_type: str) -> Stored:
        with _sorting(self._bucket):
            answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)
            return Stored(answer["ETag"].strip('"'), answer.get("VersionId"))

    def put_parts(self, key: str, parts: Iterable[bytes], *, content_type: str) -> Stored:
        s3, bucket = self._s3, self._bucket
        with _sorting(bucket):
            begun = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType=content_type)
            upload = begun["UploadId"]
            try:
                done: list[CompletedPartTypeDef] = []
                for number, part in enumerate(parts, start=1):
                    answer = s3.upload_part(
                        Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
                    )
                    done.append({"PartNumber": number, "ETag": answer["ETag"]})
                end = s3.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
                )
            except BaseException:
                self._abort(key, upload)
                raise
            return Stored(end["ETag"].strip('"'), end.get("VersionId"))

    def _abort(self, key: str, upload: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        except (BotoCoreError, ClientError):
            return  # the first failure is the one to tell; the engine drops unfinished parts with its state

    def delete(self, key: str) -> None:
        with _sorting(self._bucket):
            self._s3.delete_object(Bucket=self._bucket, Key=key)
