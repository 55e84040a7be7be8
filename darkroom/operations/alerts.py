"""Reading the stored alerts of a stack, newest first."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Any

from darkroom.errors import NotFoundError
from darkroom.operations.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.operations.target import Target

Alert = dict[str, Any]
"""The document of docs/operations.md."""


def newest(target: Target, *, limit: int) -> list[Alert]:
    """Up to `limit` alerts, the one of the latest upload first.

    Raises:
        NotFoundError: the stack has no index table, because somebody's own Lambda is in the tagger's place.
    """
    configured = target.session.client("lambda").get_function_configuration(
        FunctionName=target.outputs.function
    )
    variables = configured.get("Environment", {}).get("Variables", {})
    if "INDEX_TABLE_NAME" not in variables:
        raise NotFoundError(
            "This stack keeps no alerts.",
            hint="A stack with your own Lambda has none; Darkroom's tagger makes them.",
        )
    client = target.session.client("dynamodb")
    shards = (
        _shard(client, variables["INDEX_TABLE_NAME"], number)
        for number in range(int(variables["INDEX_SHARDS"]))
    )
    # every shard is in order, and is read no further than the merge needs
    merged = heapq.merge(*shards, key=lambda alert: str(alert["sk"]), reverse=True)
    return [{k: v for k, v in alert.items() if k not in ("pk", "sk")} for alert in islice(merged, limit)]


def _shard(client: Any, table: str, number: int) -> Iterator[Alert]:
    from boto3.dynamodb.types import TypeDeserializer

    deserializer = TypeDeserializer()
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"alerts#{number}"}},
        ScanIndexForward=False,
        PaginationConfig={"PageSize": 100},
    )
    for page in pages:
        for item in page["Items"]:
            yield plain(deserializer.deserialize({"M": item}))
