"""A picture's way through the deployed stack: upload, record, JSON file; then everything of it is deleted again."""

from __future__ import annotations

import io
import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError
from PIL import Image, ImageDraw

from darkroom.operations.records import Images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef

    from darkroom.operations.records import Record
    from darkroom.stack import StackOutputs

_T = TypeVar("_T")
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_DELETE_TIMEOUT_S = 20.0
_QUIET_LOOKS = 3
_QUIET_S = 0.5
_LOG_LINES = 12


@dataclass(frozen=True, slots=True)
class Smoke:
    """What the smoke test saw.

    Attributes:
        ok: whether every step passed.
        steps_ms: step -> how long it took, in milliseconds; the step that failed is not there.
        problem: what failed, a sentence; empty where nothing did.
        seen: what there was to see then: the record, dead letters, the end of the function's log.
    """

    ok: bool
    steps_ms: Mapping[str, int]
    problem: str = ""
    seen: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return result


class _FailedError(Exception):
    """A step did not pass."""


class SmokeTest:
    """One run.

    Args:
        session: access to the account.
        outputs: of the stack.
        prefix: where uploads trigger the tagger.
        timeout_s: how long the record may take; a cold start of Lambda and Rekognition take some seconds.
    """

    def __init__(
        self, session: boto3.Session, outputs: StackOutputs, *, prefix: str, timeout_s: float = 60
    ) -> None:
        self._session = session
        self._s3 = session.client("s3")
        self._outputs = outputs
        self._images = Images(session, table=outputs.table)
        self._timeout_s = timeout_s
        self._key = f"{prefix}darkroom-smoke-test-{secrets.token_hex(8)}.jpg"
        self._prefix = prefix
        self._steps_ms: dict[str, int] = {}

    def run(self) -> Smoke:
        """Run it; whatever happens, what it made is deleted."""
        problem, seen = "", {}
        try:
            try:
                self._upload_and_look()
            except (_FailedError, ClientError) as error:
                problem = str(error)
                seen = self._seen()
            finally:
                self._timed("delete", self._clean_up)
        except (_FailedError, ClientError) as error:
            problem = problem or f"The picture could not be deleted: {error}"
        return Smoke(not problem, self._steps_ms, problem, seen)

    def _upload_and_look(self) -> None:
        self._timed("upload", self._upload)
        record: Record = self._timed("record", self._wait_for_record)
        if record["Status"] not in ("TAGGED", "PARTIAL"):
            raise _FailedError(
                f"The picture's record says {record['Status']}: {record.get('ErrorCode')}: {record.get('ErrorMessage')}"
            )
        document = self._timed("json", self._document)
        if document.get("ImageID") != self._key:
            raise _FailedError(
                f"The JSON file is about {document.get('ImageID')!r}, not about {self._key!r}."
            )

    def _timed(self, step: str, call: Callable[[], _T]) -> _T:
        began = time.monotonic()
        result = call()
        self._steps_ms[step] = round((time.monotonic() - began) * 1000)
        return result

    def _upload(self) -> None:
        self._s3.put_object(
            Bucket=self._outputs.bucket, Key=self._key, Body=_picture(), ContentType="image/jpeg"
        )

    def _wait_for_record(self) -> Record:
        def look() -> Record | None:
            return self._images.get(self._key)

        record = _wait(look, timeout_s=self._timeout_s)
        if record is None:
            raise _FailedError(f"The picture had no record after {self._timeout_s:.0f} s.")
        return record

    def _document(self) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            try:
                answer = self._s3.get_object(Bucket=self._outputs.bucket, Key=self._document_key)
            except self._s3.exceptions.NoSuchKey:
                return None
            found: dict[str, Any] = json.loads(answer["Body"].read())
            return found

        document = _wait(look, timeout_s=5)
        if document is None:
            raise _FailedError(f"There is a record, but no JSON file {self._document_key}.")
        return document

    @property
    def _document_key(self) -> str:
        return f"metadata/{self._key.removeprefix(self._prefix)}.json"

    def _clean_up(self) -> None:
        """Delete the picture as a user does, give the pipeline the time to follow, then delete what is left of it."""
        self._s3.delete_object(Bucket=self._outputs.bucket, Key=self._key)

        def gone() -> bool | None:
            record = self._images.get(self._key)
            return True if record is None or record["Status"] == "DELETED" else None

        if _follows_deletions(self._session, self._outputs.bucket):
            _wait(gone, timeout_s=_DELETE_TIMEOUT_S)
        if gone() is None:
            self._session.client("dynamodb").delete_item(
                TableName=self._outputs.table, Key={"ImageID": {"S": self._key}}
            )
        self._erase()

    def _erase(self) -> None:
        """Delete every version and marker; each is one more removal that the pipeline follows, so look again."""
        prefixes = (self._key, self._document_key, f"previews/{self._key.removeprefix(self._prefix)}")
        deadline = time.monotonic() + _DELETE_TIMEOUT_S
        quiet = 0
        while quiet < _QUIET_LOOKS:
            found = [self._delete_versions(prefix) for prefix in prefixes]
            quiet = 0 if any(found) else quiet + 1
            if time.monotonic() > deadline:
                raise _FailedError(f"Versions of {self._key} come back as fast as they are deleted.")
            time.sleep(_QUIET_S)

    def _delete_versions(self, prefix: str) -> bool:
        """Whether there was anything to delete."""
        page = self._s3.list_object_versions(Bucket=self._outputs.bucket, Prefix=prefix)
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        doomed: list[ObjectIdentifierTypeDef] = [
            {"Key": it["Key"], "VersionId": it["VersionId"]} for it in entries
        ]
        if doomed:
            self._s3.delete_objects(Bucket=self._outputs.bucket, Delete={"Objects": doomed, "Quiet": True})
        return bool(doomed)

    def _seen(self) -> dict[str, Any]:
        """What helps to understand a failure; that it cannot be read is told too."""
        looks: dict[str, Callable[[], Any]] = {
            "record": lambda: self._images.get(self._key),
            "dead letters": self._dead_letters,
            "log": self._log,
        }
        seen: dict[str, Any] = {}
        for name, look in looks.items():
            try:
                seen[name] = look()
            except ClientError as error:
                seen[name] = str(error)
        return seen

    def _dead_letters(self) -> int:
        attributes = self._session.client("sqs").get_queue_attributes(
            QueueUrl=self._outputs.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    def _log(self) -> list[str]:
        events = self._session.client("logs").filter_log_events(
            logGroupName=self._outputs.log_group,
            startTime=int((time.time() - self._timeout_s - 30) * 1000),
            limit=1000,
        )["events"]
        ordered = sorted(events, key=lambda event: event["timestamp"])
        return [event["message"].rstrip() for event in ordered[-_LOG_LINES:]]


def _follows_deletions(session: boto3.Session, bucket: str) -> bool:
    """Whether the bucket tells anybody that an object was removed."""
    configured = session.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    functions = configured.get("LambdaFunctionConfigurations", [])
    return any(event.startswith("s3:ObjectRemoved") for it in functions for event in it["Events"])


def _wait(look: Callable[[], _T | None], *, timeout_s: float) -> _T | None:
    """Look again and again until there is something, or the time is over."""
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
    return found


def _picture() -> bytes:
    """A small picture that no analysis has ever seen, so that it is really made: a sun over the sea."""
    shade = secrets.randbelow(100)
    image = Image.new("RGB", (320, 240), (120 + shade, 170, 220))
    draw = ImageDraw.Draw(image)
    draw.ellipse((200, 30, 260, 90), fill=(250, 210, 60))
    draw.rectangle((0, 150, 320, 240), fill=(20, 60 + shade, 120))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
