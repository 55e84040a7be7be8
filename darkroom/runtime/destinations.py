"""Where an asynchronous event's outcome goes: on-success, on-failure, dead-letter queue.

Source: "Capturing records of Lambda asynchronous invocations"
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html): the invocation record,
and for a dead-letter queue the event itself with the attributes RequestID (String), ErrorCode (Number, the
HTTP status) and ErrorMessage (String, the first 1 KB). Records are sent with the function's role, as in
Lambda, so a permission that is missing shows here too.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.runtime.model import LATEST, Delivery, FunctionConfig, InvokeSettings, Outcome

if TYPE_CHECKING:
    from darkroom.runtime.queue import QueuedEvent

_ERROR_MESSAGE_BYTES = 1024


class Condition(enum.StrEnum):
    """Why a record is sent (`requestContext.condition`)."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"


def invocation_record(
    event: QueuedEvent, payload: bytes, condition: Condition, outcome: Outcome | None, *, now: float
) -> dict[str, Any]:
    """The record as documented. An event that was given up before it ever ran has no response in it."""
    qualifier = event.qualifier or LATEST
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{event.arn}:{qualifier}",
            "condition": condition.value,
            "approximateInvokeCount": event.starts,
        },
        "requestPayload": _json(payload),
    }
    if outcome is not None:
        record["responseContext"] = {"statusCode": 200, "executedVersion": outcome.version}
        if outcome.failed:
            record["responseContext"]["functionError"] = "Unhandled"
        record["responsePayload"] = _json(outcome.payload)
    return record


def deliveries(
    event: QueuedEvent,
    payload: bytes,
    condition: Condition,
    outcome: Outcome | None,
    *,
    settings: InvokeSettings,
    config: FunctionConfig | None,
    now: float,
) -> list[Delivery]:
    """What is to be sent. A failed event goes to the destination and to the dead-letter queue if both are set."""
    role_arn = config.role_arn if config else ""
    success = condition is Condition.SUCCESS
    target = settings.on_success_arn if success else settings.on_failure_arn
    found = []
    if target:
        record = invocation_record(event, payload, condition, outcome, now=now)
        kind = "Success" if success else "Failure"
        found.append(
            Delivery(
                target,
                json.dumps(record, ensure_ascii=False),
                role_arn,
                event.function,
                detail_type=f"Lambda Function Invocation Result - {kind}",
                source_arn=f"{event.arn}:{event.qualifier or LATEST}",
            )
        )
    if config and config.dead_letter_arn and not success:
        found.append(_dead_letter(event, payload, condition, outcome, config))
    return found


def _dead_letter(
    event: QueuedEvent, payload: bytes, condition: Condition, outcome: Outcome | None, config: FunctionConfig
) -> Delivery:
    message = condition.value
    if outcome is not None:
        document = _json(outcome.payload)
        message = str(document.get("errorMessage", "")) if isinstance(document, dict) else str(document)
    attributes = {
        "RequestID": ("String", event.request_id),
        "ErrorCode": ("Number", "200" if outcome is not None else "429"),
        "ErrorMessage": ("String", message.encode()[:_ERROR_MESSAGE_BYTES].decode(errors="ignore") or "-"),
    }
    return Delivery(
        config.dead_letter_arn,
        payload.decode("utf-8", "replace"),
        config.role_arn,
        event.function,
        attributes,
    )


def to_text(pending: list[Delivery]) -> str:
    """For the queue on disk."""
    return json.dumps([asdict(delivery) for delivery in pending], ensure_ascii=False)


def from_text(text: str) -> list[Delivery]:
    """Back from the queue on disk."""
    found = []
    for members in json.loads(text):
        attributes = {name: (kind, value) for name, (kind, value) in members.pop("attributes").items()}
        found.append(Delivery(**members, attributes=attributes))
    return found


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
