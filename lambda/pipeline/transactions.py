"""Transactions of DynamoDB: all actions or none, tried again where that may help.

A transaction is cancelled when one of its conditions does not hold, which is an answer, and also when another write
touches one of its items at the same moment or when a partition is throttled, which pass. botocore tries again what
is refused as a whole, but no cancelled transaction.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_boto3_dynamodb import DynamoDBClient

MAX_ACTIONS = 100
ATTEMPTS = 6
_FIRST_WAIT_S = 0.02
_REFUSED = "ConditionalCheckFailed"
_NO_REASON = (None, "None")
_PASSING = frozenset(
    {
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
    }
)
"""Reasons of a cancellation that are not ours: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/
transaction-apis.html (Error handling)."""


class ConditionRefusedError(Exception):
    """A condition did not hold, so that nothing was written.

    Args:
        actions: which actions of the transaction had such a condition.
    """

    def __init__(self, actions: Sequence[int]) -> None:
        super().__init__(f"the conditions of actions {list(actions)} do not hold")
        self.actions = tuple(actions)


def write(
    client: DynamoDBClient, actions: Sequence[dict[str, Any]], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Write all actions, or none.

    Waits 20 ms at first, twice as long each time and up to half of that again by chance, so that two that
    collided do not collide again; less than 1 s in all.

    Raises:
        ConditionRefusedError: a condition does not hold.
        ClientError: DynamoDB refuses, or is still throttled or contended after all attempts.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            client.transact_write_items(TransactItems=list(actions))  # type: ignore[arg-type]
        except ClientError as error:
            reasons = _reasons(error)
            refused = [number for number, reason in enumerate(reasons) if reason == _REFUSED]
            if refused:
                raise ConditionRefusedError(refused) from error
            if attempt == ATTEMPTS or not _passes(reasons):
                raise
        else:
            return
        sleep(_FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(1, 1.5))  # noqa: S311 - no secret


def _reasons(error: ClientError) -> list[str | None]:
    """Why each action was cancelled; nothing where the error is no cancellation."""
    given: Any = error.response.get("CancellationReasons") or []
    return [reason.get("Code") for reason in given]


def _passes(reasons: list[str | None]) -> bool:
    said = [reason for reason in reasons if reason not in _NO_REASON]
    return bool(said) and all(reason in _PASSING for reason in said)
