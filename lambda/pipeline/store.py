"""The table of image records: claims on images, and the records themselves with their postings.

                 claim                       finish
    (nothing) ────────▶ item with a Claim ────────▶ item with a Status (the record), without Claim
                 ▲            │  release                     │
                 └────────────┘◀─────────── claim ───────────┘   (a newer upload, or other settings)

    any of these ──bury──▶ item with the Status DELETED: a tombstone, until DynamoDB expires it

A checkpoint keeps what an attempt has got so far in the attribute `Progress` of the same item, for the next
attempt at the same upload; finishing replaces the whole item and thus ends it.

A claim stands in the attribute `Claim` of the image's own item, so that claiming and finishing are conditional
writes of one item; finishing writes the postings (see postings.py) in the same transaction. An item without
`Status` is no record: readers skip it.

The way of nearly every image is one write to claim and one to finish. Only where the image is known already
does the refused claim bring the item back, and a second write claims it on condition that it did not change
meanwhile.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline import postings, transactions
from pipeline.errors import ClaimLostError, ImageBusyError
from pipeline.ordering import Claim, Known, Position, Verdict, judge
from pipeline.postings import Indexed
from pipeline.records import Item, Record, Status, fit, from_item, to_attribute, to_item

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_dynamodb import DynamoDBClient

    from pipeline.postings import Index

_CLAIM_ATTEMPTS = 4
"""So often a claim is tried while others change the item in between."""
_NAMES = {"#claim": "Claim", "#token": "Token"}
"""`Token` is a reserved word of DynamoDB's expressions."""
_IS_MINE = "#claim.#token = :token"
_logger = logging.getLogger(__name__)
_BESIDE = frozenset({"Claim", "Progress", postings.ATTRIBUTE})
"""Attributes of an item that are no part of the record."""


class Store:
    """Claims and records of images in one table.

    Args:
        client: DynamoDB.
        table: the table's name.
        index: where the postings go.
        settings: fingerprint of the settings that new records are made with.
        now_ms: the clock, epoch milliseconds.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        index: Index,
        settings: str,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._client = client
        self._table = table
        self._index = index
        self._settings = settings
        self._now_ms = now_ms

    def claim(self, image_id: str, position: Position, *, owner: str, lease_ms: int) -> Claim | Verdict:
        """Try to become the one who analyses an upload.

        Args:
            image_id: key of the object.
            position: which upload of it.
            owner: request id of the invocation.
            lease_ms: how long the invocation may still run.

        Returns:
            The claim, or the verdict why there is nothing to do (`DUPLICATE`, `OUTDATED`).

        Raises:
            ImageBusyError: somebody else analyses this very upload, or the item kept changing.
        """
        claim = Claim(owner, uuid.uuid4().hex, self._now_ms() + lease_ms, position)
        known: Known | None = None
        for _ in range(_CLAIM_ATTEMPTS):
            known = self._try_to_claim(image_id, claim, expected=known)
            if known is None:
                return claim
            if known.progress_of == self._identity(position):
                claim = replace(claim, progress=known.progress)
            claim = replace(claim, replaces=known.indexed, after_delete=known.is_deleted)
            verdict = judge(known, position, settings=self._settings, owner=owner, now_ms=self._now_ms())
            if verdict is Verdict.BUSY:
                break
            if verdict is not Verdict.PROCEED:
                return verdict
        raise ImageBusyError(f"{image_id} is being analysed by another invocation")

    def checkpoint(self, image_id: str, claim: Claim, progress: bytes) -> None:
        """Keep what an attempt has got so far; the next claim on the same upload brings it back.

        Where the item would pass DynamoDB's 400 KB the checkpoint is left out: an attempt after a crash then
        asks once more.

        Raises:
            ClaimLostError: a newer event took the image over.
        """
        kept = {"Of": self._identity(claim.position), "Answers": progress}
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"ImageID": {"S": image_id}},
                UpdateExpression="SET Progress = :progress",
                ConditionExpression=_IS_MINE,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":token": {"S": claim.token},
                    ":progress": to_attribute(kept),
                },
            )
        except ClientError as error:
            if _is_refused_condition(error):
                raise ClaimLostError(f"{image_id} was taken over by a newer event") from error
            if not _is_too_large(error):
                raise
            _logger.warning("no checkpoint of %s: %d bytes do not fit", image_id, len(progress))

    def finish(self, record: Record, claim: Claim) -> None:
        """Put the record in the place of the claim, and its postings in the place of those before.

        Raises:
            ClaimLostError: a newer event took the image over, or the claim had ended and another one
                finished.
            ClientError: DynamoDB refuses or cannot answer now; nothing was written.
        """
        indexed = postings.index_of(record, shards=self._index.shards)
        put = {
            "TableName": self._table,
            "Item": {**to_item(fit(record)), postings.ATTRIBUTE: indexed.to_attribute()},
            "ConditionExpression": _IS_MINE,
            "ExpressionAttributeNames": _NAMES,
            "ExpressionAttributeValues": {":token": {"S": claim.token}},
        }
        changes = postings.changes(record, indexed, claim.replaces, self._index)
        try:
            transactions.write(self._client, [{"Put": put}, *changes])
        except transactions.ConditionRefusedError as refused:
            raise ClaimLostError(f"{record['ImageID']} was taken over by a newer event") from refused

    def look(self, image_id: str) -> Known:
        """What the table holds of an image now."""
        item = self._item(image_id)
        return _known(from_item(item) if item else {})

    def bury(self, tombstone: Record, known: Known) -> bool:
        """Put a tombstone in the place of record and claim, and remove the postings.

        Args:
            tombstone: see `records.deleted`.
            known: what the table was seen to hold.

        Returns:
            Whether that was still so; if not, nothing was written.
        """
        condition, values = _unchanged(known)
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": to_item(tombstone),
            "ConditionExpression": condition,
        }
        names = {name: attribute for name, attribute in _NAMES.items() if name in condition}
        if names:
            put["ExpressionAttributeNames"] = names
        if values:
            put["ExpressionAttributeValues"] = values
        try:
            transactions.write(self._client, [{"Put": put}, *postings.removals(known.indexed, self._index)])
        except transactions.ConditionRefusedError:
            return False
        return True

    def release(self, image_id: str, claim: Claim) -> None:
        """Give a claim back, so that nobody need wait until it ends. One that is lost stays as it is."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"ImageID": {"S": image_id}},
                UpdateExpression="REMOVE #claim",
                ConditionExpression=_IS_MINE,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={":token": {"S": claim.token}},
            )
        except ClientError as error:
            if not _is_refused_condition(error):
                raise

    def read(self, image_id: str) -> Record | None:
        """The current record, None where there is none."""
        item = self._item(image_id)
        if item is None or "Status" not in item:
            return None
        return record_of(item)

    def _try_to_claim(self, image_id: str, claim: Claim, *, expected: Known | None) -> Known | None:
        """Write the claim if the item is as expected (None: absent); otherwise say what the table holds."""
        condition, values = _unchanged(expected)
        names = _NAMES if "#token" in condition else {"#claim": "Claim"}  # an unused name is refused
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"ImageID": {"S": image_id}},
                UpdateExpression="SET #claim = :claim",
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":claim": to_attribute(_claim_fields(claim)), **values},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not _is_refused_condition(error):
                raise
            old: Any = error.response.get("Item")
            item = old or self._item(image_id)
            return _known(from_item(item) if item else {})
        return None

    def _identity(self, position: Position) -> str:
        """What a checkpoint belongs to: these bytes, analysed with these settings."""
        return f"{position.etag} {position.version_id or '-'} {self._settings}"

    def _item(self, image_id: str) -> dict[str, Any] | None:
        answer = self._client.get_item(
            TableName=self._table, Key={"ImageID": {"S": image_id}}, ConsistentRead=True
        )
        return dict(answer["Item"]) if "Item" in answer else None


def record_of(item: Item) -> Record:
    """The record that an item holds, without what is kept there beside it."""
    return from_item({name: value for name, value in item.items() if name not in _BESIDE})


def _unchanged(expected: Known | None) -> tuple[str, dict[str, Any]]:
    """The condition that an item is still as it was seen: the same claim or none, the same record or none."""
    if expected is None:
        return "attribute_not_exists(ImageID)", {}
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if expected.claim is None:
        conditions.append("attribute_not_exists(#claim)")
    else:
        conditions.append(_IS_MINE)
        values[":token"] = {"S": expected.claim.token}
    if expected.position is None:
        conditions.append("attribute_not_exists(TaggedAt)")
    else:
        conditions.append("TaggedAt = :revision")
        values[":revision"] = {"S": expected.revision}
    return " AND ".join(conditions), values


def _known(fields: Record) -> Known:
    has_record = "Status" in fields
    progress = fields.get("Progress", {})
    return Known(
        position=_position(fields) if has_record else None,
        settings=fields.get("Settings", ""),
        revision=fields.get("TaggedAt", ""),
        claim=_claim(fields["Claim"]) if "Claim" in fields else None,
        progress=progress.get("Answers"),
        progress_of=progress.get("Of", ""),
        indexed=Indexed.from_fields(fields.get(postings.ATTRIBUTE)),
        is_deleted=fields.get("Status") == Status.DELETED,
    )


def _position(fields: Record) -> Position:
    return Position(
        sequencer=fields.get("Sequencer"),
        uploaded_at=fields.get("UploadedAt", ""),
        etag=fields.get("ETag", ""),
        version_id=fields.get("VersionId"),
    )


def _claim(fields: Record) -> Claim:
    return Claim(fields["Owner"], fields["Token"], fields["UntilMs"], _position(fields))


def _claim_fields(claim: Claim) -> Record:
    position = claim.position
    fields = {
        "Owner": claim.owner,
        "Token": claim.token,
        "UntilMs": claim.until_ms,
        "Sequencer": position.sequencer,
        "UploadedAt": position.uploaded_at,
        "ETag": position.etag,
        "VersionId": position.version_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _is_refused_condition(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _is_too_large(error: ClientError) -> bool:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html (item size)"""
    said = error.response["Error"]
    return said["Code"] == "ValidationException" and "size" in said.get("Message", "").lower()
