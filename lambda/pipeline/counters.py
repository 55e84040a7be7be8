"""The statistics table: how many images there are of each label, day, status and so on.

    pk  counts#<slot>          sk  label#cat                Name (as shown), Images
    pk  image#<key>            sk  counted                  Tally (what this image was counted as), Version

A counter is the sum over its slots: writers of different slots do not get into each other's way. `Tally` is written by
the same transaction as the counters that it was added to, so that the sum of all tallies is what the counters say,
whatever comes twice, late or not at all.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline.postings import Kind, folded
from pipeline.records import from_item

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_dynamodb import DynamoDBClient

_READERS = 8
_EXAMINED = 1000
"""So many names that begin as a person typed are looked at, per kind and slot, for the most frequent of them."""


class Group(StrEnum):
    """What is counted."""

    LABEL = "label"
    CATEGORY = "category"
    CELEBRITY = "celebrity"
    MODERATION = "moderation"
    DAY = "day"
    STATUS = "status"
    BAND = "band"


@dataclass(frozen=True, slots=True)
class Counts:
    """Number of images by name. `bands` counts indexed labels by their confidence: `90` is 90 to under 100."""

    labels: Mapping[str, int]
    categories: Mapping[str, int]
    celebrities: Mapping[str, int]
    moderation: Mapping[str, int]
    days: Mapping[str, int]
    statuses: Mapping[str, int]
    bands: Mapping[str, int]

    @property
    def images(self) -> int:
        """All images."""
        return sum(self.statuses.values())


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A name to search for, and how many images it finds."""

    kind: Kind
    name: str
    count: int


class Reader:
    """Reads the counters.

    Args:
        client: DynamoDB.
        table: the statistics table.
        slots: over how many slots each counter is spread.
    """

    def __init__(self, client: DynamoDBClient, *, table: str, slots: int) -> None:
        self._client = client
        self._table = table
        self._slots = slots
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="counters")

    def counts(self) -> Counts:
        """All counters that are not 0, the largest first; days in their order."""
        sums, names = self._sums([("", None)])
        grouped: dict[Group, dict[str, int]] = {group: {} for group in Group}
        for key, images in sorted(sums.items(), key=lambda each: (-each[1], each[0])):
            group = key.partition("#")[0]
            if images > 0:
                grouped[Group(group)][names[key]] = images
        return Counts(
            labels=grouped[Group.LABEL],
            categories=grouped[Group.CATEGORY],
            celebrities=grouped[Group.CELEBRITY],
            moderation=grouped[Group.MODERATION],
            days=dict(sorted(grouped[Group.DAY].items())),
            statuses=grouped[Group.STATUS],
            bands=dict(sorted(grouped[Group.BAND].items(), key=lambda each: int(each[0]))),
        )

    def suggestions(self, prefix: str, *, limit: int) -> list[Suggestion]:
        """Names that begin so, in any case, the most frequent first."""
        beginning = folded(prefix)
        most = _EXAMINED if beginning else None
        sums, names = self._sums([(f"{kind}#{beginning}", most) for kind in Kind])
        found = [
            Suggestion(Kind(key.partition("#")[0]), names[key], images)
            for key, images in sums.items()
            if images > 0
        ]
        return sorted(found, key=lambda it: (-it.count, it.name, it.kind))[:limit]

    def _sums(self, parts: list[tuple[str, int | None]]) -> tuple[Counter[str], dict[str, str]]:
        """Sums by sort key over all slots, and the names as shown."""
        sums: Counter[str] = Counter()
        names: dict[str, str] = {}
        reads = [(slot, beginning, most) for beginning, most in parts for slot in range(self._slots)]
        for items in self._readers.map(lambda read: list(self._items(*read)), reads):
            for item in items:
                sums[item["sk"]] += item["Images"]
                names[item["sk"]] = item["Name"]
        return sums, names

    def _items(self, slot: int, beginning: str, most: int | None) -> Iterator[dict[str, Any]]:
        values: dict[str, Any] = {":pk": {"S": f"counts#{slot}"}}
        condition = "pk = :pk"
        if beginning:
            condition += " AND begins_with(sk, :beginning)"
            values[":beginning"] = {"S": beginning}
        asked: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            **({"Limit": most} if most else {}),
        }
        while True:
            answer = self._client.query(**asked)
            yield from (from_item(item) for item in answer["Items"])
            if most or "LastEvaluatedKey" not in answer:
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
