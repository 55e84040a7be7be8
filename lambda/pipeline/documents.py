"""The JSON file of an image: the record, whole, beside the pictures.

`uploads/2026/cat.jpg` -> `metadata/2026/cat.jpg.json`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline.keys import derived_key
from pipeline.settings import METADATA_PREFIX

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from pipeline.records import Record


def metadata_key(key: str, *, trigger_prefix: str) -> str:
    """Key of the JSON file of an image: the path below the trigger prefix, under `metadata/`."""
    return derived_key(key, prefix=METADATA_PREFIX, suffix=".json", trigger_prefix=trigger_prefix)


def render(record: Record) -> bytes:
    """The record as readable JSON. The same record gives the same bytes."""
    return (json.dumps(record, ensure_ascii=False, indent=2) + "\n").encode()


def write(s3: S3Client, record: Record, *, trigger_prefix: str) -> None:
    """Put the JSON file of a record beside its image.

    Raises:
        ClientError: S3 refuses or cannot answer now.
    """
    s3.put_object(
        Bucket=record["S3Bucket"],
        Key=metadata_key(record["S3Key"], trigger_prefix=trigger_prefix),
        Body=render(record),
        ContentType="application/json",
    )


def remove(s3: S3Client, bucket: str, key: str, *, trigger_prefix: str) -> None:
    """Delete the JSON file of an image; one that is not there is no error.

    Raises:
        ClientError: S3 refuses or cannot answer now.
    """
    s3.delete_object(Bucket=bucket, Key=metadata_key(key, trigger_prefix=trigger_prefix))
