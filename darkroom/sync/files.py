"""The life of every file between a hint and the journal.

    hint ──▶ Settle ──ready──▶ in flight ──┬── stored ──▶ journal
               ▲  ▲                        ├── being written, failed for now ──▶ Settle, later
               │  └── hints meanwhile ─────┤
               └── permissions changed ────┴── left out, unreadable

Belongs to the coordinator's thread; only the jobs themselves run elsewhere.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from darkroom.sync.mirror import Mirror
from darkroom.sync.model import Hint, Row, Signature, join, shown
from darkroom.sync.pool import Pool
from darkroom.sync.scan import why_path
from darkroom.sync.settle import Ready, Settle
from darkroom.sync.store import AwayError, BusyError, ObjectStore, StoreError
from darkroom.sync.upload import Job, Opener, Outcome, Uploader, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.sync.journal import Journal
    from darkroom.sync.model import SyncOptions
    from darkroom.sync.reconcile import Survey
    from darkroom.sync.status import Ledger

log = logging.getLogger("darkroom.sync")

Task = Job | Row  # a file to bring to the bucket, or a journal line to remove from it

_SAY_OPEN_AFTER_S = 10.0
_STILL_WRITTEN = "another program still writes it, or holds it open for writing"


class Files:
    """All files that need something, and the uploads under way.

    `remote` is the bucket's listing while folder and bucket are being compared, kept up to date with what is
    uploaded and deleted meanwhile; None when the journal alone is believed.
    """

    def __init__(
        self,
        options: SyncOptions,
        root: str,
        *,
        journal: Journal,
        ledger: Ledger,
        opener: Opener,
        clock: Callable[[], float],
        deliver: Callable[[Task, Outcome | Exception], None],
        on_away: Callable[[str], None],
    ) -> None:
        self._options = options
        self._timing = options.timing
        self._root = root
        self._journal = journal
        self._ledger = ledger
        self._clock = clock
        self._on_away = on_away
        self._uploader = Uploader(options, root, opener=opener)
        self._pool: Pool[Task, Outcome] = Pool(options.workers, deliver, name="upload")
        self._settle = Settle(self._timing, self._signature)
        grace = 0.0 if options.once else self._timing.grace
        self._mirror = Mirror(root=root, grace_s=grace, below=journal.below)
        self.remote: dict[str, str] | None = None
        self.done = 0  # files dealt with since everything was in step last
        self.current = ""
        self._in_flight: dict[str, Task] = {}
        self._again: dict[str, Hint] = {}
        self._attempts: dict[str, int] = {}
        self._open_since: dict[str, float] = {}
        self._blocked: dict[str, int] = {}
        self._rows: dict[str, Row | None] = {}

    @property
    def in_flight(self) -> int:
        """Uploads and deletions under way."""
        return len(self._in_flight)

    @property
    def waiting(self) -> int:
        """Files that are not in the bucket as they are here."""
        return len(self._settle) + len(self._in_flight)

    @property
    def pending(self) -> int:
        """What is to be done now: without files that failed and only wait for another try."""
        stuck = sum(1 for path in self._ledger.failed if path in self._settle)
        return self.waiting - stuck + len(self._mirror)

    def next_due(self) -> float | None:
        """When `pump` has something to do."""
        dues = [due for due in (self._settle.next_due(), self._mirror.next_due()) if due is not None]
        return min(dues, default=None)

    # What the file system says

    def hint(self, hint: Hint, path: str) -> None:
        """Something happened to a file (TREE and RESCAN are not for here)."""
        if left_out := why_path(path, self._options.prefix):
            if hint is Hint.GONE:
                self._ledger.clear_below(path)
            else:
                self._ledger.note_left_out(left_out.path, left_out.reason)
        elif path in self._in_flight:
            self._again[path] = hint
        elif hint is Hint.COMPLETE:
            self._settle.complete(path, self._clock())
        elif hint is Hint.CHANGED:
            self._settle.changed(path, self._clock())
        else:
            self._on_gone(path)

    def compare(self, found: Survey) -> None:
        """Take up what a walk found."""
        now, wall = self._clock(), time.time()
        for item in found.differing:
            if item.path not in self._in_flight:
                self._settle.found(item.path, item.signature, wall - item.changed_at, now)
        for path in found.lost:
            self._rows.setdefault(path, None)
        if found.whole:
            self._ledger.unchanged = found.unchanged
            self._ledger.replace_left_out(found.left_out, keep=self._blocked)
        else:
            for left_out in found.left_out:
                self._ledger.note_left_out(left_out.path, left_out.reason)
        if self._options.mirror:
            self._mirror.missing(found.missing, files=found.files, whole=found.whole, now=now)

    def look_at_blocked(self) -> None:
        """Notice unreadable files whose permissions changed."""
        for path, ctime_ns in list(self._blocked.items()):
            if self._ctime(path) != ctime_ns:
                del self._blocked[path]
                self._settle.changed(path, self._clock())

    def pump(self, now: float) -> None:
        """Look at every file whose time has come."""
        self._settle.pump(now)
        self._mirror.pump(now)

    def _on_gone(self, path: str) -> None:
        self._settle.forget(path)
        self._ledger.clear_below(path)
        for known in (self._attempts, self._open_since, self._blocked):
            known.pop(path, None)
        if self._options.mirror:
            self._mirror.gone(path, self._clock())

    # Work for the upload threads

    def dispatch(self, store: ObjectStore) -> None:
        """Keep every upload thread busy."""
        while len(self._in_flight) < self._options.workers:
            if row := self._mirror.take():
                self._start_removal(row, store)
            elif ready := self._settle.take():
                self._start_upload(ready, store)
            else:
                return

    def _start_removal(self, row: Row, store: ObjectStore) -> None:
        if row.path in self._in_flight:
            self._again[row.path] = Hint.GONE
            return
        self._in_flight[row.path] = row
        self._pool.submit(row, lambda: self._uploader.remove(row, store))

    def _start_upload(self, ready: Ready, store: ObjectStore) -> None:
        path = ready.path
        if path in self._in_flight:
            self._again[path] = Hint.COMPLETE if ready.written else Hint.CHANGED
            return
        job = Job(
            path,
            self._rows[path] if path in self._rows else self._journal.row(path),
            listed=self.remote is not None,
            remote=self.remote.get(self._options.key(path)) if self.remote is not None else None,
            written=ready.written,
            verify=path in self._attempts,
        )
        self._in_flight[path] = job
        self.current = path
        self._pool.submit(job, lambda: self._uploader.upload(job, store))

    # What came of it

    def finished(self, task: Task, result: Outcome | Exception) -> None:
        """A job ended."""
        del self._in_flight[task.path]
        if isinstance(result, Exception):
            self._on_error(task, result)
        else:
            self._attempts.pop(task.path, None)
            if result.verdict is not Verdict.CHANGING:
                self._open_since.pop(task.path, None)
            if isinstance(task, Row):
                self._on_removed(task, result)
            else:
                self._on_outcome(task.path, result)
        if hint := self._again.pop(task.path, None):
            self.hint(hint, task.path)

    def _on_outcome(self, path: str, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.CHANGING:
            self._on_changing(path)
        elif outcome.verdict is Verdict.GONE:
            self._on_gone(path)
        elif outcome.verdict is Verdict.BROKEN:
            self._retry(path, outcome.reason)
        elif outcome.verdict in {Verdict.UNREADABLE, Verdict.LEFT_OUT}:
            self._on_left_out(path, outcome)
        else:
            self._on_stored(path, outcome)

    def _on_stored(self, path: str, outcome: Outcome) -> None:
        self.done += 1
        self._ledger.clear(path)
        if outcome.row is None:
            return
        if self.remote is not None:
            self.remote[self._options.key(path)] = outcome.row.etag
        self._rows[path] = outcome.row
        if outcome.verdict is Verdict.PRESENT:
            self._ledger.present += 1
            return
        self._ledger.note_uploaded(outcome.row, outcome.seconds)
        self._settle.uploaded(path, self._clock())
        if outcome.stale:
            self._settle.changed(path, self._clock())

    def _on_left_out(self, path: str, outcome: Outcome) -> None:
        reason = outcome.reason
        if outcome.verdict is Verdict.UNREADABLE:
            self._blocked[path] = self._ctime(path)
            reason += "; it is tried again when its permissions change"
        self.done += 1
        self._ledger.note_left_out(path, reason)

    def _on_changing(self, path: str) -> None:
        now = self._clock()
        if now - self._open_since.setdefault(path, now) >= _SAY_OPEN_AFTER_S:
            self._ledger.note_failed(path, _STILL_WRITTEN)
        self._settle.later(path, now, self._timing.settle)

    def _on_removed(self, row: Row, outcome: Outcome) -> None:
        self._rows[row.path] = None
        self._ledger.clear(row.path)
        if outcome.verdict is Verdict.DELETED:
            self._ledger.note_deleted(row.path)
            if self.remote is not None:
                self.remote.pop(self._options.key(row.path), None)
        elif outcome.verdict is Verdict.KEPT:
            self._ledger.note_kept(row.path, outcome.reason)

    def _on_error(self, task: Task, error: Exception) -> None:
        if not isinstance(error, StoreError):
            log.error("a fault in the sync at %s", shown(task.path), exc_info=error)
        if isinstance(error, AwayError):
            self._on_away(str(error))
        if isinstance(task, Row):
            self._on_removal_error(task, error)
        elif isinstance(error, AwayError) and self._attempts.get(task.path, 0) < 3:
            self._attempts[task.path] = self._attempts.get(task.path, 0) + 1
            self._settle.again(Ready(task.path, task.written))
        else:
            self._retry(task.path, str(error), quiet=isinstance(error, AwayError | BusyError))

    def _on_removal_error(self, row: Row, error: Exception) -> None:
        if isinstance(error, AwayError):
            self._mirror.again(row)
        else:  # the next walk finds it missing and tries again
            self._ledger.note_failed(row.path, f"it cannot be deleted in the bucket: {error}")

    def _retry(self, path: str, reason: str, *, quiet: bool = False) -> None:
        attempts = self._attempts[path] = self._attempts.get(path, 0) + 1
        last = self._options.once and attempts >= self._timing.once_attempts
        if not quiet or last or attempts >= 3:
            self._ledger.note_failed(path, reason)
        if not last:
            delay = min(self._timing.retry_most, self._timing.retry_first * 2 ** (attempts - 1))
            self._settle.later(path, self._clock(), delay)

    # The end

    def all_done(self) -> bool:
        """Whether a one-shot sync may end: it does not wait for ever for a file that somebody writes."""
        if self._in_flight or len(self._mirror):
            return False
        now, rest = self._clock(), self._settle.unsettled()
        if len(rest) < len(self._settle):
            return False
        if any(now - self._open_since.setdefault(path, now) < self._timing.once_settle for path in rest):
            return False
        for path in rest:
            self._ledger.note_failed(path, _STILL_WRITTEN)
        return True

    def save(self) -> None:
        """Write what happened to the journal."""
        if self._rows:
            self._journal.write(
                [row for row in self._rows.values() if row is not None],
                forget=[path for path, row in self._rows.items() if row is None],
            )
            self._rows.clear()

    def close(self) -> None:
        """Save, and leave behind what is still under way."""
        self.save()
        self._pool.close(timeout_s=0.02)

    # The file system

    def _signature(self, path: str) -> Signature | None:
        try:
            return Signature.of(os.lstat(join(self._root, path)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return Signature(-1, 0, 0)  # opening it will tell what is wrong

    def _ctime(self, path: str) -> int:
        try:
            return os.lstat(join(self._root, path)).st_ctime_ns
        except OSError:
            return -1
