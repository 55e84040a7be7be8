"""Alerts: somebody is told when a label, a moderation category or a celebrity is found with some confidence.

Rules stand in one text, separated by semicolons: `label:Weapon>=80; moderation:Violence; celebrity:*>=95`. A name is
compared without regard to case, `*` is every name, and without a confidence everything counts that is recorded.

An alert is published to an SNS topic and stored in the index table (`alerts#<shard>`) before the record is written: an
attempt that crashes in between is done again, and publishes again. So an alert comes at least once, and each time with
the same `AlertID`, by which a receiver knows it again. The document (docs/operations.md) is the message's body.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.postings import Kind, sharded
from pipeline.records import to_item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from pipeline.postings import Index
    from pipeline.records import Record

VERSION = 1
"""Of the document; it changes when a field changes its meaning or goes."""
GROUP = "alerts"
"""The beginning of the partition keys in the index table."""
ANY = "*"
_RULE = re.compile(r"(?P<kind>\w+)\s*:\s*(?P<name>[^;]+?)\s*(>=\s*(?P<percent>[0-9.]+)\s*%?)?")
_LISTS = {Kind.LABEL: "Labels", Kind.CELEBRITY: "Celebrities", Kind.MODERATION: "Moderation"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What somebody wants to be told of; `percent` is the least confidence."""

    kind: Kind
    name: str
    percent: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}>={self.percent:g}"

    def holds(self, name: str, percent: float) -> bool:
        """Whether a finding is one of these."""
        return percent >= self.percent and self.name in (ANY, name.casefold())


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a text; none of an empty one.

    Raises:
        ValueError: one of them cannot be read; it is quoted.
    """
    return tuple(_rule(part.strip()) for part in text.split(";") if part.strip())


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    kinds = [kind.value for kind in Kind]
    if found is None or found["kind"].lower() not in kinds:
        raise ValueError(
            f"{text!r} is no rule; write {', '.join(kinds)}, a colon and a name: label:Weapon>=80"
        )
    try:
        percent = float(found["percent"] or 0)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise ValueError(f"{text!r} has no confidence from 0 to 100")
    return Rule(Kind(found["kind"].lower()), found["name"].casefold(), percent)


def alerts_of(record: Record, rules: Sequence[Rule]) -> list[Record]:
    """The alerts of a record, one for each name that a rule holds for; the order is that of the record."""
    found: dict[str, Record] = {}
    for rule in rules:
        for name, percent in _findings(record, rule.kind):
            if rule.holds(name, percent):
                alert = _alert(record, rule, name, percent)
                found.setdefault(alert["AlertID"], alert)
    return list(found.values())


def _findings(record: Record, kind: Kind) -> Iterator[tuple[str, float]]:
    for each in record.get(_LISTS[kind], ()):
        yield each["Name"], each["Confidence"]


def _alert(record: Record, rule: Rule, name: str, percent: float) -> Record:
    version = record.get("VersionId")
    what = (record["S3Bucket"], record["S3Key"], version or record["ETag"], rule.kind.value, name)
    alert: Record = {
        "Version": VERSION,
        "AlertID": hashlib.sha256("\n".join(what).encode()).hexdigest()[:32],
        "Kind": rule.kind.value,
        "Name": name,
        "Confidence": percent,
        "Rule": str(rule),
        "ImageID": record["ImageID"],
        "S3Bucket": record["S3Bucket"],
        "S3Key": record["S3Key"],
        "VersionId": version,
        "ETag": record["ETag"],
        "UploadedAt": record["UploadedAt"],
        "DetectedAt": record["TaggedAt"],
        "Source": record.get("Source"),
    }
    return {field: value for field, value in alert.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Alerts:
    """Tells of what the rules hold for.

    Args:
        sns, dynamodb: clients.
        topic: ARN of the topic.
        index: table in which the alerts are kept.
        rules: what to tell of.
    """

    sns: Any
    dynamodb: DynamoDBClient
    topic: str
    index: Index
    rules: tuple[Rule, ...]

    def tell(self, record: Record) -> list[Record]:
        """Store and publish the alerts of a record; returns them.

        Raises:
            ClientError, BotoCoreError: DynamoDB or SNS refuses or cannot answer now. Doing it again is harmless.
        """
        alerts = alerts_of(record, self.rules)
        for alert in alerts:
            self._store(alert)
            self._publish(alert)
        return alerts

    def _store(self, alert: Record) -> None:
        """The same alert has the same key, so that a second time changes nothing but the time of the detection."""
        key = {
            "pk": sharded(GROUP, int(alert["AlertID"][:8], 16) % self.index.shards),
            "sk": f"{alert['UploadedAt']}#{alert['AlertID']}",
        }
        self.dynamodb.put_item(TableName=self.index.table, Item=to_item({**key, **alert}))

    def _publish(self, alert: Record) -> None:
        # for filter policies of subscriptions: https://docs.aws.amazon.com/sns/latest/dg/sns-message-filtering.html
        attributes: dict[str, Any] = {
            name: {"DataType": "String", "StringValue": alert[name]} for name in ("Kind", "Name", "AlertID")
        }
        attributes["Confidence"] = {"DataType": "Number", "StringValue": str(alert["Confidence"])}
        self.sns.publish(
            TopicArn=self.topic, Message=json.dumps(alert, ensure_ascii=False), MessageAttributes=attributes
        )
