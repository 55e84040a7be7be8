"""The dead-letter queue: what Lambda gave up, why, and the way back.

Lambda sends an invocation record for each event that it gives up
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html): the event itself, the function,
and its last answer. Looking hides the messages from others for as long as it takes and then shows them again; a
message is deleted only after its event was accepted by Lambda, so that a redrive that breaks off loses nothing and at
worst sends an event twice, which the tagger recognises.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from types_boto3_lambda import LambdaClient
    from types_boto3_sqs import SQSClient

    from darkroom.operations.target import Target

_PER_CALL = 10
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""
_HIDDEN_S = 300
_EMPTY_ANSWERS = 2
"""SQS asks some of its servers only, so that one empty answer says little; a long poll asks all of them."""
_LONG_POLL_S = 1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event that Lambda gave up.

    Attributes:
        keys: object keys that the event names; none where it is no event of S3.
        error: type and message of the last failure, or why there was none.
        given_up_at: ISO 8601, UTC.
        attempts: how often the function was started.
        function_arn: what the event was for, with its qualifier; empty where the message does not say.
        payload: the event; None where the message holds none.
        condition: `RetriesExhausted`, `EventAgeExceeded`, or empty.
        sent_ms: when the message came into the queue, epoch milliseconds.
        receipt: handle of this very reading of the message.
    """

    keys: tuple[str, ...]
    error: str
    given_up_at: str
    attempts: int
    function_arn: str
    payload: Any
    condition: str
    sent_ms: int
    receipt: str = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "keys": list(self.keys),
            "error": self.error,
            "given_up_at": self.given_up_at,
            "attempts": self.attempts,
            "condition": self.condition,
            "function": self.function_arn,
            "event": self.payload,
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in the queue.

    Attributes:
        letters: oldest first.
        more: about how many there are beyond the limit.
        hidden: about how many somebody else looks at just now.
    """

    letters: tuple[DeadLetter, ...]
    more: int
    hidden: int


@dataclass(slots=True)
class Redriven:
    """What a redrive did.

    Attributes:
        sent: events that Lambda accepted, and whose messages are deleted.
        kept: messages that cannot be sent back, each with the reason; they stay in the queue.
        unknown: keys that were asked for and are not in the queue.
    """

    sent: list[DeadLetter] = field(default_factory=list)
    kept: list[tuple[DeadLetter, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class DeadLetters:
    """The dead-letter queue of one stack."""

    def __init__(self, target: Target) -> None:
        self._sqs: SQSClient = target.session.client("sqs")
        self._lambda: LambdaClient = target.session.client("lambda")
        self._target = target
        self._queue = target.outputs.dead_letter_queue_url

    def look(self, *, limit: int) -> Listing:
        """Look at up to `limit` messages; all of them are shown again afterwards."""
        letters: list[DeadLetter] = []
        try:
            for batch in self._receive(limit):
                letters += batch
        finally:
            self._show_again(letters)
        visible, hidden = self._counts()
        more = max(0, visible + hidden - len(letters)) if len(letters) >= limit else 0
        return Listing(tuple(sorted(letters, key=lambda it: it.given_up_at)), more, 0 if more else hidden)

    def redrive(
        self,
        wanted: Sequence[Sequence[str]] = (),
        *,
        rate: float,
        progress: Callable[[int, int], None] = lambda _sent, _about: None,
    ) -> Redriven:
        """Send events back to their function: all, or those about some images.

        What arrives in the queue after the start is left there: an event that fails again at once is not sent again
        and again.

        Args:
            wanted: for each wanted image the keys that its name may stand for; empty for every message.
            rate: at most so many events per second.
            progress: told how many are sent, of about how many.
        """
        result = Redriven()
        held: list[DeadLetter] = []
        found: set[str] = set()
        about = self._counts()[0]
        began_s, began_ms = time.monotonic(), time.time_ns() // 1_000_000
        try:
            for batch in self._receive():
                held += batch
                for letter in batch:
                    found.update(letter.keys)
                    chosen = not wanted or any(set(names) & set(letter.keys) for names in wanted)
                    if not chosen or letter.sent_ms > began_ms:
                        continue
                    if reason := self._send(letter):
                        result.kept.append((letter, reason))
                        continue
                    self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=letter.receipt)
                    held.remove(letter)
                    result.sent.append(letter)
                    progress(len(result.sent), max(about, len(result.sent)))
                    time.sleep(max(0.0, began_s + len(result.sent) / rate - time.monotonic()))
                if any(letter.sent_ms > began_ms for letter in batch):
                    break
        finally:
            self._show_again(held)
        result.unknown = [names[0] for names in wanted if not found & set(names)]
        return result

    def _send(self, letter: DeadLetter) -> str:
        """Send one event; the reason where that cannot be done."""
        if letter.payload is None:
            return "the message holds no event: a batch of a stream is in the stream, not here"
        function = letter.function_arn
        if not function or _name(function) == self._target.outputs.function:
            function = self._target.outputs.alias_arn
        elif not _name(function).startswith(f"{self._target.stack}-"):
            return f"{_name(function)} is no function of the stack {self._target.stack}"
        try:
            self._lambda.invoke(
                FunctionName=function, InvocationType="Event", Payload=json.dumps(letter.payload).encode()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return f"{_name(function)} does not exist any more"
        return ""

    def _receive(self, limit: int = sys.maxsize) -> Iterator[list[DeadLetter]]:
        """Messages in batches, hidden from others from now on, until there are no more or the limit is reached."""
        empty = count = 0
        while empty < _EMPTY_ANSWERS and count < limit:
            answer = self._sqs.receive_message(
                QueueUrl=self._queue,
                MaxNumberOfMessages=min(_PER_CALL, limit - count),
                VisibilityTimeout=_HIDDEN_S,
                WaitTimeSeconds=_LONG_POLL_S if empty else 0,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            messages = answer.get("Messages", [])
            empty = 0 if messages else empty + 1
            count += len(messages)
            yield [read(message) for message in messages]
            if not messages and not self._counts()[0]:
                return

    def _show_again(self, letters: Sequence[DeadLetter]) -> None:
        for start in range(0, len(letters), _PER_CALL):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": it.receipt, "VisibilityTimeout": 0}
                    for number, it in enumerate(letters[start : start + _PER_CALL])
                ],
            )

    def _counts(self) -> tuple[int, int]:
        """About how many messages can be seen, and how many are hidden because somebody reads them."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found: Mapping[Any, str] = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)[
            "Attributes"
        ]
        return int(found[names[0]]), int(found[names[1]])


def read(message: Mapping[str, Any]) -> DeadLetter:
    """A message as a dead letter: an invocation record, a bare event with Lambda's attributes, or anything else."""
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = message["Body"]
    attributes = {
        name: it.get("StringValue", "") for name, it in message.get("MessageAttributes", {}).items()
    }
    sent_ms = int(message.get("Attributes", {}).get("SentTimestamp", 0))
    common: dict[str, Any] = {"receipt": message["ReceiptHandle"], "sent_ms": sent_ms}
    if isinstance(body, dict) and "requestContext" in body and "version" in body:
        context = body["requestContext"]
        condition = context.get("condition", "")
        return DeadLetter(
            keys=keys_of(body.get("requestPayload")),
            error=_error(body.get("responsePayload"), condition),
            given_up_at=body.get("timestamp") or _iso(sent_ms),
            attempts=int(context.get("approximateInvokeCount") or 0),
            function_arn=context.get("functionArn", ""),
            payload=body.get("requestPayload"),
            condition=condition,
            **common,
        )
    return DeadLetter(
        keys=keys_of(body),
        error=attributes.get("ErrorMessage") or "the message does not say why",
        given_up_at=_iso(sent_ms),
        attempts=0,
        function_arn="",
        payload=body if isinstance(body, dict) and "Records" in body else None,
        condition="",
        **common,
    )


def keys_of(event: Any) -> tuple[str, ...]:
    """The object keys that an event of S3 names; none for any other event."""
    records = event.get("Records") if isinstance(event, dict) else None
    found = []
    for record in records if isinstance(records, list) else ():
        try:
            # S3 encodes keys like form values: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
            found.append(unquote_plus(record["s3"]["object"]["key"]))
        except (KeyError, TypeError):
            continue
    return tuple(found)


def _error(answer: Any, condition: str) -> str:
    """The function's last error; an event that was too old before it could run has none."""
    if isinstance(answer, dict) and "errorMessage" in answer:
        kind = answer.get("errorType")
        return f"{kind}: {answer['errorMessage']}" if kind else str(answer["errorMessage"])
    if condition == "EventAgeExceeded":
        return "it waited longer than MaximumEventAge and was never run to an end"
    return str(answer) if answer else condition or "the message does not say why"


def _name(arn: str) -> str:
    """The function's name in its ARN."""
    return arn.split(":")[6] if arn.count(":") >= 6 else arn


def _iso(epoch_ms: int) -> str:
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
