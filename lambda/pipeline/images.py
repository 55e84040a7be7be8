"""What S3 says of an uploaded object, and the size of the picture: one ranged read tells both.

A read of the first bytes costs as much as a HeadObject and brings the size in pixels with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.errors import ObjectGoneError, ObjectReplacedError
from pipeline.events import Upload
from pipeline.ordering import Position, iso_utc
from pipeline.pixels import Size, Unfinished, read_size

if TYPE_CHECKING:
    from types_boto3_rekognition.type_defs import S3ObjectTypeDef
    from types_boto3_s3 import S3Client

HEAD_BYTES = 64 * 1024
"""The first read. Nearly every file tells its size here; an Exif thumbnail alone may fill it."""
DEEP_BYTES = 1024 * 1024
"""The second and last read, for JPEGs with large colour profiles or several metadata segments."""

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
_EMPTY = frozenset({"InvalidRange", "416"})


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An object as it lies in the bucket. `size` is None where it cannot be read from the first bytes."""

    bucket: str
    key: str
    size_bytes: int
    content_type: str
    position: Position
    size: Size | None

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


def fetch(s3: S3Client, upload: Upload) -> StoredImage:
    """Read what is known of an uploaded object.

    Raises:
        ObjectGoneError: the object or its version does not exist any more.
        ObjectReplacedError: a bucket without versions holds other bytes by now; their own event is on its
            way.
        ClientError: S3 refuses or cannot answer now.
    """
    answer, head = _read(s3, upload, HEAD_BYTES)
    size_bytes = _total_bytes(answer)
    etag = answer["ETag"].strip('"')
    if upload.etag and upload.etag.strip('"') != etag:
        raise ObjectReplacedError(
            f"{upload.key} was replaced after this event (ETag {etag}, not {upload.etag})"
        )
    size = read_size(head)
    if isinstance(size, Unfinished) and size.offset < DEEP_BYTES and size_bytes > HEAD_BYTES:
        size = read_size(_read(s3, upload, DEEP_BYTES)[1])
    return StoredImage(
        bucket=upload.bucket,
        key=upload.key,
        size_bytes=size_bytes,
        content_type=answer.get("ContentType", ""),
        position=Position(
            sequencer=upload.sequencer,
            uploaded_at=iso_utc(answer["LastModified"]),
            etag=etag,
            version_id=upload.version_id,
        ),
        size=size if isinstance(size, Size) else None,
    )


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


def _read(s3: S3Client, upload: Upload, length: int) -> tuple[dict[str, Any], bytes]:
    """Headers and first bytes of the object."""
    target: dict[str, Any] = {"Bucket": upload.bucket, "Key": upload.key, **_version(upload.version_id)}
    try:
        answer = s3.get_object(**target, Range=f"bytes=0-{length - 1}")
        return dict(answer), answer["Body"].read()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE:
            raise ObjectGoneError(f"{upload.key} does not exist any more") from error
        if code not in _EMPTY:
            raise
    # An empty object has no first byte: S3 answers 416 to a range, without the headers that the record needs.
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html (InvalidRange)
    return dict(s3.head_object(**target)), b""


def _version(version_id: str | None) -> dict[str, Any]:
    return {"VersionId": version_id} if version_id else {}


def _total_bytes(answer: dict[str, Any]) -> int:
    """Size of the whole object: `bytes 0-65535/300000` of a partial answer, else the length of the answer."""
    content_range: str = answer.get("ContentRange", "")
    total = content_range.rpartition("/")[2]
    return int(total) if total.isdecimal() else int(answer["ContentLength"])
