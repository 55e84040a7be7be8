"""Finds uploads without a current record, and has the tagger analyse them.

An upload is current when a record of its very bytes (the same ETag) is in the table, whatever its status; with
`stale` only when that record was also made with the tagger's settings of today. Everything else gets an event as S3
would send it, to the alias that S3 itself calls, so that retries and dead letters are as usual. The tagger decides in
the end: an event too many costs a read, never a second analysis.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from pipeline.events import is_analysable
from pipeline.records import Status, from_item
from pipeline.settings import WRITTEN_PREFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_s3 import S3Client

    from pipeline.records import Record
    from pipeline.settings import Settings

_PER_READ = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
_SENDERS = 8
_LAST = "\U0010ffff"
"""Sorts behind every other character."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did.

    Attributes:
        looked_at: objects that were listed.
        sent: those that the tagger was asked to analyse.
        cursor: where the next step goes on; None at the end of the bucket.
    """

    looked_at: int
    sent: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Rescanner:
    """Goes through a bucket in steps of at most a thousand objects.

    Args:
        s3, dynamodb, aws_lambda: clients.
        bucket: of the images.
        tagger: ARN of the function that analyses, with its alias.
        settings: of that function.
    """

    s3: S3Client
    dynamodb: DynamoDBClient
    aws_lambda: LambdaClient
    bucket: str
    tagger: str
    settings: Settings

    def step(self, cursor: str | None, *, most: int, stale: bool) -> Step:
        """Look at the next objects in the order of their keys.

        Args:
            cursor: as the step before gave it; None begins.
            most: how many events may be sent; the step ends there.
            stale: whether a record of other settings counts as none.

        Raises:
            ClientError: AWS refuses or cannot answer now; the same step may be done again.
        """
        listed = self.s3.list_objects_v2(
            Bucket=self.bucket, Prefix=self.settings.trigger_prefix, StartAfter=cursor or ""
        )
        etags = {it["Key"]: it["ETag"].strip('"') for it in listed.get("Contents", [])}
        due: list[str] = []
        looked_at = 0
        for keys in _chunks(list(etags), _PER_READ):
            known = self._records(key for key in keys if self._is_image(key))
            for key in keys:
                looked_at += 1
                if self._is_image(key) and self._is_due(known.get(key), etags[key], stale=stale):
                    due.append(key)
                if len(due) == most:
                    self._send(due, etags)
                    return Step(looked_at, len(due), key)
        self._send(due, etags)
        last = next(reversed(etags), "")
        return Step(looked_at, len(due), _behind(last) if listed["IsTruncated"] else None)

    def place(self, *, stale: bool) -> str | None:
        """Where the last scheduled run stopped before the end; None begins."""
        answer = self.dynamodb.get_item(TableName=self.settings.index.table, Key=_place_key(stale=stale))
        return answer.get("Item", {}).get("Cursor", {}).get("S") or None

    def keep_place(self, cursor: str | None, *, stale: bool) -> None:
        """Note where a scheduled run is."""
        self.dynamodb.put_item(
            TableName=self.settings.index.table,
            Item={**_place_key(stale=stale), "Cursor": {"S": cursor or ""}},
        )

    def _is_image(self, key: str) -> bool:
        return is_analysable(key, trigger_prefix=self.settings.trigger_prefix)

    def _is_due(self, record: Record | None, etag: str, *, stale: bool) -> bool:
        if record is None or record.get("Status", Status.DELETED) == Status.DELETED:
            return True
        if record.get("ETag") != etag:
            return True
        return stale and record.get("Settings") != self.settings.fingerprint

    def _records(self, keys: Iterable[str]) -> dict[str, Record]:
        """What the table holds of some images; a record of the last second may be missing."""
        wanted: list[Any] = [{"ImageID": {"S": key}} for key in keys]
        found: dict[str, Record] = {}
        table = self.settings.table_name
        while wanted:
            answer = self.dynamodb.batch_get_item(
                RequestItems={
                    table: {
                        "Keys": wanted,
                        "ProjectionExpression": "ImageID, ETag, Settings, #status",
                        "ExpressionAttributeNames": {"#status": "Status"},
                    }
                }
            )
            found |= {item["ImageID"]["S"]: from_item(item) for item in answer["Responses"].get(table, [])}
            unprocessed: Mapping[str, Any] = answer.get("UnprocessedKeys", {})
            wanted = list(unprocessed.get(table, {}).get("Keys", []))
        return found

    def _send(self, keys: Sequence[str], etags: Mapping[str, str]) -> None:
        """Send an event for each; all of them are tried before an error is raised."""
        if not keys:
            return
        with ThreadPoolExecutor(min(_SENDERS, len(keys)), thread_name_prefix="sender") as threads:
            for sent in [threads.submit(self._send_one, key, etags[key]) for key in keys]:
                sent.result()

    def _send_one(self, key: str, etag: str) -> None:
        event = upload_event(self.bucket, key, etag)
        self.aws_lambda.invoke(
            FunctionName=self.tagger, InvocationType="Event", Payload=json.dumps(event).encode()
        )


def upload_event(bucket: str, key: str, etag: str) -> dict[str, Any]:
    """An upload as S3 tells it, without a sequencer: the tagger then goes by ETag and time.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "rescan",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": quote_plus(key, safe="/"), "eTag": etag},
        },
    }
    return {"Records": [record]}


def _place_key(*, stale: bool) -> dict[str, Any]:
    return {"pk": {"S": "rescan"}, "sk": {"S": "stale" if stale else "missing"}}


def _behind(key: str) -> str:
    """Where a listing goes on after a key: past all that the functions write themselves."""
    for prefix in WRITTEN_PREFIXES:
        if key.startswith(prefix):
            return prefix + _LAST
    return key


def _chunks(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
