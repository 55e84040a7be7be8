"""The steps for one image, in an order that heals after a crash at any point.

    1. GetObject                 is it there, is it the one that the event means; its bytes come in step 3
    2. UpdateItem                claim it; a duplicate or an older event ends here
    3. decode                    what is it, how large is the picture; its preview; conversion where it is needed
    4. DetectLabels and others   the only step that costs noticeable money: side by side, answers kept as they come
    5. PutObject                 the preview, then the JSON file
    6. TransactWriteItems        the record, in the claim's place, and its postings; only this makes it count as done

A crash before step 6 leaves a claim; the next attempt does all steps again but asks only the analysers that
are not answered yet. A crashed attempt thus costs at most one call of those that were under way, and JSON file
and record agree in the end.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pipeline import documents, images, previews, records
from pipeline.answers import Answers, pack, unpack
from pipeline.errors import ClaimLostError, ImageRefusedError, ObjectGoneError, ObjectReplacedError
from pipeline.events import Upload
from pipeline.ordering import Claim, Verdict, iso_utc
from pipeline.preparing import Prepared, prepare, prepare_head
from pipeline.records import Record, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_rekognition.type_defs import ImageTypeDef
    from types_boto3_s3 import S3Client

    from pipeline.alerts import Alerts
    from pipeline.analysis import Analysis
    from pipeline.images import Download, StoredImage
    from pipeline.settings import Settings
    from pipeline.store import Store


class Outcome(StrEnum):
    """What became of one upload."""

    TAGGED = "tagged"
    PARTIAL = "partial"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    OUTDATED = "outdated"
    GONE = "gone"
    DELETED = "deleted"


_EMPTY = ImageRefusedError("EmptyObject", "The file is empty (0 bytes), so there is nothing to recognise.")


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one upload, and the record if one was written."""

    outcome: Outcome
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks: what time it is, and how long something takes."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    elapsed_s: Callable[[], float] = time.perf_counter


@dataclass(frozen=True, slots=True)
class Tagger:
    """Analyses uploads, one at a time."""

    s3: S3Client
    analysis: Analysis
    store: Store
    settings: Settings
    clock: Clock = Clock()
    alerts: Alerts | None = None

    def tag(self, upload: Upload, *, owner: str, lease_ms: int) -> Result:
        """Analyse one upload, unless that is done already or pointless by now.

        Args:
            upload: what the event says.
            owner: request id of the invocation.
            lease_ms: how long the invocation may still run.

        Raises:
            ImageBusyError, ClientError, BotoCoreError: it may succeed later; Lambda is to try again.
        """
        started_s = self.clock.elapsed_s()
        try:
            with images.fetch(self.s3, upload) as download:
                return self._tag(download, upload, owner=owner, lease_ms=lease_ms, started_s=started_s)
        except ObjectGoneError:
            return self._without_leftovers(upload, Outcome.GONE)
        except ObjectReplacedError:
            return Result(Outcome.OUTDATED)

    def _tag(
        self, download: Download, upload: Upload, *, owner: str, lease_ms: int, started_s: float
    ) -> Result:
        """Claim an object that is there, and analyse it if that is to be done."""
        image = download.image
        claim = self.store.claim(image.key, image.position, owner=owner, lease_ms=lease_ms)
        if claim is Verdict.OUTDATED:
            return self._without_leftovers(upload, Outcome.OUTDATED)
        if isinstance(claim, Verdict):
            return Result(Outcome.DUPLICATE)
        if claim.after_delete and not self._is_there_again(image):
            self.store.release(image.key, claim)
            return self._without_leftovers(upload, Outcome.GONE)
        return self._keep_or_release(download, claim, started_s)

    def discard(self, bucket: str, key: str) -> None:
        """Delete the files of an image that is deleted, unless it is there again by now.

        Raises:
            ClientError: S3 or DynamoDB refuses or cannot answer now.
        """
        prefix = self.settings.trigger_prefix
        documents.remove(self.s3, bucket, key, trigger_prefix=prefix)
        previews.remove(self.s3, bucket, key, trigger_prefix=prefix)
        current = self.store.read(key)
        if current is not None and current["Status"] != Status.DELETED:
            self._write_again(current)

    def _is_there_again(self, image: StoredImage) -> bool:
        """Whether an object that follows a deletion lies in the bucket: an older event may come after that."""
        present = images.current(self.s3, image.bucket, image.key)
        return present is not None and present.etag == image.position.etag

    def _without_leftovers(self, upload: Upload, outcome: Outcome) -> Result:
        """Nothing is to do, but an attempt that crashed may have written a file after the image was deleted."""
        if self.store.look(upload.key).is_deleted:
            self.discard(upload.bucket, upload.key)
        return Result(outcome)

    def _keep_or_release(self, download: Download, claim: Claim, started_s: float) -> Result:
        """Analyse and keep; whatever goes wrong, the claim does not stand in the way of the next attempt."""
        image = download.image
        try:
            record = self._analyse(download, claim, started_s)
            documents.write(self.s3, record, trigger_prefix=self.settings.trigger_prefix)
            if self.alerts is not None:
                self.alerts.tell(record)  # before the end: an attempt that crashes here tells again
            self.store.finish(record, claim)
        except ClaimLostError:
            self._restore(image)
            return Result(Outcome.OUTDATED)
        except ObjectGoneError:
            self.store.release(image.key, claim)
            return Result(Outcome.GONE)
        except BaseException as error:
            self._release_after(error, image.key, claim)
            raise
        return Result(Outcome(record["Status"].lower()), record)

    def _analyse(self, download: Download, claim: Claim, started_s: float) -> Record:
        """The record of an image, whether it is accepted or not; its preview is in the bucket then.

        Raises:
            ObjectGoneError: the object was deleted meanwhile.
        """
        image, analyzers = download.image, self.settings.analyzers
        try:
            prepared = self._prepared(download)
        except ImageRefusedError as refusal:
            return records.failed(image, Prepared(), refusal, analyzers, **self._common_fields(started_s))
        answers = self.analysis.answers(
            _as_rekognition_takes_it(image, prepared),
            known=unpack(claim.progress) if claim.progress else {},
            trust=prepared.trust,
            checkpoint=lambda so_far: self.store.checkpoint(image.key, claim, pack(so_far)),
        )
        if _cannot_be_read(answers) and not images.exists(self.s3, image):
            raise ObjectGoneError(f"{image.key} was deleted while it was analysed")
        preview = self._write_preview(image, prepared)
        common = self._common_fields(started_s)
        return records.analysed(image, prepared, answers, analyzers, PreviewKey=preview, **common)

    def _prepared(self, download: Download) -> Prepared:
        if download.image.size_bytes == 0:
            raise _EMPTY
        content = download.read()
        return (
            prepare(content, convert=self.settings.convert_images)
            if download.is_whole
            else prepare_head(content)
        )

    def _write_preview(self, image: StoredImage, prepared: Prepared) -> str | None:
        """Key of the preview that was put, None where there is none."""
        if prepared.preview is None:
            return None
        key = previews.preview_key(image.key, trigger_prefix=self.settings.trigger_prefix)
        previews.write(self.s3, bucket=image.bucket, key=key, content=prepared.preview)
        return key

    def _common_fields(self, started_s: float) -> dict[str, object]:
        return {
            "Settings": self.settings.fingerprint,
            "TaggedAt": iso_utc(self.clock.now()),
            "DurationMs": round((self.clock.elapsed_s() - started_s) * 1000),
        }

    def _restore(self, image: StoredImage) -> None:
        """File and preview of the image may now be ours, which are the older ones: write those of its record."""
        current = self.store.read(image.key)
        if current is None:
            return
        if current["Status"] == Status.DELETED:
            self.discard(image.bucket, image.key)
        else:
            self._write_again(current)

    def _write_again(self, record: Record) -> None:
        """Put file and preview of a record. Where its object has gone meanwhile, the event of that does the rest."""
        documents.write(self.s3, record, trigger_prefix=self.settings.trigger_prefix)
        if "PreviewKey" not in record:
            return
        upload = Upload(record["S3Bucket"], record["S3Key"], record.get("ETag"), record.get("VersionId"))
        with suppress(ObjectGoneError, ObjectReplacedError), images.fetch(self.s3, upload) as download:
            self._write_preview(download.image, self._prepared(download))

    def _release_after(self, error: BaseException, image_id: str, claim: Claim) -> None:
        """Release a claim because of an error; that error is what the caller is told, not a second one."""
        try:
            self.store.release(image_id, claim)
        except (ClientError, BotoCoreError) as second:
            error.add_note(f"and the claim on {image_id} could not be released: {second}")


def _as_rekognition_takes_it(image: StoredImage, prepared: Prepared) -> ImageTypeDef:
    """The converted picture where there is one, else the object."""
    if prepared.conversion is not None:
        return {"Bytes": prepared.conversion.content}
    return {"S3Object": image.s3_object()}


def _cannot_be_read(answers: Answers) -> bool:
    return any(answer.error_code == "InvalidS3ObjectException" for answer in answers.values())
