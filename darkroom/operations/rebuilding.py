"""Records from the JSON files that the tagger wrote beside the pictures: the table again, and no call of Rekognition.

An upload is settled when a record of its very bytes (the same ETag) is in the table. Where it is missing and the JSON
file is of the same bytes, the file is the record. What is left then has to be analysed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from pathlib import Path

    import boto3
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

METADATA = "metadata/"
_WRITTEN = (METADATA, "previews/")
"""What the functions write themselves is no upload."""
_SUFFIX = ".json"
_CUT_NAME = re.compile(r"~[0-9a-f]{16}\.json$")
"""Name of the JSON file of a key that is too long to have a suffix: only its content tells whose it is."""
_READERS = 4
_AHEAD = 100
_PER_TRANSACTION = 25
"""Well under TransactWriteItems' limits: 100 actions and 4 MB (a record of many labels has some 20 KB)."""
_MAX_ITEM_BYTES = 390_000
"""DynamoDB takes 400 KB per item; the tagger keeps to the same."""
_RETAGGED = timedelta(seconds=1)
"""S3 tells whole seconds; a file that is so much younger than its record was written by a later analysis."""
_NO_RECORD = "attribute_not_exists(#status)"
_NAMES = {"#status": "Status"}  # a reserved word of expressions

Record = dict[str, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its ETag without quotes, and when it was written."""

    etag: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What the table holds of an image. `etag` and `tagged_at` are empty where it is only claimed."""

    etag: str = ""
    tagged_at: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where uploads, JSON files and records are."""

    bucket: str
    table: str
    prefix: str
    """Of the uploads; empty for the whole bucket."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record as it goes into the table."""

    key: str
    etag: str
    tagged_at: str
    item: dict[str, Any]

    @classmethod
    def of(cls, record: Record) -> Prepared:
        item = {name: attribute(value) for name, value in fit(record).items()}
        return cls(record["ImageID"], record["ETag"], str(record.get("TaggedAt", "")), item)


@dataclass(slots=True)
class Rebuilt:
    """What came of it.

    Attributes:
        written: keys of the records that were written.
        unsettled: uploads without a current record, which have to be analysed; with the time of their upload.
        orphans: keys of JSON files whose upload is gone: no record is made of them.
    """

    written: list[str] = field(default_factory=list)
    unsettled: dict[str, Stored] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)


class Rebuilder:
    """Compares bucket and table, and writes the records that are missing.

    Args:
        session: access to the engine.
        place: where to look.
        disk: folder in which the bucket's objects may lie under their keys. A shortcut past S3, which costs some
            milliseconds per file; a file counts only when its hash is the ETag that S3 tells.
        progress: told now and then how far it is.
    """

    def __init__(
        self,
        session: boto3.Session,
        place: Place,
        *,
        disk: Path | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        from botocore.config import Config

        self._s3: S3Client = session.client("s3", config=Config(max_pool_connections=_READERS))
        # hundreds of nested values per item, built a moment before: botocore need not walk through them again
        self._dynamodb: DynamoDBClient = session.client("dynamodb", config=Config(parameter_validation=False))
        self._place = place
        self._disk = disk
        self._progress = progress

    def run(self) -> Rebuilt:
        """Bring the table to where it would be had it never been lost. May be run at any time, and again."""
        uploads = {key: it for key, it in self._list(self._place.prefix) if self._is_upload(key)}
        documents = dict(self._list(METADATA))
        known = self.known()
        result = Rebuilt()
        wanted: list[tuple[str, Stored]] = []
        for key, stored in uploads.items():
            found = known.get(key, Known())
            name = self._document_key(key)
            document = documents.pop(name, None)
            if found.etag != stored.etag:
                result.unsettled[key] = stored
            if document is not None and not _is_settled(stored, document, found):
                wanted.append((name, document))
        cut = [name for name in documents if _CUT_NAME.search(name)]
        wanted += [(name, documents[name]) for name in cut]
        self._write_all(wanted, uploads, known, result)
        for key in result.written:
            result.unsettled.pop(key, None)
        result.orphans = [self._upload_key(name) for name in documents if name not in cut]
        return result

    def known(self) -> dict[str, Known]:
        """What the table holds, by key."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._place.table,
            ConsistentRead=True,
            ProjectionExpression="ImageID, ETag, TaggedAt, #status",
            ExpressionAttributeNames=_NAMES,
        )
        return {
            item["ImageID"]["S"]: Known(_text(item, "ETag"), _text(item, "TaggedAt"))
            if "Status" in item
            else Known()
            for page in pages
            for item in page["Items"]
        }

    def _is_upload(self, key: str) -> bool:
        return not key.endswith("/") and not key.startswith(_WRITTEN)

    def _document_key(self, key: str) -> str:
        return f"{METADATA}{key.removeprefix(self._place.prefix)}{_SUFFIX}"

    def _upload_key(self, document: str) -> str:
        return self._place.prefix + document.removeprefix(METADATA).removesuffix(_SUFFIX)

    def _list(self, prefix: str) -> Iterator[tuple[str, Stored]]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._place.bucket, Prefix=prefix
        ):
            for found in page.get("Contents", []):
                yield found["Key"], Stored(found["ETag"].strip('"'), found["LastModified"])

    def _write_all(
        self,
        wanted: Sequence[tuple[str, Stored]],
        uploads: Mapping[str, Stored],
        known: Mapping[str, Known],
        result: Rebuilt,
    ) -> None:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="recovery") as threads:
            current = (
                found
                for found in self._prepared(wanted, threads)
                if found is not None and _is_current(found, uploads, known)
            )
            while batch := list(islice(current, _PER_TRANSACTION)):
                result.written += self._write(batch, known)
                self._progress(f"rebuilding records: {len(result.written)} of {len(wanted)}")

    def _prepared(
        self, wanted: Iterable[tuple[str, Stored]], threads: ThreadPoolExecutor
    ) -> Iterator[Prepared | None]:
        """Read a few ahead of what is being written, never all: ten thousand records fill half a gigabyte."""
        ahead: deque[Future[Prepared | None]] = deque()
        for each in wanted:
            ahead.append(threads.submit(self._prepare, each))
            if len(ahead) >= _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _prepare(self, wanted: tuple[str, Stored]) -> Prepared | None:
        record = self._read(wanted)
        return None if record is None else Prepared.of(record)

    def _read(self, wanted: tuple[str, Stored]) -> Record | None:
        """A JSON file; None where it is gone by now, or is not one of the tagger's."""
        name, stored = wanted
        try:
            record = json.loads(self._from_disk(name, stored) or self._from_bucket(name))
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise
        except ValueError:
            return None
        return record if isinstance(record, dict) and {"ImageID", "ETag", "Status"} <= record.keys() else None

    def _from_bucket(self, name: str) -> bytes:
        return self._s3.get_object(Bucket=self._place.bucket, Key=name)["Body"].read()

    def _from_disk(self, name: str, stored: Stored) -> bytes | None:
        if self._disk is None or ".." in name.split("/"):
            return None
        try:
            content = (self._disk / name).read_bytes()
        except (OSError, ValueError):  # it lies elsewhere; a key may hold what no path can
            return None
        return content if hashlib.md5(content, usedforsecurity=False).hexdigest() == stored.etag else None

    def _write(self, batch: Sequence[Prepared], known: Mapping[str, Known]) -> list[str]:
        """Write records at once, each unless the tagger was faster; returns the keys of those that were."""
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[{"Put": self._put(each, known)} for each in batch]  # type: ignore[typeddict-item]
            )
        except ClientError as error:
            reasons: list[dict[str, Any]] = error.response.get("CancellationReasons") or []  # type: ignore[assignment]
            if not reasons or all(reason.get("Code") in (None, "None") for reason in reasons):
                raise
            pairs = zip(batch, reasons, strict=True)
            rest = [each for each, reason in pairs if reason.get("Code") in (None, "None")]
            return self._write(rest, known) if rest else []
        return [each.key for each in batch]

    def _put(self, prepared: Prepared, known: Mapping[str, Known]) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self._place.table,
            "Item": prepared.item,
            "ConditionExpression": _NO_RECORD,
            "ExpressionAttributeNames": _NAMES,
        }
        if tagged_at := known.get(prepared.key, Known()).tagged_at:
            put["ConditionExpression"] = f"{_NO_RECORD} OR TaggedAt = :known"
            put["ExpressionAttributeValues"] = {":known": {"S": tagged_at}}
        return put


def _is_settled(stored: Stored, document: Stored, known: Known) -> bool:
    return known.etag == stored.etag and document.at < _time(known.tagged_at) + _RETAGGED


def _is_current(prepared: Prepared, uploads: Mapping[str, Stored], known: Mapping[str, Known]) -> bool:
    """Whether a JSON file is of the bytes that lie in the bucket, and younger than the record that is there."""
    stored = uploads.get(prepared.key)
    found = known.get(prepared.key, Known())
    if stored is None or stored.etag != prepared.etag:
        return False
    return found.etag != prepared.etag or prepared.tagged_at > found.tagged_at


def attribute(value: Any) -> dict[str, Any]:
    """A value of JSON in DynamoDB's types; a number keeps all its digits."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": repr(value)}
        case list():
            return {"L": [attribute(element) for element in value]}
        case dict():
            return {"M": {name: attribute(element) for name, element in value.items()}}
    return {"NULL": True}


def fit(record: Record) -> Record:
    """The record as the table can hold it, cut as the tagger cuts it: boxes first, then the longest lists."""
    left_out: list[str] = []
    fitting = dict(record)
    if _item_size(fitting) > _MAX_ITEM_BYTES and "Labels" in fitting:
        fitting["Labels"] = [{**label, "Instances": []} for label in fitting["Labels"]]
        left_out.append("Labels.Instances")
    while _item_size(fitting) > _MAX_ITEM_BYTES:
        lists = [name for name, value in fitting.items() if isinstance(value, list)]
        if not lists:
            break
        longest = max(lists, key=lambda name: _size(fitting[name]))
        del fitting[longest]
        left_out.append(longest)
    return {**fitting, "LeftInDocument": left_out} if left_out else fitting


def _item_size(record: Record) -> int:
    return sum(len(name.encode()) + _size(value) for name, value in record.items())


def _size(value: Any) -> int:
    """An upper bound of what DynamoDB counts, reckoned as the tagger does, so that both cut at the same size.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    match value:
        case str():
            return len(value.encode())
        case list():
            return 3 + sum(1 + _size(element) for element in value)
        case dict():
            return 3 + sum(1 + len(name.encode()) + _size(element) for name, element in value.items())
        case _:
            return 21  # a number's most; booleans and null take one byte


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(item.get(name, {}).get("S", ""))


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
