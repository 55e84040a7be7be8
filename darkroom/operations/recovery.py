"""After a crash of the engine: what it forgot is brought back, from what lies on disk.

    1. the stack, where it is missing or old    the template and the code, again
    2. the records and their postings           the JSON files beside the pictures; Rekognition is not asked
    3. uploads without a current record         an event for each, as S3 would send it
       records and files without an upload      likewise, of a removal
    4. the statistics                           the records

`up` does this when the last end was no clean one; while it is up, the keeper runs it as ``python -m
darkroom.operations.recovery`` (settings from the environment) when the engine was restarted. It may be run at any time
and broken off at any point: each step writes only what is missing, and only the end of the last one counts as done.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import filelock

from darkroom.errors import DarkroomError, EngineError
from darkroom.operations import pipeline_code
from darkroom.operations.deployment import Deployed, LocalDeployment, remember, remembered
from darkroom.operations.rebuilding import Known, Place, Rebuilder, Stored
from darkroom.operations.recounting import Recounter

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from darkroom.engine.embedded import EmbeddedEngine
    from darkroom.settings import Settings
    from darkroom.stack import StackOutputs

log = logging.getLogger("darkroom.recovery")
Report = Callable[[str], None]
_LOCK_TIMEOUT_S = 600.0
_UNDER_WAY_S = 20.0
"""How long events that were accepted before the crash may take, before their uploads are sent again."""
_POLL_S = 0.2
_ROUNDS = 5
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery did.

    Attributes:
        deployed: whether the stack was missing or older than the last deployment.
        records: records rebuilt from JSON files.
        sent: uploads that are analysed again.
        removed: images whose upload is gone; their record or JSON file goes, too.
        duration_s: how long it took.
    """

    deployed: bool
    records: int
    sent: int
    removed: int
    duration_s: float

    def __str__(self) -> str:
        parts = ["deployed the stack again"] if self.deployed else []
        parts.append(f"{_count(self.records, 'record')} rebuilt from JSON files")
        if self.sent:
            parts.append(f"{_count(self.sent, 'upload')} sent to the tagger again")
        if self.removed:
            parts.append(f"{_count(self.removed, 'image')} without an upload removed")
        return f"recovered from a crash in {self.duration_s:.1f} s: {', '.join(parts)}"


class Recovery:
    """Recovers one environment.

    Args:
        settings: of the environment.
        engine: its engine; it runs.
        report: told each step.
    """

    def __init__(self, settings: Settings, engine: EmbeddedEngine, report: Report) -> None:
        self._settings = settings
        self._engine = engine
        self._report = report

    def run(self) -> Recovered | None:
        """Recover unless the engine holds everything; None when there was nothing to do.

        Raises:
            DarkroomError: the engine is away, or crashed again and again meanwhile.
        """
        with exclusive(self._settings.home):
            if self._engine.is_complete():
                return None
            for _ in range(_ROUNDS):
                self._engine.wait_ready()
                run = self._engine.engine_run()
                done = self._once()
                if run is not None and run == self._engine.engine_run():
                    self._engine.note_complete(run)
                    return done
            raise EngineError(
                "The engine dies again and again while it is recovered.", hint="See `darkroom logs engine`."
            )

    def _once(self) -> Recovered:
        started = time.monotonic()
        session = self._engine.session()
        deployed, stack = self._stack(session)
        self._engine.refresh_functions(new_credentials=bool(deployed.changes))
        if deployed.own_function:  # what its records are is not known here: it sees every upload again
            self._let_events_finish()
            uploads = self._uploads(session, stack, deployed)
            self._send(session, stack, uploads)
            return Recovered(bool(deployed.changes), 0, len(uploads), 0, time.monotonic() - started)
        pipeline_code.use(self._settings.project)
        place = place_of(session, stack)
        rebuilder = Rebuilder(
            session,
            place,
            disk=self._engine.layout.objects / self._settings.account / stack.bucket,
            progress=self._report,
        )
        rebuilt = rebuilder.run()
        self._remove(session, stack, rebuilt.gone)
        unsettled = rebuilt.unsettled
        if unsettled:
            self._let_events_finish()
            unsettled = still_unsettled(unsettled, rebuilder.known())
            self._send(session, stack, unsettled)
        recount(session, self._settings, images_table=place.table, report=self._report)
        return Recovered(
            bool(deployed.changes),
            len(rebuilt.written),
            len(unsettled),
            len(rebuilt.gone),
            time.monotonic() - started,
        )

    def _remove(self, session: boto3.Session, stack: StackOutputs, keys: Iterable[str]) -> None:
        """Tell the tagger whose upload is gone: it looks itself, and removes what is left of the image."""
        client = session.client("lambda")
        for number, key in enumerate(sorted(keys)):
            if number < _NAMED:
                self._report(f"{key}: its upload was deleted, so what is kept of it goes, too")
            event = s3_event(stack.bucket, self._settings.region, key, None)
            client.invoke(
                FunctionName=stack.alias_arn, InvocationType="Event", Payload=json.dumps(event).encode()
            )

    def _uploads(self, session: boto3.Session, stack: StackOutputs, deployed: Deployed) -> dict[str, Stored]:
        """Everything in the bucket that starts the function."""
        deployment = LocalDeployment(self._settings, deployed.overrides, preset=deployed.preset)
        prefix = deployment.values()["TriggerPrefix"]
        pages = session.client("s3").get_paginator("list_objects_v2")
        return {
            found["Key"]: Stored(found["ETag"].strip('"'), found["LastModified"])
            for page in pages.paginate(Bucket=stack.bucket, Prefix=prefix)
            for found in page.get("Contents", [])
        }

    def _stack(self, session: boto3.Session) -> tuple[Deployed, StackOutputs]:
        """Deploy the stack as the last `up` did; that is one question where the engine came back with it.

        Returns:
            What had to be deployed, and the stack.
        """
        from darkroom.stack import read_outputs

        path = self._engine.layout.stack
        before = remembered(path) if path.exists() else Deployed("", "", ())
        deployment = LocalDeployment(self._settings, before.overrides, preset=before.preset)
        deployed = deployment.deploy(session, self._report)
        if deployed.changes:
            remember(deployed, path)
        return deployed, read_outputs(session, self._settings.stack)

    def _let_events_finish(self) -> None:
        """Wait for events that the runtime had accepted before: their uploads need no second one."""
        self._report("waiting for the events that were on their way")
        began = time.monotonic()
        while (waited_s := time.monotonic() - began) < _UNDER_WAY_S:
            queue = self._engine.runtime_status().get("queue") or {}
            if queue and (not queue["waiting"] + queue["running"] or queue["oldestAgeSeconds"] < waited_s):
                return
            time.sleep(_POLL_S)

    def _send(self, session: boto3.Session, stack: StackOutputs, uploads: Mapping[str, Stored]) -> None:
        client = session.client("lambda")
        for number, (key, stored) in enumerate(sorted(uploads.items()), start=1):
            event = s3_event(stack.bucket, self._settings.region, key, stored)
            # the alias that S3 itself calls, so that its rules for retries and dead letters hold
            client.invoke(
                FunctionName=stack.alias_arn, InvocationType="Event", Payload=json.dumps(event).encode()
            )
            if number % 100 == 0:
                self._report(f"sending uploads to the tagger: {number} of {len(uploads)}")


@contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """One recovery at a time.

    Raises:
        EngineError: another one goes on and on.
    """
    lock = filelock.FileLock(home / "recovery.lock", timeout=_LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise EngineError(
            f"Another recovery has been at work for {_LOCK_TIMEOUT_S:.0f} s.",
            hint="See `darkroom logs keeper`.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def place_of(session: boto3.Session, stack: StackOutputs) -> Place:
    """Where the tagger reads and writes, by its own configuration."""
    found = session.client("lambda").get_function_configuration(FunctionName=stack.function)
    given = found["Environment"]["Variables"]
    return Place(
        stack.bucket,
        stack.table,
        given.get("TRIGGER_PREFIX", ""),
        given["INDEX_TABLE_NAME"],
        int(given["INDEX_SHARDS"]),
    )


def recount(session: boto3.Session, settings: Settings, *, images_table: str, report: Report) -> None:
    """Make the statistics true to the records."""
    pipeline_code.use(settings.project)
    found = session.client("lambda").get_function_configuration(FunctionName=f"{settings.stack}-statistics")
    statistics_table = found["Environment"]["Variables"]["STATISTICS_TABLE_NAME"]
    Recounter(session, images_table=images_table, statistics_table=statistics_table, progress=report).run()


def still_unsettled(uploads: Mapping[str, Stored], known: Mapping[str, Known]) -> dict[str, Stored]:
    """Those whose bytes have no record by now."""
    return {key: it for key, it in uploads.items() if known.get(key, Known()).etag != it.etag}


def s3_event(bucket: str, region: str, key: str, stored: Stored | None) -> dict[str, Any]:
    """The event of an upload, or of a removal (None), without a sequencer: the tagger goes by what it finds.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": region,
                "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "eventName": "ObjectCreated:Put" if stored else "ObjectRemoved:Delete",
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"x-amz-request-id": uuid.uuid4().hex[:16].upper()},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "recovery",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {
                        "key": quote_plus(key, safe="/"),
                        **({"eTag": stored.etag} if stored else {}),
                    },
                },
            }
        ]
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def main() -> int:
    """``python -m darkroom.operations.recovery``; returns the exit code."""
    from darkroom.engine.embedded import EmbeddedEngine
    from darkroom.settings import load

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    for noisy in ("botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = load()
        done = Recovery(settings, EmbeddedEngine(settings), lambda line: log.info("%s", line)).run()
    except DarkroomError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 - for a person, without a traceback
        return error.exit_code
    log.info("%s", done or "nothing to recover: the engine holds everything")
    return 0


if __name__ == "__main__":
    sys.exit(main())
