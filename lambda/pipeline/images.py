"""An uploaded object: what S3 says of it, and its bytes once they are needed.

One GetObject brings both. The answer's head is enough to claim the image; the bytes stay on the wire until then,
and are never fetched where there is nothing to do.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.errors import ObjectGoneError, ObjectReplacedError
from pipeline.events import Upload
from pipeline.ordering import Position, iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.response import StreamingBody
    from types_boto3_rekognition.type_defs import S3ObjectTypeDef
    from types_boto3_s3 import S3Client

MOST_READ_BYTES = 100 * 1024 * 1024
"""A larger object is not read as a whole: with its decoded picture it would not fit in the function's memory."""
_HEAD_BYTES = 64 * 1024

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An object as it lies in the bucket."""

    bucket: str
    key: str
    size_bytes: int
    content_type: str
    position: Position

    @property
    def file_name(self) -> str:
        return self.key.rsplit("/", 1)[-1]

    @property
    def version_id(self) -> str | None:
        return self.position.version_id

    def s3_object(self) -> S3ObjectTypeDef:
        """The object as Rekognition names it, pinned to its version where there is one."""
        named: S3ObjectTypeDef = {"Bucket": self.bucket, "Name": self.key}
        if self.version_id:
            named["Version"] = self.version_id
        return named


@dataclass(frozen=True, slots=True)
class Download:
    """An object whose bytes can be read, once."""

    image: StoredImage
    _body: StreamingBody

    @property
    def is_whole(self) -> bool:
        """Whether `read` brings the whole file."""
        return self.image.size_bytes <= MOST_READ_BYTES

    def read(self) -> bytes:
        """The file; of a very large one only the first bytes.

        Raises:
            BotoCoreError: the connection broke.
        """
        return self._body.read() if self.is_whole else self._body.read(_HEAD_BYTES)


@contextmanager
def fetch(s3: S3Client, upload: Upload) -> Iterator[Download]:
    """Ask for an uploaded object; within the block its bytes can be read.

    Raises:
        ObjectGoneError: the object or its version does not exist any more.
        ObjectReplacedError: a bucket without versions holds other bytes by now; their own event is on its
            way.
        ClientError: S3 refuses or cannot answer now.
    """
    try:
        answer = s3.get_object(Bucket=upload.bucket, Key=upload.key, **_version(upload.version_id))
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            raise ObjectGoneError(f"{upload.key} does not exist any more") from error
        raise
    body = answer["Body"]
    try:
        etag = answer["ETag"].strip('"')
        if upload.etag and upload.etag.strip('"') != etag:
            raise ObjectReplacedError(
                f"{upload.key} was replaced after this event (ETag {etag}, not {upload.etag})"
            )
        position = Position(
            sequencer=upload.sequencer,
            uploaded_at=iso_utc(answer["LastModified"]),
            etag=etag,
            version_id=upload.version_id,
        )
        yield Download(
            StoredImage(
                upload.bucket, upload.key, answer["ContentLength"], answer.get("ContentType", ""), position
            ),
            body,
        )
    finally:
        body.close()


def current(s3: S3Client, bucket: str, key: str) -> Upload | None:
    """What lies under a key now, or None. S3 is consistent: an object that was deleted is not seen any more.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
    """
    try:
        answer = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
    version_id = answer.get("VersionId")
    return Upload(bucket, key, answer["ETag"].strip('"'), None if version_id == "null" else version_id)


def exists(s3: S3Client, image: StoredImage) -> bool:
    """Whether the object is still there."""
    try:
        s3.head_object(Bucket=image.bucket, Key=image.key, **_version(image.version_id))
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True


def _version(version_id: str | None) -> dict[str, Any]:
    return {"VersionId": version_id} if version_id else {}
