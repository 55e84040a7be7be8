"""The bucket beside the stack: code packages, and what a promotion keeps.

code/<hash>.zip        one object per content, never overwritten
deployments/…          what was deployed when, by whom, with which results (see `darkroom.operations.promotion`)
lock.json              there while a deployment is under way

On AWS it is private, encrypted, versioned and reached by TLS only, and every call names the account that must own
it: whoever makes a bucket of that name first gets no code of ours
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import ClientError

from darkroom.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3
    from types_boto3_s3 import S3Client
    from types_boto3_s3.literals import BucketLocationConstraintType

    from darkroom.stack.package import CodePackage

_T = TypeVar("_T")
_MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
_OLD_VERSIONS_DAYS = 90


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's content and its ETag."""

    content: bytes
    etag: str


class ConflictError(Exception):
    """An object is there, or is not the one that was to be replaced."""


class Artefacts:
    """The bucket of one stack.

    Args:
        session: access to the account or the engine.
        bucket: its name.
        owner: account that must own it; None does not ask.
    """

    def __init__(self, session: boto3.Session, bucket: str, *, owner: str | None = None) -> None:
        self._s3: S3Client = session.client("s3")
        self._region = session.region_name or "us-east-1"
        self.bucket = bucket
        self._owner: dict[str, Any] = {} if owner is None else {"ExpectedBucketOwner": owner}

    def exists(self, key: str) -> bool:
        """
        Raises:
            DeployError: the bucket belongs to somebody else.
        """
        return (
            self._or_none(lambda: self._s3.head_object(Bucket=self.bucket, Key=key, **self._owner))
            is not None
        )

    def get(self, key: str) -> Stored | None:
        """An object, None where there is none.

        Raises:
            DeployError: the bucket belongs to somebody else.
        """
        answer = self._or_none(lambda: self._s3.get_object(Bucket=self.bucket, Key=key, **self._owner))
        return None if answer is None else Stored(answer["Body"].read(), answer["ETag"])

    def put(
        self, key: str, content: bytes, *, content_type: str, unless_there: bool = False, instead_of: str = ""
    ) -> str:
        """Store an object; the bucket is made where it is missing. Returns its ETag.

        Args:
            key: its key.
            content: its content.
            content_type: media type.
            unless_there: only if there is no such object.
            instead_of: only if the object that is there has this ETag.

        Raises:
            ConflictError: a condition does not hold.
            DeployError: the bucket belongs to somebody else.
        """
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if unless_there else {}
        condition |= {"IfMatch": instead_of} if instead_of else {}

        def put() -> str:
            return self._s3.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=content,
                ContentType=content_type,
                **condition,
                **self._owner,
            )["ETag"]

        try:
            return put()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("PreconditionFailed", "ConditionalRequestConflict") or (
                instead_of and code in _MISSING
            ):
                raise ConflictError(key) from None
            if code != "NoSuchBucket":
                raise self._readable(error) from error
        self.make()
        return put()

    def delete(self, key: str) -> None:
        self._s3.delete_object(Bucket=self.bucket, Key=key, **self._owner)

    def keys(self, prefix: str) -> list[str]:
        """Keys under a prefix, in alphabetical order; none where the bucket is missing."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, **self._owner
        )
        found = self._or_none(lambda: [it["Key"] for page in pages for it in page.get("Contents", [])])
        return found or []

    def make(self) -> None:
        """Make the bucket: private, and where its owner is known (on AWS) also protected."""
        if self._region == "us-east-1":  # which S3 does not accept as a location
            self._s3.create_bucket(Bucket=self.bucket)
        else:
            location = cast("BucketLocationConstraintType", self._region)
            self._s3.create_bucket(
                Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": location}
            )
        self._s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
            **self._owner,
        )
        if self._owner:
            self._protect()

    def _protect(self) -> None:
        self._s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
            **self._owner,
        )
        self._s3.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}, **self._owner
        )
        self._s3.put_bucket_lifecycle_configuration(
            Bucket=self.bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "remove-old-versions",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "NoncurrentVersionExpiration": {"NoncurrentDays": _OLD_VERSIONS_DAYS},
                    }
                ]
            },
            **self._owner,
        )
        self._s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(self._tls_only()), **self._owner)

    def _tls_only(self) -> Mapping[str, Any]:
        arn = f"arn:{partition_of(self._region)}:s3:::{self.bucket}"
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "RefusePlainHttp",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }

    def _or_none(self, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise self._readable(error) from error

    def _readable(self, error: ClientError) -> Exception:
        if error.response["Error"]["Code"] not in ("403", "AccessDenied"):
            return error
        return DeployError(
            f"The bucket {self.bucket} for code packages cannot be used: access denied.",
            hint="It may belong to another account, or s3:GetObject, s3:PutObject and s3:ListBucket are not allowed.",
        )


def upload_code(artefacts: Artefacts, code: CodePackage) -> bool:
    """Put a package into the bucket; False when it was there already.

    Raises:
        DeployError: the bucket belongs to somebody else.
    """
    if artefacts.exists(code.key):
        return False
    artefacts.put(code.key, code.content, content_type="application/zip")
    return True


def partition_of(region: str) -> str:
    """The partition of a region (https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html)."""
    for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(prefix):
            return partition
    return "aws"
