"""The read side: lists, searches, counts and records, page by page; no table is ever scanned.

What a page costs does not grow with the tables. A list or a search reads from each partition that may hold a match no
more than the page may need, newest first, and merges. All postings of an image have one sort key, so that the place in
the merged order is one sort key too: that is the cursor, and a page goes on from there whatever was added meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline import counters, postings
from pipeline.postings import Kind, sharded
from pipeline.reading import read_items
from pipeline.records import Record, Status, from_item
from pipeline.store import record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from pipeline.counters import Counts, Suggestion

__all__ = ["AlertPage", "Catalogue", "CursorError", "Entry", "Kind", "Page"]

MAX_LIMIT = 200
EXAMINED_PER_PAGE = 1000
"""So many postings a page looks at, at most: where few of them match, it may hold less than it could, and its
cursor goes on behind them."""
_READERS = 8


class CursorError(ValueError):
    """A cursor is damaged, or of another list or search."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a page; `name` and `confidence` (percent) are None in lists."""

    image_id: str
    uploaded_at: str
    status: Status
    name: str | None = None
    confidence: float | None = None
    preview_key: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list or search, newest upload first.

    `cursor` is for the next page, None at the end; `read_units` is the capacity that DynamoDB counted for it.
    """

    entries: tuple[Entry, ...]
    cursor: str | None
    read_units: float


@dataclass(frozen=True, slots=True)
class AlertPage:
    """A page of alerts, newest first, each with the fields that it was stored with."""

    alerts: tuple[Record, ...]
    cursor: str | None
    read_units: float


@dataclass(slots=True)
class _Found:
    """Items of a page in their order, and where the next one begins."""

    items: list[Record]
    last: str | None
    read_units: float


@dataclass(slots=True)
class _Lane:
    """One partition, read from newest to oldest, some items ahead."""

    key: str
    before: str | None
    ahead: deque[Record] = field(default_factory=deque)
    is_done: bool = False


class Catalogue:
    """Reads the tables of one stack. Safe to use from several threads.

    Args:
        client: DynamoDB.
        images_table: table of the records.
        index_table: table of the postings.
        statistics_table: table of the counters.
        shards: over how many shards postings and counters are spread.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        images_table: str,
        index_table: str,
        statistics_table: str,
        shards: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._images_table = images_table
        self._index_table = index_table
        self._counters = counters.Reader(client, table=statistics_table, slots=shards)
        self._shards = shards
        self._sleep = sleep
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="catalogue")

    def newest(self, *, limit: int, cursor: str | None = None, status: Status | None = None) -> Page:
        """The images, newest upload first; with a status only those.

        Raises:
            CursorError: the cursor is damaged or of another list.
            ValueError: `limit` is not from 1 to 200.
        """
        groups = postings.list_groups(status or Status.TAGGED)[-1:]
        found = self._read(
            groups, limit=limit, cursor=cursor, wanted=lambda it: status in (None, it["Status"])
        )
        return self._page(found, groups)

    def search(
        self, kind: Kind, name: str, *, min_confidence: float = 0.0, limit: int, cursor: str | None = None
    ) -> Page:
        """The images that hold something of this name (in any case), newest upload first.

        Args:
            kind: label, celebrity or moderation category.
            name: the whole name.
            min_confidence: in percent.
            limit: how many at most, 1 to 200; where few of many match, a page may hold fewer and still have a
                cursor.
            cursor: of the page before.

        Raises:
            CursorError: the cursor is damaged or of another search.
            ValueError: `limit` is not from 1 to 200.
        """
        lowest = postings.band_of(max(0.0, min_confidence))
        groups = [postings.name_group(kind, name, band) for band in postings.BANDS if band >= lowest]
        found = self._read(
            groups, limit=limit, cursor=cursor, wanted=lambda it: it["Confidence"] >= min_confidence
        )
        return self._page(found, groups)

    def records(self, image_ids: Sequence[str]) -> list[Record]:
        """The records of images, in the order asked for; those that have none are left out."""
        found: dict[str, Record] = {}
        names = list(dict.fromkeys(image_ids))
        keys = [{"ImageID": {"S": name}} for name in names]
        for item in read_items(self._client, self._images_table, keys, sleep=self._sleep):
            if "Status" in item and item["Status"]["S"] != Status.DELETED:
                found[item["ImageID"]["S"]] = record_of(item)
        return [found[name] for name in names if name in found]

    def suggestions(self, prefix: str, *, limit: int) -> list[Suggestion]:
        """Names of labels, celebrities and moderation categories that begin so, the most frequent first."""
        return self._counters.suggestions(prefix, limit=limit)

    def counts(self) -> Counts:
        """How many images there are of everything that is counted. Costs as much as there are names."""
        return self._counters.counts()

    def alerts(self, *, limit: int, cursor: str | None = None) -> AlertPage:
        """The alerts, newest first.

        Raises:
            CursorError: the cursor is damaged or of another list.
            ValueError: `limit` is not from 1 to 200.
        """
        found = self._read(("alerts",), limit=limit, cursor=cursor, wanted=lambda _: True)
        alerts = tuple({k: v for k, v in it.items() if k not in {"pk", "sk"}} for it in found.items)
        return AlertPage(alerts, _cursor(("alerts",), found.last), found.read_units)

    def _page(self, found: _Found, groups: Sequence[str]) -> Page:
        return Page(
            tuple(_entry(item) for item in found.items), _cursor(groups, found.last), found.read_units
        )

    # --- merging ---

    def _read(
        self, groups: Sequence[str], *, limit: int, cursor: str | None, wanted: Callable[[Record], bool]
    ) -> _Found:
        """Up to `limit` wanted items of some groups, over all their shards."""
        if not 1 <= limit <= MAX_LIMIT:
            raise ValueError(f"limit must be from 1 to {MAX_LIMIT}, not {limit}")
        before = _position(groups, cursor)
        if not groups:
            return _Found([], None, 0.0)  # what is deleted is on no list
        lanes = [_Lane(sharded(group, shard), before) for group in groups for shard in range(self._shards)]
        # a share of the page, and a half of it again, because the images do not spread evenly
        step = min(limit + 1, 3 * limit // (2 * len(lanes)) + 2)
        reading = _Reading(lambda lane: self._query(lane, step), self._readers)
        items: list[Record] = []
        last: str | None = None
        for examined, item in enumerate(reading.merged(lanes)):
            if len(items) == limit or examined == EXAMINED_PER_PAGE:
                return _Found(items, last, reading.units)
            last = item["sk"]
            if wanted(item):
                items.append(item)
        return _Found(items, None, reading.units)

    def _query(self, lane: _Lane, step: int) -> float:
        """Read on in a lane; returns the capacity used."""
        values: dict[str, Any] = {":pk": {"S": lane.key}}
        condition = "pk = :pk"
        if lane.before is not None:
            condition += " AND sk < :before"
            values[":before"] = {"S": lane.before}
        answer = self._client.query(
            TableName=self._index_table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            Limit=step,
            ReturnConsumedCapacity="TOTAL",
        )
        lane.ahead.extend(from_item(item) for item in answer["Items"])
        lane.is_done = "LastEvaluatedKey" not in answer
        if lane.ahead:
            lane.before = lane.ahead[-1]["sk"]
        return float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))


class _Reading:
    """Merges lanes and adds up what that costs."""

    def __init__(self, query: Callable[[_Lane], float], readers: ThreadPoolExecutor) -> None:
        self._query = query
        self._readers = readers
        self.units = 0.0

    def merged(self, lanes: Sequence[_Lane]) -> Iterator[Record]:
        """The items of all lanes, newest first; all lanes are read at the beginning, and each on when it is used up."""
        self.units += sum(
            self._readers.map(self._query, lanes) if len(lanes) > 1 else map(self._query, lanes)
        )
        # the newest first: by sort key from the end of the alphabet, as heapq.merge wants each lane in order
        yield from heapq.merge(*(self._items(lane) for lane in lanes), key=lambda it: it["sk"], reverse=True)

    def _items(self, lane: _Lane) -> Iterator[Record]:
        while True:
            while lane.ahead:
                yield lane.ahead.popleft()
            if lane.is_done:
                return
            self.units += self._query(lane)


def _entry(item: Record) -> Entry:
    return Entry(
        item["ImageID"],
        item["UploadedAt"],
        Status(item["Status"]),
        item.get("Name"),
        item.get("Confidence"),
        item.get("PreviewKey"),
    )


def _cursor(groups: Sequence[str], last: str | None) -> str | None:
    if last is None:
        return None
    content = json.dumps([_digest(groups), last]).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _position(groups: Sequence[str], cursor: str | None) -> str | None:
    """The sort key that a cursor stands for."""
    if cursor is None:
        return None
    try:
        digest, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        raise CursorError("the cursor is damaged: take one as a page gave it") from None
    if digest != _digest(groups) or not isinstance(last, str) or not last:
        raise CursorError("the cursor is of another list or search")
    return last


def _digest(groups: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(groups).encode()).hexdigest()[:12]
