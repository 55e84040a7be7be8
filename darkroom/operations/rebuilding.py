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
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from pathlib import Path

    import boto3
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

    from pipeline.postings import Indexed

METADATA = "metadata/"
_WRITTEN = (METADATA, "previews/")
"""What the functions write themselves is no upload."""
_SUFFIX = ".json"
_CUT_NAME = re.compile(r"~[0-9a-f]{16}\.json$")
"""Name of the JSON file of a key that is too long to have a suffix: only its content tells whose it is."""
_READERS = 4
_AHEAD = 100
_TOLD_EVERY = 100
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
    indexed: Indexed | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where uploads, JSON files and records are."""

    bucket: str
    table: str
    prefix: str
    """Of the uploads; empty for the whole bucket."""
    index_table: str
    shards: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record as it goes into the table, with its postings."""

    key: str
    etag: str
    tagged_at: str
    item: dict[str, Any]
    postings: tuple[dict[str, Any], ...]
    """What to do in the index, as actions of a transaction."""


@dataclass(slots=True)
class Rebuilt:
    """What came of it.

    Attributes:
        written: keys of the records that were written.
        unsettled: uploads without a current record, which have to be analysed; with the time of their upload.
        orphans: keys of JSON files whose upload is gone: no record is made of them.
        gone: keys of records and JSON files whose upload is gone: the tagger has to be told.
    """

    written: list[str] = field(default_factory=list)
    unsettled: dict[str, Stored] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)


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
        recorded = (key for key, found in known.items() if found.etag and not found.is_deleted)
        result.gone = {key for key in recorded if key not in uploads} | set(result.orphans)
        return result

    def known(self) -> dict[str, Known]:
        """What the table holds, by key."""
        from pipeline import postings

        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._place.table,
            ConsistentRead=True,
            ProjectionExpression="ImageID, ETag, TaggedAt, #status, #indexed",
            ExpressionAttributeNames={**_NAMES, "#indexed": postings.ATTRIBUTE},
        )
        return {item["ImageID"]["S"]: _known(item) for page in pages for item in page["Items"]}

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
                for found in self._prepared(wanted, known, threads)
                if found is not None and _is_current(found, uploads, known)
            )
            told = 0
            for batch in _batches(current):
                result.written += self._write(batch, known)
                if len(result.written) // _TOLD_EVERY > told:
                    told = len(result.written) // _TOLD_EVERY
                    self._progress(f"rebuilding records: {len(result.written)} of {len(wanted)}")

    def _prepared(
        self,
        wanted: Iterable[tuple[str, Stored]],
        known: Mapping[str, Known],
        threads: ThreadPoolExecutor,
    ) -> Iterator[Prepared | None]:
        """Read a few ahead of what is being written, never all: ten thousand records fill half a gigabyte."""
        ahead: deque[Future[Prepared | None]] = deque()
        for each in wanted:
            ahead.append(threads.submit(self._prepare, each, known))
            if len(ahead) >= _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _prepare(self, wanted: tuple[str, Stored], known: Mapping[str, Known]) -> Prepared | None:
        record = self._read(wanted)
        return None if record is None else self.prepared(record, known)

    def prepared(self, record: Record, known: Mapping[str, Known]) -> Prepared:
        """A record as the tagger would have written it."""
        from pipeline import postings, records

        indexed = postings.index_of(record, shards=self._place.shards)
        index = postings.Index(self._place.index_table, self._place.shards)
        before = known.get(record["ImageID"], Known()).indexed
        item = {
            **records.to_item(records.fit(record)),
            postings.ATTRIBUTE: indexed.to_attribute(),
        }
        changes = tuple(postings.changes(record, indexed, before, index))
        return Prepared(record["ImageID"], record["ETag"], str(record.get("TaggedAt", "")), item, changes)

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
        from pipeline import transactions

        actions: list[dict[str, Any]] = [{"Put": self._put(each, known)} for each in batch]
        actions += [action for each in batch for action in each.postings]
        try:
            transactions.write(self._dynamodb, actions)
        except transactions.ConditionRefusedError as error:  # only the records have conditions
            rest = [each for number, each in enumerate(batch) if number not in error.actions]
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


def _batches(prepared: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """As many records as one transaction takes with their postings."""
    from pipeline.transactions import MAX_ACTIONS

    batch: list[Prepared] = []
    actions = 0
    for each in prepared:
        if batch and actions + 1 + len(each.postings) > MAX_ACTIONS:
            yield batch
            batch, actions = [], 0
        batch.append(each)
        actions += 1 + len(each.postings)
    if batch:
        yield batch


def _known(item: Mapping[str, Any]) -> Known:
    from pipeline import postings, records

    if "Status" not in item:
        return Known()
    given = item.get(postings.ATTRIBUTE)
    indexed = postings.Indexed.from_fields(records.from_attribute(given) if given else None)
    return Known(_text(item, "ETag"), _text(item, "TaggedAt"), indexed, _text(item, "Status") == "DELETED")


def _is_settled(stored: Stored, document: Stored, known: Known) -> bool:
    return known.etag == stored.etag and document.at < _time(known.tagged_at) + _RETAGGED


def _is_current(prepared: Prepared, uploads: Mapping[str, Stored], known: Mapping[str, Known]) -> bool:
    """Whether a JSON file is of the bytes that lie in the bucket, and younger than the record that is there."""
    stored = uploads.get(prepared.key)
    found = known.get(prepared.key, Known())
    if stored is None or stored.etag != prepared.etag:
        return False
    return found.etag != prepared.etag or prepared.tagged_at > found.tagged_at


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(item.get(name, {}).get("S", ""))


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
