"""Presigned addresses: what a browser may send to the bucket, and see of it, without keys of its own.

Always Signature Version 4 and the region's own host: S3's global host answers for other regions with a redirect, which
a browser's preflight does not follow. https://docs.aws.amazon.com/AmazonS3/latest/userguide/PresignedUrlUploadObject.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from botocore.config import Config

if TYPE_CHECKING:
    import boto3
    from types_boto3_s3 import S3Client

FORM_SECONDS = 300
PICTURE_SECONDS = 900
SHOWN_TYPES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"))
"""What a browser shows as a picture and never runs. SVG is none of these."""


def presigning_client(session: boto3.Session, *, endpoint: str) -> S3Client:
    """A client whose addresses a browser can reach.

    Args:
        session: with the function's credentials.
        endpoint: S3's address; empty for the region's own.
    """
    style: Literal["path", "virtual"] = "path" if endpoint else "virtual"
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
    )
    return session.client("s3", endpoint_url=endpoint or None, config=config)


class Addresses:
    """Signs addresses of one bucket.

    Args:
        client: of `presigning_client`.
        bucket: its name.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @property
    def origin(self) -> str:
        """Scheme and host that all addresses begin with."""
        parts = urlsplit(self.picture("origin", content_type="image/png", file_name="origin"))
        return f"{parts.scheme}://{parts.netloc}"

    def form(self, key: str, *, content_type: str, max_bytes: int) -> dict[str, Any]:
        """An upload form (POST) for exactly this key and type, up to a size, for five minutes.

        Returns:
            `url` and `fields`; the file is to be the last field.
        """
        fixed = {"Content-Type": content_type, "success_action_status": "204"}
        return self._client.generate_presigned_post(
            self._bucket,
            key,
            Fields=fixed,
            Conditions=[
                *({name: value} for name, value in fixed.items()),
                ["content-length-range", 1, max_bytes],
            ],
            ExpiresIn=FORM_SECONDS,
        )

    def put(self, key: str) -> str:
        """Where a PUT stores exactly this key, for five minutes."""
        return self._client.generate_presigned_url(
            "put_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=FORM_SECONDS
        )

    def picture(self, key: str, *, content_type: str, file_name: str) -> str:
        """Where an object can be seen for a quarter of an hour.

        S3 answers with a type that no browser runs, whatever the object was stored as, and as something to save
        and not to open: an `<img>` shows it all the same.
        """
        shown = content_type if content_type in SHOWN_TYPES else "application/octet-stream"
        name = quote(file_name, safe="")
        return self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": key,
                "ResponseContentType": shown,
                "ResponseContentDisposition": f"attachment; filename*=UTF-8''{name}",
            },
            ExpiresIn=PICTURE_SECONDS,
        )
