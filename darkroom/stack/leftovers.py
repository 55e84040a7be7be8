"""Buckets, tables and queues that outlived an earlier stack of the same name.

Data resources are kept when a stack is deleted, and a local engine that was killed may keep its objects and
forget its stack. A new stack cannot create what is there already: it must adopt it, or somebody must drop it.

Adopting is CloudFormation's import: a change set of type IMPORT takes the resources in as they are, and the
update that follows applies the rest of their properties
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import.html).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.stack.template import Resource, Scope, Template, UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef


class Leftovers(StrEnum):
    """What to do with resources that are there before the stack is."""

    REFUSE = "refuse"
    """Stop and say what is there."""
    ADOPT = "adopt"
    """Take them into the stack, with what they hold."""
    DROP = "drop"
    """Delete them, with what they hold."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A resource that exists and that the stack is about to create."""

    logical_id: str
    type: str
    name: str
    identifier: Mapping[str, str]
    """How CloudFormation names it for an import."""
    properties: Mapping[str, Any]
    """The properties that an import needs."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How resources of one type are found and dropped.

    Args:
        name: the property that holds the name.
        needed: the other properties that CloudFormation requires for an import.
        find: session and name -> the import's identifier, None where there is no such resource.
        drop: deletes it with all that it holds.
    """

    name: str
    needed: tuple[str, ...]
    find: Callable[[boto3.Session, str], dict[str, str] | None]
    drop: Callable[[boto3.Session, Leftover], None]


def find_leftovers(session: boto3.Session, template: Template, values: Mapping[str, str]) -> list[Leftover]:
    """The kept resources of the template that exist already.

    Args:
        session: access to the account.
        template: the template to be deployed.
        values: all parameters, with the pseudo parameters that names are made of.
    """
    scope = Scope(template, values)
    kept = (it for it in template.active(values).values() if it.deletion_policy.startswith("Retain"))
    found = (_find(session, resource, scope) for resource in kept)
    return [leftover for leftover in found if leftover is not None]


def drop(session: boto3.Session, leftover: Leftover) -> None:
    """Delete a resource with all that it holds."""
    _KINDS[leftover.type].drop(session, leftover)


def import_template(leftovers: list[Leftover]) -> str:
    """A template that holds nothing but the leftovers, named as they are."""
    return json.dumps(
        {
            "Resources": {
                it.logical_id: {
                    "Type": it.type,
                    "DeletionPolicy": "Retain",
                    "Properties": dict(it.properties),
                }
                for it in leftovers
            }
        }
    )


def _find(session: boto3.Session, resource: Resource, scope: Scope) -> Leftover | None:
    kind = _KINDS.get(resource.type)
    if kind is None or kind.name not in resource.properties:
        return None
    try:
        wanted = (kind.name, *(it for it in kind.needed if it in resource.properties))
        properties = {it: scope.resolve(resource.properties[it]) for it in wanted}
    except UnresolvableError:
        return None
    name = properties[kind.name]
    identifier = kind.find(session, name)
    if identifier is None:
        return None
    return Leftover(resource.logical_id, resource.type, name, identifier, properties)


def _or_none(call: Callable[[], dict[str, str]]) -> dict[str, str] | None:
    """The result, or None where the answer is that there is no such thing."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise


_MISSING = frozenset(
    {
        "404",
        "NoSuchBucket",
        "ResourceNotFoundException",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    }
)


def _find_bucket(session: boto3.Session, name: str) -> dict[str, str] | None:
    def call() -> dict[str, str]:
        session.client("s3").head_bucket(Bucket=name)
        return {"BucketName": name}

    return _or_none(call)


def is_empty(session: boto3.Session, bucket: str) -> bool:
    """Whether a bucket holds nothing, no older version and no delete marker either."""
    page = session.client("s3").list_object_versions(Bucket=bucket, MaxKeys=1)
    return not page.get("Versions") and not page.get("DeleteMarkers")


def _drop_bucket(session: boto3.Session, leftover: Leftover) -> None:
    s3 = session.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=leftover.name):
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if entries:
            doomed: list[ObjectIdentifierTypeDef] = [
                {"Key": it["Key"], "VersionId": it["VersionId"]} for it in entries
            ]
            s3.delete_objects(Bucket=leftover.name, Delete={"Objects": doomed, "Quiet": True})
    s3.delete_bucket(Bucket=leftover.name)


def _find_table(session: boto3.Session, name: str) -> dict[str, str] | None:
    def call() -> dict[str, str]:
        session.client("dynamodb").describe_table(TableName=name)
        return {"TableName": name}

    return _or_none(call)


def _drop_table(session: boto3.Session, leftover: Leftover) -> None:
    client = session.client("dynamodb")
    client.delete_table(TableName=leftover.name)
    client.get_waiter("table_not_exists").wait(
        TableName=leftover.name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )


def _find_queue(session: boto3.Session, name: str) -> dict[str, str] | None:
    return _or_none(lambda: {"QueueUrl": session.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]})


def _drop_queue(session: boto3.Session, leftover: Leftover) -> None:
    session.client("sqs").delete_queue(QueueUrl=leftover.identifier["QueueUrl"])


_KINDS = {
    "AWS::S3::Bucket": _Kind("BucketName", (), _find_bucket, _drop_bucket),
    "AWS::DynamoDB::Table": _Kind(
        "TableName", ("AttributeDefinitions", "KeySchema", "BillingMode"), _find_table, _drop_table
    ),
    "AWS::SQS::Queue": _Kind("QueueName", (), _find_queue, _drop_queue),
}
