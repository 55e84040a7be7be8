"""Does the one who sent this event wait for the function's result?

The engine's proxy seam does not say how it invokes, but AWS's services each invoke in one documented way and
mark their events. Asynchronous ones are acknowledged once they are on disk; everything else is answered with
the result, because a caller that waits and gets none would be wrong, while a service that does not wait for
an answer takes one without harm (its event is then run once and retried by the engine).

Source: the table of "Invoking Lambda with events from other AWS services"
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html), column "method of invocation".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of event: who sends it, how it is told, and how that service invokes."""

    service: str
    matches: Callable[[Mapping[str, Any]], bool]
    asynchronous: bool


def _records_from(*sources: str) -> Callable[[Mapping[str, Any]], bool]:
    def matches(event: Mapping[str, Any]) -> bool:
        records = event.get("Records")
        if not isinstance(records, list) or not records or not isinstance(records[0], dict):
            return False
        first = records[0]
        return (first.get("eventSource") or first.get("EventSource")) in sources

    return matches


def _members(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: all(name in event for name in names)


SHAPES: tuple[Shape, ...] = (
    Shape("S3, SNS, SES, CodeCommit", _records_from("aws:s3", "aws:sns", "aws:ses", "aws:codecommit"), True),
    Shape("SQS, DynamoDB and Kinesis streams",
          _records_from("aws:sqs", "aws:dynamodb", "aws:kinesis"), False),
    Shape("API Gateway, function URL, load balancer", _members("requestContext"), False),
    Shape("Cognito", _members("triggerSource", "userPoolId"), False),
    Shape("EventBridge and its schedules", _members("detail-type", "source"), True),
    Shape("CloudWatch Logs subscription", _members("awslogs"), True),
    Shape("CloudWatch alarm", _members("alarmArn", "alarmData"), True),
    Shape("CloudFormation custom resource", _members("RequestType", "ResponseURL", "StackId"), True),
)  # fmt: skip


def is_asynchronous(event: object) -> bool:
    """Whether the sender of this event only wants it accepted."""
    if not isinstance(event, dict):
        return False
    return next((shape.asynchronous for shape in SHAPES if shape.matches(event)), False)
