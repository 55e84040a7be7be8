"""Keeping the counters true: an image is counted as what its record says, once, whatever events tell of it.

An event of the stream only says whose record may have changed. Counted is what the record says now, against what the
image was counted as before:

    images table       uploads/cat.jpg  Indexed (label Cat 98 %, Animal 99 %)
    statistics table   image#uploads/cat.jpg  Tally (label:Cat)                          Version 7
                       counts#3  label#animal   + 1                                    ┐ one transaction, on condition
                       image#uploads/cat.jpg  Tally (label:Cat, label:Animal)          ┘ that Version is still 7

So an event that comes twice, late, or together with a newer one finds nothing left to do, and the counters always are
the sum of all tallies. Images of one batch that share a label share the write of its counter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline import postings, transactions
from pipeline.counters import Group
from pipeline.postings import Indexed, folded
from pipeline.reading import read_items
from pipeline.records import from_item, to_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from pipeline.records import Record

Tally = Counter[str]
"""What an image counts for, as `label:Cat` -> 1."""
_ATTEMPTS = 5
"""So often an image is looked at again because somebody else counted it meanwhile."""
_BAND_STEP = 10


class ContendedError(Exception):
    """Somebody else counts the same images all the time; Lambda is to try again."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What an image was counted as; `version` is 0 where it was not counted yet."""

    tally: Tally
    version: int = 0


@dataclass(slots=True)
class _Batch:
    """A transaction in the making."""

    images: dict[str, tuple[Counted, Tally]] = field(default_factory=dict)
    deltas: Tally = field(default_factory=Counter)

    def room_for(self, changes: Tally) -> bool:
        """Whether an image with these changes fits as well."""
        keys = {counter_key(name) for name in (*self.deltas, *changes)}
        return len(self.images) + 1 + len(keys) <= transactions.MAX_ACTIONS

    def add(self, image_id: str, before: Counted, after: Tally) -> None:
        self.images[image_id] = (before, after)
        self.deltas.update(difference(after, before.tally))


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts images.

    Args:
        client: DynamoDB.
        images_table: table of the records.
        statistics_table: table of the counters.
        slot: which part of each counter this writer adds to.
    """

    client: DynamoDBClient
    images_table: str
    statistics_table: str
    slot: int

    def count(self, image_ids: Iterable[str]) -> int:
        """Count these images as what their records say now; returns how many were counted anew.

        Raises:
            ContendedError: others count the same images all the time.
            ClientError: DynamoDB refuses or cannot answer now.
        """
        left = sorted(set(image_ids))
        changed = 0
        for _ in range(_ATTEMPTS):
            wanted = self._wanted(left)
            counted = self._counted(left)
            stale: set[str] = set()
            for batch in batches({key: (counted[key], wanted[key]) for key in left}):
                try:
                    self._write(batch)
                except transactions.ConditionRefusedError:
                    stale.update(batch.images)
                else:
                    changed += len(batch.images)
            if not stale:
                return changed
            left = sorted(stale)
        raise ContendedError(f"{len(left)} images are counted by others at the same time: {left[:3]}")

    def _wanted(self, image_ids: Sequence[str]) -> dict[str, Tally]:
        """What images count for now. Read consistently: after the last change no other event would come."""
        found: dict[str, Tally] = {key: Counter() for key in image_ids}
        for item in read_items(
            self.client,
            self.images_table,
            [{"ImageID": {"S": key}} for key in image_ids],
            ConsistentRead=True,
            ProjectionExpression="ImageID, #indexed",
            ExpressionAttributeNames={"#indexed": postings.ATTRIBUTE},  # a reserved word
        ):
            fields = from_item(item)
            found[fields["ImageID"]] = tally_of(Indexed.from_fields(fields.get(postings.ATTRIBUTE)))
        return found

    def _counted(self, image_ids: Sequence[str]) -> dict[str, Counted]:
        found = {key: Counted(Counter()) for key in image_ids}
        keys = [to_item(_image_key(key)) for key in image_ids]
        for item in read_items(self.client, self.statistics_table, keys, ConsistentRead=True):
            fields = from_item(item)
            found[fields["pk"].partition("#")[2]] = Counted(Counter(fields["Tally"]), fields["Version"])
        return found

    def _write(self, batch: _Batch) -> None:
        actions = [self._image(key, before, after) for key, (before, after) in batch.images.items()]
        actions += [self._counter(*change) for change in _by_counter(batch.deltas)]
        transactions.write(self.client, actions)

    def _image(self, image_id: str, before: Counted, after: Tally) -> dict[str, Any]:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before.version:
            condition = {
                "ConditionExpression": "Version = :version",
                "ExpressionAttributeValues": {":version": {"N": str(before.version)}},
            }
        common = {"TableName": self.statistics_table, **condition}
        if not after:
            return {"Delete": {"Key": to_item(_image_key(image_id)), **common}}
        fields = {"Tally": sorted(after.elements()), "Version": before.version + 1}
        return {"Put": {"Item": to_item(_image_key(image_id) | fields), **common}}

    def _counter(self, key: str, name: str, images: int) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self.statistics_table,
                "Key": to_item({"pk": f"counts#{self.slot}", "sk": key}),
                "UpdateExpression": "SET #name = :name ADD Images :images",
                "ExpressionAttributeNames": {"#name": "Name"},  # a reserved word of expressions
                "ExpressionAttributeValues": {":name": {"S": name}, ":images": {"N": str(images)}},
            }
        }


def tally_of(indexed: Indexed | None) -> Tally:
    """What an image counts for; nothing if it has no record."""
    if indexed is None:
        return Counter()
    labels = [name for name in indexed.names if name.kind is postings.Kind.LABEL]
    return Counter(
        [
            *(f"{name.kind}:{name.name}" for name in indexed.names),
            *(f"{Group.CATEGORY}:{name}" for name in indexed.categories),
            *(f"{Group.BAND}:{_band(name.percent)}" for name in labels),
            f"{Group.DAY}:{indexed.day}",
            f"{Group.STATUS}:{indexed.status}",
        ]
    )


def batches(images: dict[str, tuple[Counted, Tally]]) -> Iterator[_Batch]:
    """The transactions that count images, each of at most 100 actions.

    An image that changes more counters than one transaction may hold is counted in steps, each of which leaves a
    tally that is true to the counters.
    """
    batch = _Batch()
    for image_id, (counted, wanted) in images.items():
        before = counted
        changes = difference(wanted, before.tally)
        if not changes:
            continue
        if batch.images and not batch.room_for(changes):
            yield batch
            batch = _Batch()
        while not batch.room_for(changes):
            part = Counter(dict(sorted(changes.items())[: transactions.MAX_ACTIONS - 1]))
            step = sum_of(before.tally, part)
            batch.add(image_id, before, step)
            yield batch
            before, batch = Counted(step, before.version + 1), _Batch()
            changes = difference(wanted, before.tally)
        batch.add(image_id, before, wanted)
    if batch.images:
        yield batch


def difference(after: Tally, before: Tally) -> Tally:
    """What has to be added to get from one tally to the other; negative where there is less."""
    changes = {name: after[name] - before[name] for name in (*after, *before)}
    return Counter({name: number for name, number in changes.items() if number})


def sum_of(tally: Tally, changes: Tally) -> Tally:
    """A tally after changes."""
    names = (*tally, *changes)
    return Counter({name: tally[name] + changes[name] for name in names if tally[name] + changes[name]})


def counter_key(name: str) -> str:
    """Sort key of the counter of a tally's name: `label:Cat` -> `label#cat`."""
    group, _, shown = name.partition(":")
    return f"{group}#{folded(shown)}"


def _by_counter(deltas: Tally) -> list[tuple[str, str, int]]:
    """Sort key, name as shown and number for each counter that changes."""
    found: dict[str, tuple[str, int]] = {}
    for name, number in deltas.items():
        key = counter_key(name)
        found[key] = (name.partition(":")[2], found.get(key, ("", 0))[1] + number)
    return [(key, name, number) for key, (name, number) in found.items() if number]


def _image_key(image_id: str) -> Record:
    return {"pk": f"image#{image_id}", "sk": "counted"}


def _band(percent: int) -> int:
    """`90` is 90 to 100: exactly 100 % is no band of its own."""
    return min(percent // _BAND_STEP * _BAND_STEP, 100 - _BAND_STEP)
