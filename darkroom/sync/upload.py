"""One file: decide whether its content is already stored, and store it if not.

Runs in a worker thread and knows nothing of queues. What it needs is in the `Job`; what came of it is the
`Outcome`. A `StoreError` goes up to the caller.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from darkroom.sync import reading
from darkroom.sync.content_type import content_type
from darkroom.sync.model import Row, Signature, SyncOptions, join
from darkroom.sync.store import ObjectStore, Stored, StoreError


class Verdict(enum.Enum):
    """What came of one file."""

    UPLOADED = "uploaded"
    PRESENT = "present"  # the bucket already had this content under this key
    UNCHANGED = "unchanged"  # the journal knows this very file
    CHANGING = "changing"  # being written: look again
    GONE = "gone"
    UNREADABLE = "unreadable"
    LEFT_OUT = "left out"
    BROKEN = "broken"  # the disk failed
    DELETED = "deleted"  # from the bucket, by --mirror
    KEPT = "kept"  # in the bucket, although deleted here: it is no longer what was uploaded


@dataclass(frozen=True, slots=True)
class Job:
    """One file to bring up to date.

    `row`: what the journal knows. `listed`: whether a listing of the bucket is at hand, and if so `remote` is
    the key's ETag in it (None: not there). `written`: an event says that the file was written. `verify`: an
    earlier try may have got through, so ask the bucket before storing again.
    """

    path: str
    row: Row | None = None
    listed: bool = False
    remote: str | None = None
    written: bool = False
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. `row` is to be written to the journal; `seconds` is the time of the request."""

    verdict: Verdict
    row: Row | None = None
    seconds: float = 0.0
    reason: str = ""
    stale: bool = False  # the file changed after it was read: look again


Opener = Callable[[str, str], AbstractContextManager[reading.OpenFile]]


class Uploader:
    """Brings files to the bucket. `opener` is the seam to the file system."""

    def __init__(self, options: SyncOptions, root: str, *, opener: Opener = reading.open_file) -> None:
        self._options = options
        self._root = root
        self._open = opener

    def upload(self, job: Job, store: ObjectStore) -> Outcome:
        """Store the file's content unless it is there already; never raises for the file's own troubles."""
        try:
            with self._open(self._root, job.path) as file:
                return self._bring(job, file, store)
        except (FileNotFoundError, NotADirectoryError):
            return Outcome(Verdict.GONE)
        except reading.ChangingError:
            return Outcome(Verdict.CHANGING)
        except reading.NotAFileError as error:
            return Outcome(Verdict.LEFT_OUT, reason=str(error))
        except PermissionError as error:
            return Outcome(Verdict.UNREADABLE, reason=f"it may not be read ({error.strerror})")
        except OSError as error:
            return Outcome(Verdict.BROKEN, reason=f"it cannot be read ({error.strerror or error})")

    def remove(self, row: Row, store: ObjectStore) -> Outcome:
        """Delete a key that this sync uploaded, if it is still what it uploaded."""
        key = self._options.key(row.path)
        remote = store.head(key)
        if remote is None:
            return Outcome(Verdict.GONE)
        if remote != row.etag:
            return Outcome(
                Verdict.KEPT, reason="it was replaced in the bucket after it was uploaded from here"
            )
        start = time.perf_counter()
        store.delete(key)
        return Outcome(Verdict.DELETED, seconds=time.perf_counter() - start)

    def _bring(self, job: Job, file: reading.OpenFile, store: ObjectStore) -> Outcome:
        same_file = job.row is not None and job.row.signature == file.signature
        if same_file and not (job.written and job.row and job.row.racy) and _bucket_has(job):
            return Outcome(Verdict.UNCHANGED)
        small = file.signature.size_bytes <= reading.MEMORY_BYTES
        data = file.read() if small else None
        digest = reading.digest_of(data) if data is not None else file.digest()
        row = Row(job.path, file.signature, digest, digest, None, time.time(), file.racy)
        if known := self._present(job, digest, store):
            version = job.row.version if job.row and job.row.etag == known else None
            return Outcome(Verdict.PRESENT, replace(row, etag=known, version=version))
        return self._store(row, file, data, store)

    def _present(self, job: Job, digest: str, store: ObjectStore) -> str | None:
        """The ETag under which the bucket already has this content at this key, or None."""
        known = {digest}
        if job.row is not None and job.row.digest == digest:
            known.add(job.row.etag)
        if job.listed:
            remote = job.remote
        elif job.verify or (job.row is not None and job.row.digest == digest):
            remote = store.head(self._options.key(job.path))
        else:
            return None
        return remote if remote in known else None

    def _store(self, row: Row, file: reading.OpenFile, data: bytes | None, store: ObjectStore) -> Outcome:
        key = self._options.key(row.path)
        kind = content_type(data[:32] if data is not None else file.head(), row.path.rpartition("/")[2])
        start = time.perf_counter()
        stored = (
            store.put(key, data, content_type=kind) if data is not None else _send(file, key, kind, store)
        )
        seconds = time.perf_counter() - start
        row = replace(row, etag=stored.etag, version=stored.version, uploaded_at=time.time())
        return Outcome(Verdict.UPLOADED, row, seconds, stale=self._stale(row))

    def _stale(self, row: Row) -> bool:
        try:
            return Signature.of(os.lstat(join(self._root, row.path))) != row.signature
        except OSError:
            return True


def _bucket_has(job: Job) -> bool:
    """Whether the bucket, as far as it was listed, still holds what the journal says."""
    return not job.listed or (job.row is not None and job.remote == job.row.etag)


def _send(file: reading.OpenFile, key: str, kind: str, store: ObjectStore) -> Stored:
    """Store a file that is too large to hold in memory."""
    if file.signature.size_bytes > reading.SINGLE_PUT_BYTES:
        return store.put_parts(key, file.parts(), content_type=kind)
    try:
        with os.fdopen(os.dup(file.fd), "rb") as body:
            body.seek(0)
            stored = store.put(key, body, content_type=kind)
    except StoreError:
        file.check()  # a body that changes under the request fails in odd ways: the file is the cause
        raise
    file.check()  # a torn object may stand there now: it is stored again
    return stored
