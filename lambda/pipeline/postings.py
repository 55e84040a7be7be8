"""Where an image is found: its postings in the index table, one small item per name and image.

    pk  label:cat#90#2                         kind and name (case folded), confidence band, shard
    sk  2026-11-25T12:00:00.000Z#9f86d081884c  time of the upload and a hash of the key: newest last

Lists are postings without name and band: `image:all#<shard>` holds every image, `status:FAILED#<shard>` those that
are not simply tagged. Shards spread the writes of a name that is on every image; bands let a search by confidence
read only what may match.

A record and its postings are written by one transaction, which takes at most 100 actions. What a record replaces
has to go in the same one, so that at most `MAX_NAMES` names of an image are indexed. Which ones they are stands in
the record's item (`Indexed`): whoever replaces or deletes the record knows from there what to remove, and the
statistics what to count.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline.records import Status, to_attribute, to_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.records import Item, Record

MAX_NAMES = 45
"""1 record + 2 lists + names, and as many postings of the record before: 1 + 2 × (2 + 45) = 95 of 100 actions.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""
MAX_FOUND = 20
"""Celebrities and moderation categories go before labels, but leave room for at least 25 of these."""
MAX_CATEGORIES = 40
MAX_NAME_BYTES = 128
"""A longer name is in the record and not in the index, so that no key and no item grows without bound."""
BANDS = (99, 90, 80, 0)
"""The least confidence of each band, highest first."""
MAX_SHARDS = 64
ATTRIBUTE = "Indexed"
"""Attribute of a record's item that says how it is indexed. It is no part of the record."""


class Kind(StrEnum):
    """What images can be searched by."""

    LABEL = "label"
    CELEBRITY = "celebrity"
    MODERATION = "moderation"


@dataclass(frozen=True, slots=True)
class Index:
    """The index table, and over how many shards new postings are spread."""

    table: str
    shards: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name under which an image is found; `percent` is its confidence, rounded down."""

    kind: Kind
    name: str
    percent: int

    @property
    def group(self) -> str:
        """The beginning of the partition key."""
        return name_group(self.kind, self.name, band_of(self.percent))


@dataclass(frozen=True, slots=True)
class Indexed:
    """How a record is indexed: enough to take it out of the index again, and to count it.

    Attributes:
        sort: sort key of all its postings.
        shard: shard of all its postings.
        status: of the record.
        names: what it is found by.
        categories: Rekognition's categories of its labels; they are counted and not searched.
    """

    sort: str
    shard: int
    status: Status
    names: tuple[Name, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def day(self) -> str:
        """Day of the upload (UTC), as `2026-11-25`."""
        return self.sort[:10]

    def keys(self) -> Iterator[str]:
        """Partition keys of all postings."""
        groups = [*list_groups(self.status), *(name.group for name in self.names)]
        return (sharded(group, self.shard) for group in groups)

    def to_attribute(self) -> dict[str, Any]:
        """The value of the attribute `Indexed`."""
        return to_attribute(
            {
                "Sort": self.sort,
                "Shard": self.shard,
                "Status": self.status.value,
                "Names": [f"{name.kind}:{name.percent}:{name.name}" for name in self.names],
                "Categories": list(self.categories),
            }
        )

    @classmethod
    def from_fields(cls, fields: Record | None) -> Indexed | None:
        """What an item's attribute `Indexed` says; None where there is none."""
        if not fields:
            return None
        names = (text.split(":", 2) for text in fields["Names"])
        return cls(
            fields["Sort"],
            fields["Shard"],
            Status(fields["Status"]),
            tuple(Name(Kind(kind), name, int(percent)) for kind, percent, name in names),
            tuple(fields["Categories"]),
        )


def index_of(record: Record, *, shards: int) -> Indexed:
    """How a record is to be indexed."""
    digest = hashlib.sha256(record["ImageID"].encode()).hexdigest()
    return Indexed(
        f"{record['UploadedAt']}#{digest[:16]}",
        int(digest[-8:], 16) % shards,
        Status(record["Status"]),
        tuple(Name(kind, name, int(confidence)) for kind, name, confidence in names_of(record)),
        tuple(_categories_of(record)),
    )


def changes(record: Record, wanted: Indexed, before: Indexed | None, index: Index) -> list[dict[str, Any]]:
    """The actions of a transaction that bring the postings from those of the record before to those of this one."""
    new = {sharded(group, wanted.shard): more for group, more in _postings(record, wanted)}
    common = {
        "sk": wanted.sort,
        "ImageID": record["ImageID"],
        "Status": wanted.status.value,
        "UploadedAt": record["UploadedAt"],
        **({"PreviewKey": record["PreviewKey"]} if record.get("PreviewKey") else {}),
    }
    puts = [_put(index.table, {"pk": key, **common, **more}) for key, more in new.items()]
    kept = set(new) if before is not None and before.sort == wanted.sort else set()
    return puts + removals(before, index, kept=kept)


def removals(before: Indexed | None, index: Index, *, kept: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The actions of a transaction that remove the postings of a record, but for some partition keys."""
    if before is None:
        return []
    left = set(kept)
    return [
        {"Delete": {"TableName": index.table, "Key": to_item({"pk": key, "sk": before.sort})}}
        for key in before.keys()  # noqa: SIM118 - no mapping
        if key not in left
    ]


def names_of(record: Record) -> list[tuple[Kind, str, float]]:
    """Kind, name and confidence of what a record is found by, the most important first, each name once."""
    found = _ranked(
        [(Kind.MODERATION, it["Name"], it["Confidence"]) for it in record.get("Moderation", ())],
        [(Kind.CELEBRITY, it["Name"], it["Confidence"]) for it in record.get("Celebrities", ())],
    )[:MAX_FOUND]
    labels = _ranked([(Kind.LABEL, it["Name"], it["Confidence"]) for it in record.get("Labels", ())])
    return [*found, *labels][:MAX_NAMES]


def folded(name: str) -> str:
    """A name as it stands in keys: upper and lower case are the same."""
    return name.strip().casefold()


def name_group(kind: Kind, name: str, band: int) -> str:
    """A partition key of a name but for its shard."""
    return f"{kind}:{folded(name)}#{band}"


def list_groups(status: Status) -> tuple[str, ...]:
    """The lists that an image of a status is on, as partition keys but for their shard."""
    if status is Status.DELETED:
        return ()
    return ("image:all",) if status is Status.TAGGED else ("image:all", f"status:{status}")


def sharded(group: str, shard: int) -> str:
    """The partition key of one shard."""
    return f"{group}#{shard}"


def band_of(percent: float) -> int:
    """The band that a confidence lies in, by its least confidence."""
    return next(band for band in BANDS if percent >= band)


def _ranked(*lists: list[tuple[Kind, str, float]]) -> list[tuple[Kind, str, float]]:
    """Everything by confidence, each name of a kind once."""
    best: dict[tuple[Kind, str], tuple[Kind, str, float]] = {}
    for kind, name, confidence in sorted(
        (each for names in lists for each in names), key=lambda each: -each[2]
    ):
        key = folded(name)
        if key and len(key.encode()) <= MAX_NAME_BYTES and len(name.encode()) <= MAX_NAME_BYTES:
            best.setdefault((kind, key), (kind, name, confidence))
    return list(best.values())


def _categories_of(record: Record) -> list[str]:
    names = (name for label in record.get("Labels", ()) for name in label.get("Categories", ()))
    return [name for name in dict.fromkeys(names) if len(name.encode()) <= MAX_NAME_BYTES][:MAX_CATEGORIES]


def _postings(record: Record, wanted: Indexed) -> Iterator[tuple[str, Record]]:
    for group in list_groups(wanted.status):
        yield group, {}
    for name, (_, _, confidence) in zip(wanted.names, names_of(record), strict=True):
        yield name.group, {"Name": name.name, "Confidence": confidence}


def _put(table: str, posting: Record) -> dict[str, Any]:
    item: Item = to_item(posting)
    return {"Put": {"TableName": table, "Item": item}}
