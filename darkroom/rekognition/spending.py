"""The cost guard: every paid call is written down before it is made, and none is made that would pass a limit.

One SQLite file holds what was spent in each calendar month (UTC, as AWS bills). A call first *reserves* its price in
a transaction that also checks the limits, so that threads and processes that share the file cannot pass them
together. When the answer is there, the reservation is settled: billed, or released where AWS refused and so takes
nothing. A reservation that nobody settled (the process died, the connection broke after the request was sent)
counts as spent: AWS may have billed it.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from darkroom.rekognition.errors import RekognitionError
from darkroom.rekognition.prices import dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_WAIT_FOR_LOCK_S = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (
    month TEXT NOT NULL, operation TEXT NOT NULL, calls INTEGER NOT NULL, micros INTEGER NOT NULL,
    PRIMARY KEY (month, operation)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reserved (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT, month TEXT NOT NULL, operation TEXT NOT NULL, micros INTEGER NOT NULL
);
"""
_TOTAL = """
SELECT operation, SUM(calls), SUM(micros) FROM (
    SELECT operation, calls, micros FROM spent WHERE month = :month
    UNION ALL SELECT operation, 1, micros FROM reserved WHERE month = :month
) GROUP BY operation ORDER BY operation
"""


class BudgetReachedError(RekognitionError):
    """The call would pass the budget or the number of calls; it was not made."""


class LedgerError(RekognitionError):
    """What is spent cannot be written down, so nothing paid may be asked."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent in a calendar month; None sets no limit."""

    budget_micros: int | None = None
    max_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent in a month (``2026-11``), with what may have been: per operation ``(calls, micros)``."""

    month: str
    operations: dict[str, tuple[int, int]]

    @property
    def calls(self) -> int:
        """Paid calls."""
        return sum(calls for calls, _micros in self.operations.values())

    @property
    def micros(self) -> int:
        """Millionths of a dollar."""
        return sum(micros for _calls, micros in self.operations.values())


def default_ledger() -> Path:
    """One file per user, whatever the project: what is spent is spent on one bill."""
    from platformdirs import user_state_path

    return user_state_path("darkroom", appauthor=False) / "rekognition-spending.sqlite3"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The file in which spending is written down.

    Args:
        path: made when it is first needed; its folder too.
        now: the time, with its zone.
    """

    path: Path
    now: Callable[[], datetime] = _now

    def reserve(self, operation: str, micros: int, limits: Limits) -> int:
        """Write down the price of a call that is about to be made.

        Returns:
            A ticket for `settle`.

        Raises:
            BudgetReachedError: the call must not be made.
            LedgerError: the file cannot be written.
        """
        month = self._month()
        with self._transaction() as database:
            spent = _read(database, month)
            _check(spent, micros, limits, self.path)
            cursor = database.execute(
                "INSERT INTO reserved (month, operation, micros) VALUES (?, ?, ?)", (month, operation, micros)
            )
            return int(cursor.lastrowid or 0)

    def settle(self, ticket: int, *, is_billed: bool) -> None:
        """What became of a reserved call. A ticket that was settled before changes nothing.

        Raises:
            LedgerError: the file cannot be written; the call then counts as spent.
        """
        with self._transaction() as database:
            row = database.execute(
                "DELETE FROM reserved WHERE ticket = ? RETURNING month, operation, micros", (ticket,)
            ).fetchone()
            if row is not None and is_billed:
                database.execute(
                    "INSERT INTO spent VALUES (?, ?, 1, ?) ON CONFLICT (month, operation) "
                    "DO UPDATE SET calls = calls + 1, micros = micros + excluded.micros",
                    row,
                )

    def spent(self) -> Spending:
        """What was spent this month. A file that is not there yet is not made.

        Raises:
            LedgerError: the file cannot be read.
        """
        if not self.path.exists():
            return Spending(self._month(), {})
        with self._transaction() as database:
            return _read(database, self._month())

    def _month(self) -> str:
        return f"{self.now().astimezone(UTC):%Y-%m}"

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One at a time over all processes: what is read in it holds until its end."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self.path, timeout=_WAIT_FOR_LOCK_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path} cannot be opened: {error}.") from error
        try:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'reserved'").fetchone():
                database.executescript(_SCHEMA)
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path} cannot be written: {error}.") from error
        finally:
            database.close()


def _read(database: sqlite3.Connection, month: str) -> Spending:
    rows = database.execute(_TOTAL, {"month": month}).fetchall()
    return Spending(month, {operation: (calls, micros) for operation, calls, micros in rows})


def _check(spent: Spending, micros: int, limits: Limits, path: Path) -> None:
    if limits.budget_micros is not None and spent.micros + micros > limits.budget_micros:
        raise BudgetReachedError(
            f"The budget of {dollars(limits.budget_micros)} for {spent.month} does not allow another call of "
            f"{dollars(micros)}: {dollars(spent.micros)} are spent ({path}). Nothing was asked. "
            f"Allow more with --budget."
        )
    if limits.max_calls is not None and micros and spent.calls + 1 > limits.max_calls:
        raise BudgetReachedError(
            f"{spent.calls} calls were paid in {spent.month}, and --max-calls allows {limits.max_calls} ({path}). "
            f"Nothing was asked. Allow more with --max-calls."
        )
