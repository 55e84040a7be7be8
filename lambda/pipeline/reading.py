"""Reading many items by their keys, all of them, though DynamoDB may answer for a part and name the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from pipeline.records import Item

_KEYS_PER_READ = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
_FIRST_WAIT_S = 0.02
_ATTEMPTS = 8


def read_items(
    client: DynamoDBClient,
    table: str,
    keys: Sequence[dict[str, Any]],
    *,
    sleep: Callable[[float], None] = time.sleep,
    **options: Any,
) -> Iterator[Item]:
    """The items that exist of these keys, in no order.

    Args:
        client: DynamoDB.
        table: its name.
        keys: all different.
        sleep: waits between two attempts at what was left.
        options: such as `ConsistentRead` and `ProjectionExpression`, as BatchGetItem names them.

    Raises:
        TimeoutError: DynamoDB still leaves some out after all attempts.
    """
    for start in range(0, len(keys), _KEYS_PER_READ):
        left: list[Any] = list(keys[start : start + _KEYS_PER_READ])
        for attempt in range(_ATTEMPTS):
            if attempt:
                sleep(_FIRST_WAIT_S * 2**attempt)
            request: Any = {table: {"Keys": left, **options}}
            answer: Any = client.batch_get_item(RequestItems=request)
            yield from answer["Responses"].get(table, [])
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if not left:
                break
        else:
            raise TimeoutError(f"DynamoDB does not answer for {len(left)} items of {table}")
