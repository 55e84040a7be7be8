"""The dead-letter queue as people see it, and the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from darkroom.operations.dead_letters import DeadLetters, read
from darkroom.operations.target import Target
from darkroom.stack import StackOutputs

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:darkroom-tagger"
RATE = 100_000.0


class Lambda:
    """Accepts events, or fails as a test wants."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.code = ""

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803
        assert InvocationType == "Event"
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "said so"}}, "Invoke")
        self.sent.append((FunctionName, json.loads(Payload)))


class World:
    """A queue and a Lambda."""

    def __init__(self) -> None:
        self.session = boto3.Session("testing", "testing", region_name="us-east-1")
        self.sqs = self.session.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="darkroom-dead-letters")["QueueUrl"]
        outputs = StackOutputs(
            "darkroom-123456789012", "ImageLabels", "darkroom-tagger", f"{FUNCTION}:live", "logs", self.queue
        )
        self.aws = Lambda()
        self.letters = DeadLetters(Target(self.session, "darkroom", outputs))
        self.letters._lambda = self.aws  # type: ignore[assignment]

    def send(self, *bodies: Any) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(body))

    def waiting(self) -> int:
        """How many messages anybody could receive now."""
        names: Any = ["ApproximateNumberOfMessages"]
        found: Any = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return int(found[names[0]])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield World()


def event(*keys: str) -> dict[str, Any]:
    return {"Records": [{"s3": {"object": {"key": key}}} for key in keys]}


def envelope(*keys: str, when: str = "2026-11-25T12:00:00.000Z", **more: Any) -> dict[str, Any]:
    """As Lambda words it."""
    return {
        "version": "1.0",
        "timestamp": when,
        "requestContext": {
            "requestId": "1",
            "functionArn": f"{FUNCTION}:live",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": event(*keys),
        "responsePayload": {"errorType": "ClientError", "errorMessage": "Rate exceeded"},
        **more,
    }


def test_a_letter_says_image_error_when_and_how_often(world: World) -> None:
    world.send(envelope("uploads/red+cat%2B1.jpg"))
    (letter,) = world.letters.look(limit=10).letters
    assert letter.keys == ("uploads/red cat+1.jpg",)
    assert letter.error == "ClientError: Rate exceeded"
    assert (letter.given_up_at, letter.attempts) == ("2026-11-25T12:00:00.000Z", 3)


def test_looking_takes_nothing_away_and_hides_nothing_afterwards(world: World) -> None:
    world.send(*(envelope(f"uploads/{number}.jpg") for number in range(25)))
    assert len(world.letters.look(limit=100).letters) == 25
    assert world.waiting() == 25
    assert len(world.letters.look(limit=100).letters) == 25


def test_the_oldest_stands_first_and_a_limit_says_how_many_are_left_out(world: World) -> None:
    world.send(*(envelope(f"uploads/{n}.jpg", when=f"2026-11-25T12:00:{59 - n}Z") for n in range(15)))
    listing = world.letters.look(limit=12)
    assert len(listing.letters) == 12
    assert listing.more == 3
    assert [it.given_up_at for it in listing.letters] == sorted(it.given_up_at for it in listing.letters)
    assert world.waiting() == 15


def test_an_event_that_was_too_old_says_so(world: World) -> None:
    old = envelope("uploads/a.jpg")
    old["requestContext"]["condition"] = "EventAgeExceeded"
    del old["responsePayload"]
    world.send(old)
    assert "longer than MaximumEventAge" in world.letters.look(limit=1).letters[0].error


@pytest.mark.parametrize(
    "body", ["no json", '"text"', "[1]", '{"Records": 5}', '{"Records": [{"s3": 1}]}', "{}"]
)
def test_whatever_lies_in_the_queue_is_shown_and_never_breaks_the_list(body: str) -> None:
    letter = read({"Body": body, "ReceiptHandle": "r"})
    assert letter.keys == ()
    assert letter.error


def test_a_bare_event_of_a_functions_own_dead_letter_queue_is_understood() -> None:
    letter = read(
        {
            "Body": json.dumps(event("uploads/a.jpg")),
            "ReceiptHandle": "r",
            "Attributes": {"SentTimestamp": "1795608000000"},
            "MessageAttributes": {"ErrorMessage": {"StringValue": "timed out"}},
        }
    )
    assert letter.keys == ("uploads/a.jpg",)
    assert letter.error == "timed out"
    assert letter.given_up_at == "2026-11-25T12:00:00.000Z"
    assert letter.payload == event("uploads/a.jpg")


def test_a_redrive_sends_every_event_to_the_alias_and_empties_the_queue(world: World) -> None:
    world.send(*(envelope(f"uploads/{number}.jpg") for number in range(25)))
    told: list[tuple[int, int]] = []
    done = world.letters.redrive(rate=RATE, progress=lambda sent, about: told.append((sent, about)))
    assert len(done.sent) == 25
    assert {name for name, _ in world.aws.sent} == {f"{FUNCTION}:live"}
    assert sorted(payload["Records"][0]["s3"]["object"]["key"] for _, payload in world.aws.sent) == sorted(
        f"uploads/{number}.jpg" for number in range(25)
    )
    assert world.letters.look(limit=100).letters == ()
    assert told[-1] == (25, 25)


def test_a_redrive_of_one_image_leaves_the_others_where_they_are(world: World) -> None:
    world.send(envelope("uploads/a.jpg"), envelope("uploads/b.jpg"))
    done = world.letters.redrive([("uploads/b.jpg", "b.jpg"), ("uploads/c.jpg",)], rate=RATE)
    assert [letter.keys for letter in done.sent] == [("uploads/b.jpg",)]
    assert done.unknown == ["uploads/c.jpg"]
    assert [letter.keys for letter in world.letters.look(limit=10).letters] == [("uploads/a.jpg",)]


def test_what_lambda_does_not_accept_stays_in_the_queue(world: World) -> None:
    world.send(envelope("uploads/a.jpg"))
    world.aws.code = "TooManyRequestsException"
    with pytest.raises(ClientError):
        world.letters.redrive(rate=RATE)
    assert world.waiting() == 1


def test_what_cannot_be_sent_back_stays_with_its_reason(world: World) -> None:
    stream = envelope("uploads/a.jpg")
    del stream["requestPayload"]
    foreign = envelope("uploads/b.jpg")
    foreign["requestContext"]["functionArn"] = FUNCTION.replace("darkroom-", "another-")
    world.send(stream, foreign)
    done = world.letters.redrive(rate=RATE)
    assert not done.sent
    assert sorted(reason for _, reason in done.kept) == [
        "another-tagger is no function of the stack darkroom",
        "the message holds no event: a batch of a stream is in the stream, not here",
    ]
    assert world.waiting() == 2


def test_what_fails_again_meanwhile_is_not_sent_twice(world: World) -> None:
    """An event that fails at once comes back into the queue while the redrive still runs."""
    world.send(envelope("uploads/a.jpg"))
    invoke = world.aws.invoke

    def fails_again(**call: Any) -> None:
        invoke(**call)
        world.send(envelope("uploads/a.jpg"))

    world.aws.invoke = fails_again  # type: ignore[method-assign]
    assert len(world.letters.redrive(rate=RATE).sent) == 1
    assert world.waiting() == 1


def test_events_are_sent_no_faster_than_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("darkroom.operations.dead_letters.time.sleep", slept.append)
    monkeypatch.setattr("darkroom.operations.dead_letters.time.monotonic", lambda: 100.0)
    world.send(*(envelope(f"uploads/{number}.jpg") for number in range(3)))
    world.letters.redrive(rate=2)
    assert slept == [0.5, 1.0, 1.5]
