"""One synchronous invocation, with an event from a file or one that S3 would send for an image."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote_plus

from botocore.config import Config
from botocore.exceptions import ClientError

from darkroom.errors import EngineError, NotFoundError, UsageError
from darkroom.operations.records import UPLOADS, candidate_keys
from darkroom.settings import EngineName
from darkroom.sync.content_type import HEAD_BYTES, content_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from darkroom.operations.environment import Environment

_Found = TypeVar("_Found")
_ONCE = Config(read_timeout=960, retries={"total_max_attempts": 1})
"""Longer than a function may run, and never a second time by itself."""
_WAIT_S = 10.0
_POLL_S = 0.05
_SEQUENCER_DIGITS = 18
_SUFFIX_DIGITS = 4
_EARLIEST = "1".zfill(_SEQUENCER_DIGITS)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the bucket, as an event tells it."""

    bucket: str
    key: str
    size_bytes: int
    etag: str
    modified: datetime
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Invoked:
    """What an invocation answered.

    Attributes:
        result: the handler's result, or Lambda's error document when it failed.
        failed: whether the function raised, timed out or did not start.
        log: the last 4 KB of its log.
        version: the version that ran.
    """

    result: Any
    failed: bool
    log: str
    version: str

    @property
    def error(self) -> str:
        """Type and message of the failure, as one line."""
        document = self.result if isinstance(self.result, dict) else {}
        return f"{document.get('errorType', 'Error')}: {document.get('errorMessage', '')}"

    @property
    def stack_trace(self) -> str:
        """Where it was raised, innermost last; empty where Lambda tells none."""
        document = self.result if isinstance(self.result, dict) else {}
        return "\n".join(str(line).rstrip() for line in document.get("stackTrace") or [])

    def as_json(self) -> dict[str, Any]:
        return {"result": self.result, "failed": self.failed, "log": self.log, "version": self.version}


def read_event(source: str) -> Any:
    """The event in a file, or on standard input for ``-``.

    Raises:
        UsageError: it cannot be read or is no JSON; file, line and column are named.
    """
    name = "standard input" if source == "-" else source
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{name}, line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}.",
            hint="An event is a JSON document, for example {}.",
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} is no text in UTF-8.", hint="An event is a JSON document.") from None
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from None


def full_name(function: str, *, stack: str) -> str:
    """A function that is named as in the template (`tagger`) or in full."""
    return function if function.startswith(f"{stack}-") else f"{stack}-{function}"


def invoke(environment: Environment, function: str, event: Any, *, qualifier: str = "") -> Invoked:
    """Invoke a function and wait for its answer.

    Raises:
        NotFoundError: there is no such function; those that there are are named.
        EngineError: Lambda refused the call for another reason.
    """
    client = environment.session().client("lambda", config=_ONCE)
    name = full_name(function, stack=environment.settings.stack)
    options: Any = {"Qualifier": qualifier} if qualifier else {}
    try:
        answer = client.invoke(
            FunctionName=name, Payload=json.dumps(event).encode(), LogType="Tail", **options
        )
    except client.exceptions.ResourceNotFoundException:
        there = ", ".join(function_names(environment)) or "none"
        what = f"{name}:{qualifier}" if qualifier else name
        raise NotFoundError(f"There is no function {what}.", hint=f"There are: {there}.") from None
    except ClientError as error:
        raise EngineError(f"Lambda refused the invocation: {error.response['Error']['Message']}") from None
    payload = answer["Payload"].read()
    return Invoked(
        result=json.loads(payload) if payload else None,
        failed="FunctionError" in answer,
        log=base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace"),
        version=answer.get("ExecutedVersion", ""),
    )


def function_names(environment: Environment) -> list[str]:
    """The stack's functions."""
    prefix = f"{environment.settings.stack}-"
    pages = environment.session().client("lambda").get_paginator("list_functions").paginate()
    names = [each["FunctionName"] for page in pages for each in page["Functions"]]
    return sorted(name for name in names if name.startswith(prefix))


def image_event(environment: Environment, image: str, report: Callable[[str], None]) -> dict[str, Any]:
    """The event that S3 would send if this image had just been uploaded, so that it is analysed again.

    Args:
        environment: a running one.
        image: a file, which is uploaded unless it is there with the same content, or a key.
        report: told what is done with the file.

    Raises:
        NotFoundError: there is neither such a file nor such a key.
    """
    images = _Bucket(environment)
    path = Path(image)
    found = images.of_file(path, report) if path.is_file() else images.of_key(image)
    record = images.record(found.key) or {}
    if "Settings" in record:  # else the same bytes with the same settings would not be analysed once more
        environment.images().forget_settings(found.key)
    last = record.get("Sequencer")
    # LocalStack gives every event the same one: after a larger one no real upload would count any more
    constant = environment.engine.name is EngineName.LOCALSTACK
    return s3_event(
        found,
        region=environment.settings.region,
        sequencer=last if constant and last else next_sequencer(last),
    )


def next_sequencer(last: str | None) -> str:
    """A sequencer just after the last one known: newer than the record, older than any real event to come."""
    if not last:
        return _EARLIEST
    suffix = last[_SEQUENCER_DIGITS:]
    number = int(suffix or "0", 16) + 1
    width = len(suffix) or _SUFFIX_DIGITS
    if number >= 16**width:
        return last + "1".zfill(_SUFFIX_DIGITS)
    return last[:_SEQUENCER_DIGITS] + f"{number:0{width}X}"


def s3_event(stored: StoredObject, *, region: str, sequencer: str) -> dict[str, Any]:
    """An event of S3 for an object that was put.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    described: dict[str, Any] = {
        # encoded like a form's value, but for the slashes: "red flower.jpg" is "red+flower.jpg"
        "key": quote_plus(stored.key, safe="/*"),
        "size": stored.size_bytes,
        "eTag": stored.etag,
        "sequencer": sequencer,
    }
    if stored.version_id:
        described["versionId"] = stored.version_id
    owner = {"principalId": "DARKROOM"}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": stored.modified.astimezone(UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "eventName": "ObjectCreated:Put",
        "userIdentity": owner,
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "DARKROOMINVOKE", "x-amz-id-2": "darkroom-invoke"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "darkroom-invoke",
            "bucket": {
                "name": stored.bucket,
                "ownerIdentity": owner,
                "arn": f"arn:aws:s3:::{stored.bucket}",
            },
            "object": described,
        },
    }
    return {"Records": [record]}


class _Bucket:
    """The image bucket of an environment, and the records of what lies in it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._client = environment.session().client("s3")
        self._name = environment.engine.bucket()

    def of_key(self, name: str) -> StoredObject:
        for key in candidate_keys(name, inbox=self._environment.settings.inbox):
            found = self._head(key)
            if found is not None:
                return found
        raise NotFoundError(
            f"There is no file {name} and no object of that key in {self._name}.",
            hint="`darkroom ls` lists the images that are there.",
        )

    def of_file(self, path: Path, report: Callable[[str], None]) -> StoredObject:
        content = path.read_bytes()
        inbox = self._environment.settings.inbox
        in_inbox = path.resolve().is_relative_to(inbox.resolve())
        relative = path.resolve().relative_to(inbox.resolve()).as_posix() if in_inbox else path.name
        key = UPLOADS + relative
        before = self._head(key)
        if before is not None and self._holds(before, content):
            return before
        if in_inbox and (synced := self._wait(lambda: self._same(key, content))) is not None:
            report(f"the sync has uploaded it to {key}")
            stored = synced
        else:
            kind = content_type(content[:HEAD_BYTES], path.name)
            self._client.put_object(Bucket=self._name, Key=key, Body=content, ContentType=kind)
            report(f"uploaded it to {key}" + (", in place of other content" if before else ""))
            stored = self._head(key) or self.of_key(key)
        # otherwise both would analyse it at the same moment, and one of the two would be told that it is busy
        done = self._wait(lambda: self._recorded(stored))
        report(
            f"its own event was handled first ({done['Status']}); the invocation analyses it once more"
            if done
            else f"its own event was not handled within {_WAIT_S:.0f} s; the invocation goes ahead"
        )
        return stored

    def record(self, key: str) -> Mapping[str, Any] | None:
        """Its record; None without one, also where the stack's table is another."""
        try:
            return self._environment.images().get(key)
        except ClientError:
            return None

    def _recorded(self, stored: StoredObject) -> Mapping[str, Any] | None:
        record = self.record(stored.key)
        return record if record is not None and record.get("ETag") == stored.etag else None

    def _same(self, key: str, content: bytes) -> StoredObject | None:
        found = self._head(key)
        return found if found is not None and self._holds(found, content) else None

    def _holds(self, stored: StoredObject, content: bytes) -> bool:
        if stored.size_bytes != len(content):
            return False
        if "-" not in stored.etag:  # the MD5; of a multipart upload it is not the content's
            return stored.etag == hashlib.md5(content, usedforsecurity=False).hexdigest()
        body = self._client.get_object(Bucket=self._name, Key=stored.key)["Body"].read()
        return bool(body == content)

    def _head(self, key: str) -> StoredObject | None:
        try:
            found = self._client.head_object(Bucket=self._name, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NoSuchBucket"}:
                return None
            raise
        version = found.get("VersionId")
        return StoredObject(
            bucket=self._name,
            key=key,
            size_bytes=found["ContentLength"],
            etag=found["ETag"].strip('"'),
            modified=found["LastModified"],
            version_id=version if version and version != "null" else None,
        )

    @staticmethod
    def _wait(look: Callable[[], _Found | None]) -> _Found | None:
        deadline = time.monotonic() + _WAIT_S
        while (found := look()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return found
