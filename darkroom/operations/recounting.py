"""The statistics made true to the records again: after a crash, or where a stop cut off what was to be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    import boto3
    from types_boto3_dynamodb import DynamoDBClient

_AT_ONCE = 500


class Recounter:
    """Compares records and tallies, and counts again what differs. `pipeline_code.use` must have been called.

    Args:
        session: access to the engine.
        images_table: table of the records.
        statistics_table: table of the counters.
        progress: told now and then how far it is.
    """

    def __init__(
        self,
        session: boto3.Session,
        *,
        images_table: str,
        statistics_table: str,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client: DynamoDBClient = session.client("dynamodb")
        self._images_table = images_table
        self._statistics_table = statistics_table
        self._progress = progress

    def run(self) -> int:
        """Count what differs; returns how many images that were. May be run at any time, and again."""
        from pipeline.counting import Counting

        counting = Counting(
            self._client, images_table=self._images_table, statistics_table=self._statistics_table, slot=0
        )
        wanted, counted = dict(self._wanted()), dict(self._counted())
        keys = sorted(key for key in wanted.keys() | counted.keys() if wanted.get(key) != counted.get(key))
        for start in range(0, len(keys), _AT_ONCE):
            counting.count(keys[start : start + _AT_ONCE])
            self._progress(f"counting images: {min(start + _AT_ONCE, len(keys))} of {len(keys)}")
        return len(keys)

    def _wanted(self) -> Iterator[tuple[str, Counter[str]]]:
        from pipeline.counting import tally_of
        from pipeline.postings import ATTRIBUTE, Indexed

        names = {"#indexed": ATTRIBUTE}
        for fields in self._scan(
            self._images_table,
            ProjectionExpression="ImageID, #indexed",
            FilterExpression="attribute_exists(#indexed)",
            ExpressionAttributeNames=names,
        ):
            yield fields["ImageID"], tally_of(Indexed.from_fields(fields[ATTRIBUTE]))

    def _counted(self) -> Iterator[tuple[str, Counter[str]]]:
        from collections import Counter

        for fields in self._scan(
            self._statistics_table,
            FilterExpression="sk = :counted",
            ExpressionAttributeValues={":counted": {"S": "counted"}},
        ):
            yield fields["pk"].partition("#")[2], Counter(fields["Tally"])

    def _scan(self, table: str, **options: Any) -> Iterator[dict[str, Any]]:
        from pipeline.records import from_item

        pages: Any = self._client.get_paginator("scan")
        for page in pages.paginate(TableName=table, ConsistentRead=True, **options):
            for item in page["Items"]:
                yield from_item(item)
