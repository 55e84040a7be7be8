"""The sync itself: one thread that owns all state, a few that do the slow work.

    watcher threads ──hints──▶ ┌─────────────┐ ──jobs──▶ upload threads ──▶ bucket
    helper thread ──listing,──▶│ coordinator │ ◀──outcomes──┘
                     survey    └─────────────┘ ──▶ journal, status, progress

    WAITING ──bucket listed──▶ SYNCING ──nothing left──▶ IDLE ──hint──▶ SYNCING
       ▲                          │                        │
       └──── connection lost, bucket gone or emptied ──────┘

Everything reaches the coordinator through one queue. The bucket is listed only while no upload is under way,
and every upload after that is added to the listing, so that a comparison never sees half of the truth.
"""

from __future__ import annotations

import enum
import logging
import os
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.errors import EngineError, UsageError
from darkroom.sync import reading
from darkroom.sync.files import Files, Task
from darkroom.sync.journal import Journal
from darkroom.sync.model import Hint, LeftOut, Snapshot, State, SyncOptions, SyncResult, shown
from darkroom.sync.pool import Pool
from darkroom.sync.reconcile import Connect, Listing, StoppedError, Survey, list_bucket, survey
from darkroom.sync.root import Root, WatcherFactory
from darkroom.sync.scan import why_path
from darkroom.sync.status import Ledger, StatusFile
from darkroom.sync.store import ObjectStore, S3Store, StoreError
from darkroom.sync.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.sync.model import Progress
    from darkroom.sync.upload import Opener, Outcome

log = logging.getLogger("darkroom.sync")

_DRAIN = 512  # messages per turn, so that their journal lines share a transaction and timers still run
_EMPTIED = "the bucket lost what was uploaded, so everything is compared again"


class _Help(enum.Enum):
    """What the helper thread does."""

    LIST = enum.auto()
    SURVEY = enum.auto()
    PROBE = enum.auto()


_Helped = Listing | Survey | bool


@dataclass(frozen=True, slots=True)
class _Hinted:
    hint: Hint
    path: str


@dataclass(frozen=True, slots=True)
class _FileDone:
    task: Task
    result: Outcome | Exception


@dataclass(frozen=True, slots=True)
class _HelpDone:
    what: _Help
    result: _Helped | Exception


@dataclass(frozen=True, slots=True)
class _Waiting:
    reason: str


_Message = _Hinted | _FileDone | _HelpDone | _Waiting | None


class Service:
    """One folder kept in one bucket. `run` blocks; `stop` may be called from any thread or signal handler.

    The seams: `connect` makes the store, `opener` opens files, `watcher` watches, `clock` tells seconds.

    Raises:
        UsageError: the journal cannot be used.
    """

    def __init__(
        self,
        options: SyncOptions,
        *,
        connect: Connect | None = None,
        progress: Progress | None = None,
        opener: Opener = reading.open_file,
        watcher: WatcherFactory = Watcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        root = os.path.realpath(options.folder)
        self._options = options
        self._timing = options.timing
        self._connect = connect or (lambda: S3Store.connect(options.bucket, connections=options.workers + 1))
        self._progress = progress
        self._clock = clock
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._root = Root(root, self._hint, poll=options.poll or options.once, watcher=watcher)
        self._journal = Journal(options.journal, folder=root, bucket=options.bucket, prefix=options.prefix)
        self._ledger = Ledger(options)
        self._status = StatusFile(options.status)
        self._files = Files(
            options,
            root,
            journal=self._journal,
            ledger=self._ledger,
            opener=opener,
            clock=clock,
            deliver=lambda task, result: self._inbox.put(_FileDone(task, result)),
            on_away=self._lose,
        )
        self._helper: Pool[_Help, _Helped] = Pool(
            1, lambda what, result: self._inbox.put(_HelpDone(what, result)), name="helper"
        )
        self._store: ObjectStore | None = None
        self._reason = ""
        self._helping: _Help | None = None
        self._surveys: set[str] = set()
        self._surveyed = False
        self._state = State.WAITING
        self._next_tick = self._next_scan = self._next_probe = 0.0
        self._failure: Exception | None = None

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    def stop(self) -> None:
        """End soon: uploads under way get a moment, the rest is found at the next start."""
        self._stop.set()
        self._inbox.put(None)

    def run(self) -> SyncResult:
        """Sync until stopped, or with `once` until folder and bucket agree.

        Raises:
            UsageError: with `once`, the folder is not there. EngineError: with `engine_wait_s`, it is over.
        """
        started = self._clock()
        try:
            if self._options.once and not Path(self._root.path).is_dir():
                raise UsageError(f"the folder {shown(self._options.folder)} does not exist")
            while not self._over():
                self._turn()
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure
        return self._result(self._clock() - started)

    # One turn

    def _turn(self) -> None:
        now = self._clock()
        if now >= self._next_tick:
            self._next_tick = now + self._timing.tick
            self._tick(now)
        self._files.pump(now)
        if self._store is not None:
            self._files.dispatch(self._store)
        self._help(now)
        self._tell()
        self._receive(self._wait_s())
        self._files.save()

    def _wait_s(self) -> float:
        due = self._files.next_due()
        return max(0.0, (self._next_tick if due is None else min(due, self._next_tick)) - self._clock())

    def _receive(self, timeout_s: float) -> None:
        if self._over():
            return
        try:
            self._handle(self._inbox.get(timeout=timeout_s) if timeout_s > 0 else self._inbox.get_nowait())
            for _ in range(_DRAIN):
                self._handle(self._inbox.get_nowait())
        except queue.Empty:
            return

    def _handle(self, message: _Message) -> None:
        if isinstance(message, _Hinted):
            self._on_hint(message.hint, message.path)
        elif isinstance(message, _FileDone):
            self._files.finished(message.task, message.result)
        elif isinstance(message, _HelpDone):
            self._helping = None
            self._on_help(message.what, message.result)
        elif isinstance(message, _Waiting):
            self._say_waiting(message.reason)

    def _tick(self, now: float) -> None:
        self._root.look()
        self._files.look_at_blocked()
        if now >= self._next_scan:
            self._surveys.add("")

    def _hint(self, hint: Hint, path: str) -> None:
        self._inbox.put(_Hinted(hint, path))

    def _on_hint(self, hint: Hint, path: str) -> None:
        if hint is Hint.RESCAN:
            self._root.look()
            self._surveys.add("")
        elif hint is Hint.TREE and self._counts(path):
            self._surveys.add(path)
        elif hint is not Hint.TREE:
            self._files.hint(hint, path)

    def _counts(self, folder: str) -> bool:
        left_out = why_path(folder, self._options.prefix)
        if left_out is not None:
            self._ledger.note_left_out(left_out.path, left_out.reason)
        return left_out is None

    # The bucket

    def _lose(self, reason: str) -> None:
        """The bucket cannot be reached, or is not the one it was: compare everything when it answers."""
        self._store = None
        self._files.remote = None
        self._say_waiting(reason)

    def _say_waiting(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            log.warning(
                "waiting for the engine: %s. Files are kept here and uploaded when it answers", reason
            )

    def _on_listing(self, listing: Listing) -> None:
        if self._reason:
            log.info("the engine answers: comparing the folder with %d objects", len(listing.etags))
        self._reason = ""
        self._store, self._files.remote = listing.store, listing.etags
        self._next_probe = self._clock() + self._timing.probe
        self._surveys.add("")

    # Work for the helper thread

    def _help(self, now: float) -> None:
        if self._helping is not None:
            return
        if self._store is None:
            if not self._files.in_flight:
                self._ask(_Help.LIST, self._list)
        elif self._surveys and self._root.there:
            self._ask_survey()
        elif now >= self._next_probe and not self._files.in_flight:
            self._ask_probe(now, self._store)

    def _ask(self, what: _Help, task: Callable[[], _Helped]) -> None:
        self._helping = what
        self._helper.submit(what, task)

    def _ask_survey(self) -> None:
        start = "" if "" in self._surveys else self._surveys.pop()
        if not start:
            self._surveys.clear()
        remote = self._files.remote
        self._ask(_Help.SURVEY, lambda: self._survey(start, remote))

    def _ask_probe(self, now: float, store: ObjectStore) -> None:
        """Ask for one object: an engine that forgot everything is noticed although no file changes."""
        self._next_probe = now + self._timing.probe
        if row := self._journal.anchor():
            key = self._options.key(row.path)
            self._ask(_Help.PROBE, lambda: store.head(key) is not None)

    def _list(self) -> Listing:
        return list_bucket(
            self._connect,
            self._options,
            stop=self._stop,
            on_wait=lambda reason: self._inbox.put(_Waiting(reason)),
        )

    def _survey(self, start: str, remote: dict[str, str] | None) -> Survey:
        journal = self._journal.another()
        try:
            return survey(self._root.path, start, self._options, journal, remote)
        finally:
            journal.close()

    def _on_help(self, what: _Help, result: _Helped | Exception) -> None:
        if isinstance(result, Listing):
            self._on_listing(result)
        elif isinstance(result, Survey):
            self._on_survey(result)
        elif result is False:
            self._lose(_EMPTIED)
        elif isinstance(result, StoreError):
            self._on_help_refused(what, result)
        elif isinstance(result, Exception) and not isinstance(result, StoppedError):
            raise result

    def _on_help_refused(self, what: _Help, error: StoreError) -> None:
        if what is _Help.LIST:  # only when there is a limit to waiting
            self._failure = EngineError(f"the bucket {self._options.bucket} cannot be used: {error}")
            self._stop.set()
        else:
            self._lose(str(error))

    def _on_survey(self, found: Survey) -> None:
        self._files.compare(found)
        if found.whole:
            self._surveyed = True
            pause = self._timing.poll if self._root.polling else self._timing.scan
            # A walk over very many files must not follow on the last one's heels.
            self._next_scan = self._clock() + max(pause, 10 * found.seconds)

    # What is going on

    def _tell(self) -> None:
        state = self._find_state()
        changed, self._state = state is not self._state, state
        if self._progress is not None:
            done, total = self._files.done, self._files.done + self._files.pending
            self._progress.update(
                Snapshot(state, total, done, self._ledger.bytes_uploaded, self._files.current)
            )
        if state is State.IDLE and changed:
            self._on_idle()
        self._status.write(self._ledger, state, waiting=self._files.waiting, reason=self._why(), now=changed)

    def _on_idle(self) -> None:
        self._files.remote = None
        self._files.done = 0

    def _find_state(self) -> State:
        if self._store is None:
            return State.WAITING
        comparing = self._surveys or self._helping is _Help.SURVEY
        if self._files.pending or not self._surveyed or (comparing and self._state is not State.IDLE):
            return State.SYNCING
        return State.IDLE

    def _why(self) -> str:
        return self._reason or ("" if self._root.there else "the folder is not there")

    def _over(self) -> bool:
        if self._stop.is_set():
            return True
        if not self._options.once or not self._surveyed or self._store is None:
            return False
        return not self._helping and not self._surveys and self._files.all_done()

    def _close(self) -> None:
        self._stop.set()
        self._root.stop()
        deadline = self._clock() + self._timing.stop
        while self._files.in_flight and (left := deadline - self._clock()) > 0:
            try:
                message = self._inbox.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(message, _FileDone):
                self._files.finished(message.task, message.result)
        self._files.close()
        self._helper.close(timeout_s=0.2)
        self._journal.close()
        self._status.write(self._ledger, State.STOPPED, waiting=self._files.waiting, reason="", now=True)

    def _result(self, seconds: float) -> SyncResult:
        ledger = self._ledger
        return SyncResult(
            uploaded=ledger.uploaded,
            already_there=ledger.present,
            unchanged=ledger.unchanged,
            deleted=ledger.deleted,
            bytes_uploaded=ledger.bytes_uploaded,
            left_out=tuple(LeftOut(path, reason) for path, reason in ledger.left_out.items()),
            failed=tuple(LeftOut(path, reason) for path, reason in ledger.failed.items()),
            seconds=seconds,
            abandoned=self._files.in_flight,
        )
