"""The preview of an image: a small upright JPEG without Exif, for pages that show many.

`uploads/2026/cat.png` -> `previews/2026/cat.png.jpg`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.keys import derived_key
from pipeline.settings import PREVIEW_PREFIX

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def preview_key(key: str, *, trigger_prefix: str) -> str:
    """Key of the preview of an image: the path below the trigger prefix, under `previews/`."""
    return derived_key(key, prefix=PREVIEW_PREFIX, suffix=".jpg", trigger_prefix=trigger_prefix)


def write(s3: S3Client, *, bucket: str, key: str, content: bytes) -> None:
    """Put a preview.

    Args:
        bucket: that of the image.
        key: of the preview.
        content: a JPEG.

    Raises:
        ClientError: S3 refuses or cannot answer now.
    """
    s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType="image/jpeg")


def remove(s3: S3Client, bucket: str, key: str, *, trigger_prefix: str) -> None:
    """Delete the preview of an image; one that is not there is no error.

    Raises:
        ClientError: S3 refuses or cannot answer now.
    """
    s3.delete_object(Bucket=bucket, Key=preview_key(key, trigger_prefix=trigger_prefix))
