"""S3 events: which uploads and removals they are about, and which of those concern an image.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.data_classes.s3_event import S3Event

from pipeline.settings import WRITTEN_PREFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord


_REMOVALS = ("ObjectRemoved:", "LifecycleExpiration:")
"""The second kind is sent where a lifecycle rule of the bucket removes objects, if somebody subscribes to it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One object that was created, as an event tells it.

    `etag`, `version_id` and `sequencer` are None where the event does not say: an event made by hand names
    only bucket and key, and a bucket without versions has no version id (S3 writes `null` for a suspended
    one). `event_time` is when S3 took the object in, ISO 8601.
    """

    bucket: str
    key: str
    etag: str | None = None
    version_id: str | None = None
    sequencer: str | None = None
    event_time: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Removal:
    """One object, version or delete marker that was removed, as an event tells it; see `Upload`."""

    bucket: str
    key: str
    version_id: str | None = None
    sequencer: str | None = None
    event_time: str | None = field(default=None, compare=False)


def changes_in(event: Mapping[str, Any], *, trigger_prefix: str) -> list[Upload | Removal]:
    """The uploads and removals of images that an event tells, in its order.

    Left out: S3's test event, folder markers (a key that ends in `/`), keys outside the trigger prefix, and what
    the functions write themselves.
    """
    if "Records" not in event:
        return []  # S3 sends {"Event": "s3:TestEvent"} when a notification is configured
    changes = [_change(record) for record in S3Event(dict(event)).records if record.event_source == "aws:s3"]
    return [it for it in changes if it and is_analysable(it.key, trigger_prefix=trigger_prefix)]


def uploads_in(event: Mapping[str, Any], *, trigger_prefix: str) -> list[Upload]:
    """The uploads of an event that are to be analysed, in the event's order."""
    return [it for it in changes_in(event, trigger_prefix=trigger_prefix) if isinstance(it, Upload)]


def is_analysable(key: str, *, trigger_prefix: str) -> bool:
    """Whether an object of this key is an image to analyse, judged by its name alone."""
    return key.startswith(trigger_prefix) and not key.endswith("/") and not key.startswith(WRITTEN_PREFIXES)


def _change(record: S3EventRecord) -> Upload | Removal | None:
    described = record["s3"]["object"]
    version_id = described.get("versionId")
    common: dict[str, Any] = {
        "bucket": record.s3.bucket.name,
        # S3 encodes keys like form values: `+` is a space, `%2B` a plus, and `%252F` the three characters
        # `%2F`.
        "key": unquote_plus(record.s3.get_object.key),
        "version_id": None if version_id in (None, "", "null") else version_id,
        "sequencer": described.get("sequencer") or None,
        "event_time": record.get("eventTime") or None,
    }
    if record.event_name.startswith("ObjectCreated:"):
        return Upload(**common, etag=described.get("eTag") or None)
    if record.event_name.startswith(_REMOVALS):
        return Removal(**common)
    return None
