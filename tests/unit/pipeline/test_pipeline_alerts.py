"""Alert rules: what they hold for, and that each alert keeps its identity however often it is told."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from pipeline.alerts import Alerts, Rule, alerts_of, parse_rules
from pipeline.errors import ConfigurationError
from pipeline.postings import Kind
from pipeline.settings import Settings
from tests.unit.pipeline.world import REGION, SETTINGS, World

RECORD: dict[str, Any] = {
    "ImageID": "uploads/a.jpg",
    "S3Bucket": "photographs",
    "S3Key": "uploads/a.jpg",
    "ETag": "e1",
    "UploadedAt": "2026-11-25T12:00:00.000Z",
    "TaggedAt": "2026-11-25T12:00:01.000Z",
    "Source": "aws",
    "Labels": [{"Name": "Weapon", "Confidence": 97.1}, {"Name": "Cat", "Confidence": 60.0}],
    "Celebrities": [{"Name": "Ada L.", "Confidence": 99.5}, {"Name": "Bo", "Confidence": 80.0}],
    "Moderation": [{"Name": "Weapons & Violence", "Confidence": 88.0}],
}


def told(text: str) -> list[tuple[str, str, float]]:
    return [(it["Kind"], it["Name"], it["Confidence"]) for it in alerts_of(RECORD, parse_rules(text))]


def test_rules_are_read_from_one_text() -> None:
    assert parse_rules("label:Weapon>=80; moderation : Weapons & Violence ;celebrity:*>= 95 %;") == (
        Rule(Kind.LABEL, "weapon", 80.0),
        Rule(Kind.MODERATION, "weapons & violence", 0.0),
        Rule(Kind.CELEBRITY, "*", 95.0),
    )
    assert parse_rules("  ") == ()


@pytest.mark.parametrize(
    "text", ["Weapon", "face:Ada", "label:", "label:Cat>=101", "label:Cat>=1.2.3", "label:;:"]
)
def test_a_rule_that_cannot_be_read_is_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no rule|has no confidence"):
        parse_rules(text)


def test_a_rule_holds_from_its_confidence_on_whatever_the_case() -> None:
    assert told("label:WEAPON>=97.1") == [("label", "Weapon", 97.1)]
    assert told("label:weapon>=97.2") == []
    assert told("moderation:weapons & violence") == [("moderation", "Weapons & Violence", 88.0)]
    assert told("celebrity:*>=95") == [("celebrity", "Ada L.", 99.5)]
    assert told("label:Ada L.") == [], "a celebrity is no label"


def test_two_rules_for_one_finding_make_one_alert() -> None:
    assert told("label:Cat>=10; label:*>=50") == [("label", "Cat", 60.0), ("label", "Weapon", 97.1)]


def test_an_alert_has_the_same_id_each_time_and_another_for_another_upload() -> None:
    rules = parse_rules("label:Weapon")
    (first,) = alerts_of(RECORD, rules)
    (again,) = alerts_of({**RECORD, "TaggedAt": "2026-11-26T00:00:00.000Z"}, parse_rules("label:*>=90"))
    (other,) = alerts_of({**RECORD, "ETag": "e2"}, rules)
    (version,) = alerts_of({**RECORD, "VersionId": "v1"}, rules)
    assert first["AlertID"] == again["AlertID"]
    assert len({first["AlertID"], other["AlertID"], version["AlertID"]}) == 3


class Topic:
    """SNS, as far as alerts need it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.fails = False

    def publish(self, **message: Any) -> None:
        if self.fails:
            raise ConnectionError("no SNS")
        self.sent.append(message)


def alerts_to(world: World, topic: Topic, text: str) -> Alerts:
    return Alerts(topic, world.dynamodb, "arn:topic", SETTINGS.index, parse_rules(text))


def stored(world: World) -> list[dict[str, Any]]:
    items = world.dynamodb.scan(TableName=SETTINGS.index.table)["Items"]
    return [dict(item) for item in items if item["pk"]["S"].startswith("alerts#")]


def test_an_alert_is_stored_once_and_published_each_time(world: World) -> None:
    topic = Topic()
    alerts = alerts_to(world, topic, "label:Weapon")
    alerts.tell(RECORD)
    alerts.tell(RECORD)
    assert len(stored(world)) == 1
    assert [json.loads(message["Message"])["AlertID"] for message in topic.sent] == [
        stored(world)[0]["AlertID"]["S"]
    ] * 2
    assert topic.sent[0]["TopicArn"] == "arn:topic"
    assert topic.sent[0]["MessageAttributes"]["Kind"]["StringValue"] == "label"


def test_a_topic_that_does_not_answer_leaves_no_record_so_that_the_alert_is_told_by_the_next_attempt(
    world: World,
) -> None:
    from dataclasses import replace

    topic = Topic()
    topic.fails = True
    tagger = replace(world.tagger(SETTINGS), alerts=alerts_to(world, topic, "label:Cat"))
    upload = world.upload()
    with pytest.raises(ConnectionError):
        tagger.tag(upload, owner="request-1", lease_ms=30_000)
    assert world.record() is None
    topic.fails = False
    tagger.tag(upload, owner="request-1", lease_ms=30_000)
    assert world.record() is not None
    assert len(topic.sent) == 1
    assert len(world.rekognition.requests) == 2, "one call for the attempt that failed, one for this one"


VARIABLES = {
    "AWS_REGION": REGION,
    "TABLE_NAME": "t",
    "INDEX_TABLE_NAME": "i",
    "INDEX_SHARDS": "4",
    "TRIGGER_PREFIX": "uploads/",
    "MIN_CONFIDENCE": "75",
    "MAX_LABELS": "50",
    "ALERT_TOPIC": "arn:topic",
}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("celebrity:*", "needs celebrities among ANALYZERS"),
        ("moderation:Violence", "needs moderation among ANALYZERS"),
        ("weapon", "'weapon' is no rule"),
    ],
)
def test_a_rule_that_can_never_hold_is_an_error_at_start(rules: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Settings.from_environment({**VARIABLES, "ALERT_RULES": rules})


def test_rules_change_no_analysis() -> None:
    plain, told_of = (Settings.from_environment({**VARIABLES, "ALERT_RULES": it}) for it in ("", "label:Cat"))
    assert plain.fingerprint == told_of.fingerprint
    assert told_of.alert_topic == "arn:topic"


def test_clients_of_sns_take_what_is_sent() -> None:
    """The message against SNS's own model."""
    from botocore.stub import Stubber

    sns = boto3.client("sns", region_name=REGION)
    with Stubber(sns) as stub:
        topic = Topic()
        Alerts(topic, None, "arn:topic", SETTINGS.index, parse_rules("label:*"))._publish(  # type: ignore[arg-type]
            alerts_of(RECORD, parse_rules("label:Cat"))[0]
        )
        stub.add_response("publish", {"MessageId": "1"}, topic.sent[0])
        sns.publish(**topic.sent[0])
