"""Which of two events about one key is the newer one, and what an invocation may do with an image.

S3 delivers events more than once and out of order. The sequencer tells the order of the events of one key:
"right pad the shorter value with zeros, and then do a lexicographical comparison"
(https://repost.aws/knowledge-center/s3-duplicate-sqs-messages). Padding with the smallest digit up to equal
length orders as comparing without trailing zeros does, so no length has to be agreed on. Where a side has no
sequencer (an event made by hand) or both have the same one (some engines send a constant), the time of the
upload decides, then whether the bytes are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.postings import Indexed


class Order(Enum):
    """How one position stands to another."""

    OLDER = auto()
    SAME = auto()
    NEWER = auto()


@dataclass(frozen=True, slots=True)
class Position:
    """Where an upload stands in the history of its key.

    `uploaded_at` is ISO 8601 in UTC, so that text order is time order; S3 tells whole seconds.
    """

    sequencer: str | None
    uploaded_at: str
    etag: str
    version_id: str | None = None

    def compared_to(self, other: Position) -> Order:
        """How this upload stands to another one of the same key.

        Two uploads of one second with different bytes and no sequencer between them cannot be ordered; the
        one that asks counts as newer, because it has just been read from the bucket.
        """
        if self.sequencer and other.sequencer:
            mine, theirs = _canonical(self.sequencer), _canonical(other.sequencer)
            if mine != theirs:
                return Order.NEWER if mine > theirs else Order.OLDER
        other_version = self.version_id and other.version_id and self.version_id != other.version_id
        if self.etag == other.etag and not other_version:
            return Order.SAME
        return Order.OLDER if self.uploaded_at < other.uploaded_at else Order.NEWER

    def is_same_content(self, other: Position) -> bool:
        """Whether both are the same version or, where the bucket keeps none, the same bytes by their ETag."""
        return bool(self.etag) and self.etag == other.etag and self.version_id == other.version_id


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on an image: whoever holds it analyses the image, so that at most one invocation pays.

    It ends by itself when the invocation that took it cannot run any more (`until_ms`, epoch milliseconds:
    the deadline that Lambda gave the invocation). `owner` is the request id, which Lambda keeps when it tries
    again: the next attempt takes over what a crashed one left behind, without waiting. `token` is new for
    every attempt. `progress` is what an earlier attempt at the same upload kept by a checkpoint.
    `replaces` is how the record that was there is indexed: it cannot change while the claim is held, and is not
    written with it. `after_delete` says that it was a tombstone.
    """

    owner: str
    token: str
    until_ms: int
    position: Position
    progress: bytes | None = None
    replaces: Indexed | None = None
    after_delete: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the table holds of an image. Without a `position` there is no record yet, only a claim, if that.

    `progress` is the last checkpoint, and `progress_of` the upload and settings that it belongs to.
    """

    position: Position | None
    settings: str
    revision: str
    claim: Claim | None
    progress: bytes | None = None
    progress_of: str = ""
    indexed: Indexed | None = None
    is_deleted: bool = False


class Verdict(Enum):
    """What an invocation may do with an image."""

    PROCEED = auto()
    DUPLICATE = auto()
    """The record is of this very upload, or of one of the same content, made with these settings."""
    OUTDATED = auto()
    """A newer upload has a record or is being analysed."""
    BUSY = auto()
    """Another invocation analyses this very upload."""


def judge(known: Known, wanted: Position, *, settings: str, owner: str, now_ms: int) -> Verdict:
    """What an invocation may do, given what the table holds."""
    if known.position is not None:
        order = wanted.compared_to(known.position)
        if order is Order.OLDER:
            return Verdict.OUTDATED
        is_same = order is Order.SAME or wanted.is_same_content(known.position)
        if is_same and settings == known.settings:
            return Verdict.DUPLICATE
    claim = known.claim
    if claim is None or claim.until_ms <= now_ms or claim.owner == owner:
        return Verdict.PROCEED
    return {
        Order.OLDER: Verdict.OUTDATED,
        Order.SAME: Verdict.BUSY,
        Order.NEWER: Verdict.PROCEED,
    }[wanted.compared_to(claim.position)]


def iso_utc(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC with milliseconds: text that sorts by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole_second(text: str) -> str:
    """The second of a moment in ISO 8601 (UTC), with milliseconds 0."""
    return f"{text[:19]}.000Z"


def _canonical(sequencer: str) -> str:
    return sequencer.upper().rstrip("0")
