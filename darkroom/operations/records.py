"""Reading the records of images."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.errors import NotFoundError, NotRunningError

if TYPE_CHECKING:
    import boto3
    from boto3.dynamodb.types import TypeDeserializer

Record = dict[str, Any]
"""One item of the images table with its documented field names; numbers as int and float."""
UPLOADS = "uploads/"
_BESIDE = frozenset({"Claim", "Progress", "Indexed"})
"""What the functions keep in an item beside the record."""


class Images:
    """The images table of one stack."""

    def __init__(self, session: boto3.Session, *, table: str) -> None:
        self._client = session.client("dynamodb")
        self._table = table

    def get(self, key: str) -> Record | None:
        """The record of an object key, or None."""
        from boto3.dynamodb.types import TypeDeserializer

        answer = self._client.get_item(
            TableName=self._table, Key={"ImageID": {"S": key}}, ConsistentRead=True
        )
        record = _record(TypeDeserializer(), answer.get("Item") or {})
        return record if is_record(record) else None

    def forget_settings(self, key: str) -> None:
        """Have a record count as made with other settings, so that the next event of its image analyses it again.

        It goes on being the image's record until then.
        """
        self._client.update_item(
            TableName=self._table,
            Key={"ImageID": {"S": key}},
            UpdateExpression="SET #settings = :asked",
            ConditionExpression="attribute_exists(#status)",
            ExpressionAttributeNames={"#settings": "Settings", "#status": "Status"},
            ExpressionAttributeValues={":asked": {"S": "asked-again"}},
        )

    def count_roughly(self) -> int:
        """How many records there are; on AWS as of some hours ago."""
        return int(self._client.describe_table(TableName=self._table)["Table"].get("ItemCount", 0))

    def all(self) -> Iterator[Record]:
        """Every record, in no order, page by page.

        Raises:
            NotRunningError: the table is not there.
        """
        from boto3.dynamodb.types import TypeDeserializer

        deserializer = TypeDeserializer()
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        try:
            for page in pages:
                records = (_record(deserializer, item) for item in page["Items"])
                yield from (record for record in records if is_record(record))
        except self._client.exceptions.ResourceNotFoundException:
            raise NotRunningError(
                f"The table {self._table} is not there.", hint="Run `make up`: it deploys what is missing."
            ) from None

    def items(self) -> list[Record]:
        """Every item as it is, of whatever shape: for the table of somebody's own Lambda."""
        from boto3.dynamodb.types import TypeDeserializer

        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        return [_record(TypeDeserializer(), item) for page in pages for item in page["Items"]]

    def newest_first(self) -> list[Record]:
        """Every record, the one tagged last at the top."""
        return sorted(
            self.all(), key=lambda record: (record.get("TaggedAt") or "", record["ImageID"]), reverse=True
        )


def is_record(record: Record) -> bool:
    """Whether an item is a record: not the claim of an analysis under way, nor the tombstone of a deleted image."""
    return record.get("Status") not in (None, "DELETED")


def _record(deserializer: TypeDeserializer, item: Mapping[str, Any]) -> Record:
    record: Record = plain(deserializer.deserialize({"M": item}))
    return {name: value for name, value in record.items() if name not in _BESIDE}


def plain(value: Any) -> Any:
    """DynamoDB's types as JSON's: Decimal becomes int or float, sets become sorted lists."""
    if isinstance(value, Decimal):
        return (
            int(value)
            if value == value.to_integral_value() and value.as_tuple().exponent == 0
            else float(value)
        )
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def find(images: Images, name: str, *, inbox: Path) -> Record:
    """The record that a person means by a file or a key.

    Args:
        images: where to look.
        name: a key, a file in the inbox, a path relative to the inbox, or just a file name.
        inbox: the watched folder.

    Raises:
        NotFoundError: there is none; the message names what is near.
    """
    for key in candidate_keys(name, inbox=inbox):
        record = images.get(key)
        if record is not None:
            return record
    if _in_folder(Path(name), inbox) is not None or (inbox / name).exists():
        raise NotFoundError(
            f"{name} has no record yet.",
            hint="It may be on its way, or left out: see `darkroom status` and `darkroom logs sync`.",
        )
    near = _near(name, [record["ImageID"] for record in images.all()])
    raise NotFoundError(
        f"No image {name!r} is known.",
        hint=f"Did you mean {' or '.join(near)}?" if near else "`darkroom ls` lists the images that are.",
    )


def candidate_keys(name: str, *, inbox: Path) -> Sequence[str]:
    """The keys that a name may stand for, the likeliest first."""
    keys: list[str] = []
    relative = _in_folder(Path(name), inbox)
    if relative is not None:
        keys.append(UPLOADS + relative)
    if name.startswith(UPLOADS):
        keys.append(name)
    keys += [UPLOADS + name.removeprefix("./"), name, UPLOADS + Path(name).name]
    return list(dict.fromkeys(keys))


def _in_folder(path: Path, folder: Path) -> str | None:
    try:
        return path.absolute().relative_to(folder).as_posix() if path.exists() else None
    except ValueError:
        return None


def _near(name: str, keys: Sequence[str]) -> list[str]:
    by_name = {Path(key).name: key for key in keys}
    found = difflib.get_close_matches(Path(name).name, list(by_name), n=2, cutoff=0.5)
    return [by_name[close] for close in found]
