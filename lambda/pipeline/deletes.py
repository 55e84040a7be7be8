"""What happens to an image whose object was removed from the bucket.

    1. GetItem             what is known of the image
    2. HeadObject          is there still, or again, an object under its key?
    3. TransactWriteItems  no: a tombstone in the place of record and claim, and the postings gone, if 1 still holds
    4. DeleteObject        the JSON file

The bucket decides and not the event: where an object is there (it was uploaded again, an older version was removed, or
a delete marker), that object is made the current one. So a removal may come twice, late or before the upload that it is
about. The tombstone keeps a late event of the deleted upload from bringing the image back; DynamoDB expires it after
`TOMBSTONE_DAYS`, longer than any event can wait (6 hours in Lambda and 14 days in the dead-letter queue).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline import images, records
from pipeline.errors import ImageBusyError
from pipeline.events import Upload
from pipeline.ordering import Order, Position, iso_utc, whole_second
from pipeline.tagging import Outcome, Result

if TYPE_CHECKING:
    from pipeline.events import Removal
    from pipeline.ordering import Known
    from pipeline.tagging import Tagger

TOMBSTONE_DAYS = 30
_ATTEMPTS = 4
"""So often it is tried while others change the item in between."""


@dataclass(frozen=True, slots=True)
class Remover:
    """Removes what is kept of images, one at a time; `tagger` holds the clients and brings back what is there."""

    tagger: Tagger

    def remove(self, removal: Removal, *, owner: str, lease_ms: int) -> Result:
        """Make what is kept of an image agree with the bucket after something was removed from there.

        Args:
            removal: what the event says.
            owner: request id of the invocation.
            lease_ms: how long the invocation may still run.

        Raises:
            ImageBusyError, ClientError, BotoCoreError: it may succeed later; Lambda is to try again.
        """
        tagger = self.tagger
        for _ in range(_ATTEMPTS):
            known = tagger.store.look(removal.key)
            present = images.current(tagger.s3, removal.bucket, removal.key)
            if present is not None:
                return self._bring_back(present, removal, known, owner=owner, lease_ms=lease_ms)
            if known.is_deleted or tagger.store.bury(self._tombstone(removal, known), known):
                tagger.discard(removal.bucket, removal.key)
                return Result(Outcome.DELETED)
        raise ImageBusyError(f"what is kept of {removal.key} keeps changing")

    def _bring_back(
        self, present: Upload, removal: Removal, known: Known, *, owner: str, lease_ms: int
    ) -> Result:
        """An object is there: nothing is to do, or it is analysed, when the record is not of this one."""
        if known.position and (known.position.etag, known.position.version_id) == (
            present.etag,
            present.version_id,
        ):
            return Result(Outcome.OUTDATED)
        upload = Upload(
            present.bucket,
            present.key,
            present.etag,
            present.version_id,
            removal.sequencer,
            removal.event_time,
        )
        return self.tagger.tag(upload, owner=owner, lease_ms=lease_ms)

    def _tombstone(self, removal: Removal, known: Known) -> records.Record:
        now = self.tagger.clock.now()
        position = Position(
            sequencer=removal.sequencer,
            # S3 tells the time of an upload in whole seconds: one of the same second must not count as older
            uploaded_at=whole_second(removal.event_time or iso_utc(now)),
            etag="",
            version_id=removal.version_id,
        )
        if known.position is not None and position.compared_to(known.position) is Order.OLDER:
            position = known.position  # the removal of something older, but nothing is there any more
        return records.deleted(
            removal.bucket,
            removal.key,
            position,
            at=iso_utc(now),
            expires_at_s=int((now + timedelta(days=TOMBSTONE_DAYS)).timestamp()),
        )
