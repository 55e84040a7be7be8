"""The queue of asynchronous events: on disk before it is acknowledged.

SQLite in WAL mode with `synchronous=FULL`: a commit returns when the log has reached the disk. One thread
writes; it takes everything that waits into one transaction (group commit), so a burst of a thousand events
costs some dozens of syncs, not a thousand. The file is locked for this process: a second runtime on the same
folder ends at once.

    waiting ──▶ (finished: row removed)
       │  └───▶ delivering: records for destinations that have not arrived yet ──▶ (row removed)
       └──────▶ dead: given up, and the function names nowhere to send it
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import queue
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.runtime.errors import QueueError, StartError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)
_DEAD_KEPT = 1_000
_BATCH = 2_000
_LINGER_S = 0.005  # notes that nobody waits for gather a little before they cost a sync

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL,
    function TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    arn TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    guess_alias INTEGER NOT NULL,
    accepted_at REAL NOT NULL,
    state TEXT NOT NULL,
    starts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    deliveries TEXT NOT NULL DEFAULT '',
    payload BLOB NOT NULL
)
"""
_COLUMNS = (
    "id, request_id, function, qualifier, arn, trace_id, guess_alias, accepted_at, state, starts, failures,"
    " due_at, deliveries"
)


class EventState(enum.StrEnum):
    """See the drawing above."""

    WAITING = "waiting"
    DELIVERING = "delivering"
    DEAD = "dead"


@dataclass(slots=True)
class QueuedEvent:
    """One event. `starts` counts how often it was handed to a worker, `failures` how often the function
    failed.

    They differ when the runtime was killed in the middle: that run counts as started, not as the function's
    failure.
    """

    request_id: str
    function: str
    qualifier: str
    arn: str
    payload: bytes | None  # None: on disk only
    trace_id: str = ""
    guess_alias: bool = False
    accepted_at: float = 0.0
    id: int = 0
    state: EventState = EventState.WAITING
    starts: int = 0
    failures: int = 0
    due_at: float = 0.0
    deliveries: str = ""


@dataclass(slots=True)
class _Write:
    statement: str
    values: Sequence[Any]
    future: asyncio.Future[Any] | None  # its result: the new row's id, or the rows read
    reads: bool = False


class DurableQueue:
    """Opened by its constructor; all coroutines belong to the event loop that runs then.

    Raises:
        StartError: the file cannot be opened, or another runtime uses it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._connection = _open(path)
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="queue", daemon=True)
        self._thread.start()
        self.commits = 0
        self.trouble = ""  # the last reason why a write failed, "" when the last one succeeded

    async def add(self, event: QueuedEvent) -> int:
        """Write a new event; returns its id once it is on disk.

        Raises:
            QueueError: it is not on disk and must not be acknowledged.
        """
        values = (
            event.request_id, event.function, event.qualifier, event.arn, event.trace_id, event.guess_alias,
            event.accepted_at, event.state, event.due_at, event.payload,
        )  # fmt: skip
        statement = (
            "INSERT INTO events"
            " (request_id, function, qualifier, arn, trace_id, guess_alias, accepted_at, state, due_at, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        return int(await self._submit(statement, values))

    async def unfinished(self) -> list[QueuedEvent]:
        """What an earlier run left, oldest first, without payloads."""
        rows = await self._read(f"SELECT {_COLUMNS} FROM events WHERE state != 'dead' ORDER BY id")  # noqa: S608
        return [
            QueuedEvent(
                id=row[0],
                request_id=row[1],
                function=row[2],
                qualifier=row[3],
                arn=row[4],
                payload=None,
                trace_id=row[5],
                guess_alias=bool(row[6]),
                accepted_at=row[7],
                state=EventState(row[8]),
                starts=row[9],
                failures=row[10],
                due_at=row[11],
                deliveries=row[12],
            )
            for row in rows
        ]

    async def payload(self, event_id: int) -> bytes:
        """The payload of an event that lies on disk only."""
        rows = await self._read("SELECT payload FROM events WHERE id = ?", event_id)
        return bytes(rows[0][0])

    async def dead(self) -> list[dict[str, Any]]:
        """Events that were given up and had nowhere to go, newest first, without payloads."""
        rows = await self._read(
            "SELECT request_id, function, qualifier, accepted_at, failures, reason FROM events"
            " WHERE state = 'dead' ORDER BY id DESC LIMIT 100"
        )
        names = ("requestId", "function", "qualifier", "acceptedAt", "failures", "reason")
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def count_dead(self) -> int:
        """How many there are."""
        return int((await self._read("SELECT count(*) FROM events WHERE state = 'dead'"))[0][0])

    def started(self, event: QueuedEvent) -> None:
        """Note that a worker gets it; written with the next transaction, so the start does not wait for the disk."""
        event.starts += 1
        self._post("UPDATE events SET starts = ? WHERE id = ?", event.starts, event.id)

    def postpone(self, event: QueuedEvent) -> None:
        """Note when it is due again and how often it failed."""
        self._post(
            "UPDATE events SET failures = ?, due_at = ? WHERE id = ?", event.failures, event.due_at, event.id
        )

    def finish(self, event: QueuedEvent) -> None:
        """It is done: forget it."""
        self._post("DELETE FROM events WHERE id = ?", event.id)

    async def deliver(self, event: QueuedEvent, deliveries: str) -> None:
        """It ended and these records are to be sent; returns when that is on disk."""
        event.state, event.deliveries = EventState.DELIVERING, deliveries
        statement = "UPDATE events SET state = ?, deliveries = ?, failures = ? WHERE id = ?"
        await self._submit(statement, (event.state, deliveries, event.failures, event.id))

    def bury(self, event: QueuedEvent, reason: str) -> None:
        """It was given up and has nowhere to go. The newest thousand are kept to be looked at."""
        event.state = EventState.DEAD
        self._post(
            "UPDATE events SET state = ?, reason = ?, failures = ? WHERE id = ?",
            event.state, reason[:1000], event.failures, event.id,
        )  # fmt: skip
        self._post(
            "DELETE FROM events WHERE state = 'dead' AND id <="
            " (SELECT id FROM events WHERE state = 'dead' ORDER BY id DESC LIMIT 1 OFFSET ?)",
            _DEAD_KEPT,
        )

    async def close(self) -> None:
        """Write what waits and let the file go."""
        self._writes.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- the writing thread ---

    async def _submit(self, statement: str, values: Sequence[Any]) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._writes.put(_Write(statement, values, future))
        return await future

    async def _read(self, statement: str, *values: object) -> list[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._writes.put(_Write(statement, values, future, reads=True))
        rows: list[Any] = await future
        return rows

    def _post(self, statement: str, *values: object) -> None:
        self._writes.put(_Write(statement, values, None))

    def _work(self) -> None:
        kept: list[_Write] = []  # notes that could not be written: without them an event only runs once more
        open_ = True
        while open_:
            batch, open_ = self._gather(kept)
            kept = []
            if not batch:
                continue
            try:
                results = self._commit(batch)
            except sqlite3.Error as error:
                kept = self._refuse(batch, error)
                if open_ and kept:
                    time.sleep(0.2)  # this thread only: the disk may have room again soon
                continue
            self.trouble = ""
            self._settle(
                [(write.future, result) for write, result in zip(batch, results, strict=True) if write.future]
            )
        self._connection.close()

    def _gather(self, kept: list[_Write]) -> tuple[list[_Write], bool]:
        """Everything that waits, after what was kept; False when the queue closes."""
        batch = list(kept)
        pause_s: float | None = 0.0 if batch else None  # None: sleep until something comes
        somebody_waits = False
        while len(batch) < _BATCH:
            try:
                write = self._writes.get(timeout=pause_s) if pause_s != 0 else self._writes.get_nowait()
            except queue.Empty:
                break
            if write is None:
                return batch, False
            batch.append(write)
            somebody_waits = somebody_waits or write.future is not None
            pause_s = 0.0 if somebody_waits else _LINGER_S
        return batch, True

    def _commit(self, batch: list[_Write]) -> list[Any]:
        results: list[Any] = []
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for write in batch:
            cursor = execute(write.statement, write.values)
            results.append(cursor.fetchall() if write.reads else cursor.lastrowid)
        execute("COMMIT")
        self.commits += 1
        return results

    def _refuse(self, batch: list[_Write], error: sqlite3.Error) -> list[_Write]:
        """Nothing of this batch is on disk: whoever waits hears it, notes are tried again."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        message = f"the event queue {self._path} cannot be written: {error}"
        if not self.trouble:
            _log.error("%s; free some space or make the folder writable", message)
        self.trouble = message
        self._settle([(write.future, QueueError(message)) for write in batch if write.future])
        return [write for write in batch if write.future is None]

    def _settle(self, results: list[tuple[asyncio.Future[Any] | None, Any]]) -> None:
        if results:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_resolve, results)


def _resolve(results: list[tuple[asyncio.Future[Any] | None, Any]]) -> None:
    for future, result in results:
        if future is None or future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
    except (sqlite3.Error, OSError) as error:
        raise StartError(f"the event queue {path} cannot be opened: {error}") from error
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_SCHEMA)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.close()
        if "locked" in str(error):
            raise StartError(f"another runtime already uses {path}; stop it first") from error
        raise StartError(f"the event queue {path} cannot be opened: {error}") from error
    return connection
