"""The bucket of code packages: private, one object per content, never overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from darkroom.errors import DeployError

if TYPE_CHECKING:
    import boto3
    from types_boto3_s3 import S3Client
    from types_boto3_s3.literals import BucketLocationConstraintType

    from darkroom.stack.package import CodePackage

_MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})


def upload_code(session: boto3.Session, *, bucket: str, code: CodePackage) -> bool:
    """Put a package into the bucket, which is made where it is missing; False when it was there already.

    Raises:
        DeployError: the bucket belongs to somebody else.
    """
    s3 = session.client("s3")
    if _exists(s3, bucket, code.key):
        return False
    try:
        s3.put_object(Bucket=bucket, Key=code.key, Body=code.content, ContentType="application/zip")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        _make(s3, bucket, region=session.region_name or "us-east-1")
        s3.put_object(Bucket=bucket, Key=code.key, Body=code.content, ContentType="application/zip")
    return True


def _exists(s3: S3Client, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _MISSING:
            return False
        if code == "403":
            raise DeployError(
                f"The bucket {bucket} for code packages cannot be read.",
                hint="It may belong to another account, or s3:GetObject and s3:ListBucket are not allowed.",
            ) from error
        raise
    return True


def _make(s3: S3Client, bucket: str, *, region: str) -> None:
    if region == "us-east-1":  # which S3 does not accept as a location
        s3.create_bucket(Bucket=bucket)
    else:
        location = cast("BucketLocationConstraintType", region)
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": location})
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
