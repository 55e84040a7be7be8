"""A small AWS in the process: moto's S3 and DynamoDB, and a Rekognition whose answers a test writes.

Every client is a real boto3 client, so that requests and answers pass botocore's own model of the services.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote_plus

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from moto.core.models import botocore_stubber
from PIL import Image

from pipeline.analysis import Analysis
from pipeline.counting import Counting, counter_key, tally_of
from pipeline.deletes import Remover
from pipeline.events import Removal, Upload
from pipeline.ordering import iso_utc
from pipeline.postings import Index, Indexed
from pipeline.records import from_item, to_item
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.tagging import Clock, Result, Tagger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_rekognition import RekognitionClient
    from types_boto3_s3 import S3Client

    from pipeline.records import Record

BUCKET = "darkroom-123456789012"
TABLE = "ImageLabels"
INDEX = Index("LabelIndex", 4)
STATISTICS = "Statistics"
REGION = "us-east-1"
SESSION = boto3.Session("AKIDEXAMPLE", "example", region_name=REGION)
"""One for all tests, because it keeps the services' models that every client needs."""
ONCE = Config(retries={"total_max_attempts": 1})
SETTINGS = Settings(REGION, TABLE, "uploads/", min_confidence=75.0, max_labels=50, index=INDEX)
LEASE_MS = 30_000

CAT = {
    "Labels": [
        {
            "Name": "Cat",
            "Confidence": 98.76543426513672,
            "Instances": [
                {"Confidence": 91.5, "BoundingBox": {"Left": 0.1, "Top": 0.2, "Width": 0.5, "Height": 0.25}}
            ],
            "Parents": [{"Name": "Animal"}, {"Name": "Mammal"}],
            "Aliases": [],
            "Categories": [{"Name": "Animals and Pets"}],
        },
        {"Name": "Animal", "Confidence": 99.0, "Instances": [], "Parents": [], "Categories": []},
    ],
    "LabelModelVersion": "3.0",
}


class PowerCutError(BaseException):
    """The process dies: nothing that follows is run, no clean-up either."""


def png(width: int = 120, height: int = 90, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


@dataclass
class FakeRekognition:
    """Answers of a test: a body, an error code, or a function that returns either.

    `answer` is that of DetectLabels, `others` are those of the other operations by their names.
    """

    answer: Any = field(default_factory=lambda: CAT)
    others: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)

    def client(self) -> RekognitionClient:
        client = SESSION.client("rekognition", config=ONCE)
        self.attach(client)
        return client

    def attach(self, client: RekognitionClient) -> None:
        """Answer the requests of a client."""
        events: Any = client.meta.events  # whose stubs know no handler that answers
        events.unregister(
            "before-send", botocore_stubber
        )  # moto would be asked too, and knows few operations
        events.register("before-send.rekognition.*", self._send)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        self.requests.append(json.loads(request.body))
        self.operations.append(operation)
        answer = self.answer if operation == "DetectLabels" else self.others[operation]
        answer = answer() if callable(answer) else answer
        if isinstance(answer, str):
            return self._response(
                500 if answer == "InternalServerError" else 400, {"__type": answer, "Message": "said so"}
            )
        return self._response(200, answer)

    def _response(self, status: int, body: dict[str, Any]) -> AWSResponse:
        headers: Any = {"content-type": "application/x-amz-json-1.1", **self.headers}
        return AWSResponse("https://rekognition", status, headers, _Raw(json.dumps(body).encode()))


@dataclass
class World:
    """Bucket, table, Rekognition and the tagger over them."""

    s3: S3Client
    dynamodb: DynamoDBClient
    rekognition: FakeRekognition
    now_ms: int = 1_800_000_000_000
    sequence: int = 0x0060_0000_0000_0000

    def tagger(self, settings: Settings = SETTINGS) -> Tagger:
        store = Store(
            self.dynamodb,
            table=TABLE,
            index=settings.index,
            settings=settings.fingerprint,
            now_ms=lambda: self.now_ms,
        )
        return Tagger(self.s3, Analysis(self.rekognition.client(), settings), store, settings)

    def tag(self, upload: Upload, *, owner: str = "request-1", settings: Settings = SETTINGS) -> Result:
        return self.tagger(settings).tag(upload, owner=owner, lease_ms=LEASE_MS)

    def upload(
        self, key: str = "uploads/cat.png", body: bytes | None = None, *, ordered: bool = True, **more: Any
    ) -> Upload:
        """Put an object; the upload that S3's event would tell, with or without a sequencer."""
        answer = self.s3.put_object(
            Bucket=BUCKET, Key=key, Body=png() if body is None else body, ContentType="image/png", **more
        )
        sequencer = self._sequencer() if ordered else None
        return Upload(BUCKET, key, answer["ETag"].strip('"'), answer.get("VersionId"), sequencer)

    def removal(
        self, key: str = "uploads/cat.png", *, version_id: str | None = None, ordered: bool = True
    ) -> Removal:
        """Delete an object, or a version of it; the removal that S3's event would tell."""
        version: Any = {"VersionId": version_id} if version_id else {}
        answer = self.s3.delete_object(Bucket=BUCKET, Key=key, **version)
        sequencer = self._sequencer() if ordered else None
        return Removal(BUCKET, key, answer.get("VersionId"), sequencer, iso_utc(datetime.now(UTC)))

    def remover(self) -> Remover:
        clock = Clock(now=lambda: datetime.fromtimestamp(self.now_ms / 1000, UTC))
        return Remover(dataclasses.replace(self.tagger(), clock=clock))

    def remove(self, removal: Removal, *, owner: str = "removal-1") -> Result:
        return self.remover().remove(removal, owner=owner, lease_ms=LEASE_MS)

    def _sequencer(self) -> str:
        self.sequence += 1
        return f"{self.sequence:018X}"

    def record(self, key: str = "uploads/cat.png") -> dict[str, Any] | None:
        return Store(self.dynamodb, table=TABLE, index=INDEX, settings="").read(key)

    def item(self, key: str = "uploads/cat.png") -> dict[str, Any]:
        return dict(self.dynamodb.get_item(TableName=TABLE, Key={"ImageID": {"S": key}}).get("Item", {}))

    def postings(self) -> dict[str, dict[str, Any]]:
        """Everything in the index: `<partition key without shard> <key of the image>` -> the posting."""
        items = self.everything_in(INDEX.table)
        found = {f"{it['pk'].rpartition('#')[0]} {it['ImageID']}": it for it in items}
        assert len(found) == len(items), "an image has two postings under one name"
        return found

    def counting(self, *, slot: int = 0) -> Counting:
        return Counting(self.dynamodb, images_table=TABLE, statistics_table=STATISTICS, slot=slot)

    def statistics(self) -> dict[str, Record]:
        """Everything in the statistics table, by both keys."""
        return {f"{it['pk']} {it['sk']}": it for it in self.everything_in(STATISTICS)}

    def counters(self) -> dict[str, int]:
        """The counters that are not 0, over all slots."""
        sums: Counter[str] = Counter()
        for item in self.everything_in(STATISTICS):
            if item["sk"] != "counted":
                sums[item["sk"]] += item["Images"]
        return {key: number for key, number in sums.items() if number}

    def everything_in(self, table: str) -> list[Record]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table)
        return [from_item(item) for page in pages for item in page["Items"]]

    @contextmanager
    def dynamodb_batch(self, table: str = INDEX.table) -> Iterator[Callable[[Record], None]]:
        """Puts many items at little cost."""
        items: list[Any] = []
        yield lambda fields: items.append({"PutRequest": {"Item": to_item(fields)}})
        for start in range(0, len(items), 25):
            self.dynamodb.batch_write_item(RequestItems={table: items[start : start + 25]})

    def document(self, key: str = "metadata/cat.png.json") -> dict[str, Any]:
        body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return dict(json.loads(body))

    def documents(self, prefix: str = "metadata/") -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [it["Key"] for it in listed]


def event(*uploads: Upload, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """The S3 event of some uploads, as S3 words it."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": REGION,
                "eventTime": "2026-11-20T20:00:00.000Z",
                "eventName": name,
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": it.bucket, "arn": f"arn:aws:s3:::{it.bucket}"},
                    "object": {
                        "key": quote_plus(it.key, safe="/"),
                        "size": 1,
                        **({"eTag": it.etag} if it.etag else {}),
                        **({"versionId": it.version_id} if it.version_id else {}),
                        **({"sequencer": it.sequencer} if it.sequencer else {}),
                    },
                },
            }
            for it in uploads
        ]
    }


class Interruptions:
    """Within the `with` block: counts the calls of an attempt, and cuts the power before or after the nth."""

    def __init__(self, tagger: Tagger, *, at: int | None = None, after: bool = False) -> None:
        self.calls: list[str] = []
        self._at = at
        self._after = after
        self._hubs = [
            client.meta.events for client in (tagger.s3, tagger.analysis.client, tagger.store._client)
        ]

    def __enter__(self) -> Self:
        for hub in self._hubs:
            hub.register("before-call.*.*", self._before)
            hub.register("after-call.*.*", self._done)
        return self

    def __exit__(self, *_: object) -> None:
        for hub in self._hubs:
            hub.unregister("before-call.*.*", self._before)
            hub.unregister("after-call.*.*", self._done)

    def _before(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
        reached = len(self.calls) - (self._at or 0)
        if self._at is not None and (reached > 0 or (reached == 0 and not self._after)):
            raise PowerCutError

    def _done(self, **_: Any) -> None:
        if self._after and len(self.calls) == self._at:
            raise PowerCutError


def counted_anew(world: World) -> dict[str, int]:
    """What the counters have to say by the records that there are."""
    expected: Counter[str] = Counter()
    for item in world.everything_in(TABLE):
        for name, number in tally_of(Indexed.from_fields(item.get("Indexed"))).items():
            expected[counter_key(name)] += number
    return dict(expected)


class CancelledTransactions:
    """Within the `with` block: DynamoDB cancels the next transactions of a client for this reason, as AWS words it."""

    def __init__(self, client: Any, reason: str, *, times: int) -> None:
        self._events = client.meta.events
        self._reason = reason
        self._times = times
        self.count = 0

    def __enter__(self) -> Self:
        # before the call, because moto would carry it out although something else answers
        self._events.register("before-call.dynamodb.TransactWriteItems", self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        self._events.unregister("before-call.dynamodb.TransactWriteItems", self._answer)

    def _answer(self, params: Any, **_: Any) -> tuple[Any, dict[str, Any]] | None:
        if self.count == self._times:
            return None
        self.count += 1
        others = len(json.loads(params["body"])["TransactItems"]) - 1
        return SimpleNamespace(status_code=400), {
            "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
            "CancellationReasons": [{"Code": self._reason}, *({"Code": "None"} for _ in range(others))],
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }


class ThrottledCalls:
    """Within the `with` block: DynamoDB refuses some calls of a client, counted from 1, because it is throttled."""

    def __init__(self, client: Any, numbers: set[int]) -> None:
        self._events = client.meta.events
        self._numbers = numbers
        self.count = 0

    def __enter__(self) -> Self:
        self._events.register("before-call.dynamodb.*", self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        self._events.unregister("before-call.dynamodb.*", self._answer)

    def _answer(self, **_: Any) -> tuple[Any, dict[str, Any]] | None:
        self.count += 1
        if self.count not in self._numbers:
            return None
        return SimpleNamespace(status_code=400), {
            "Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
