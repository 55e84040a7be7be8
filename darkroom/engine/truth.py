"""Whether what the engine holds is complete: the one question that decides about a recovery.

ministack keeps tables, functions and roles in memory and saves them on a clean stop; objects and queued events are
on disk at once. So after a crash it comes back as it was at its last clean stop, and somebody has to notice.

    (nothing known) ──recovery ended──▶ COMPLETE: this very process ──clean stop──▶ SAVED
           ▲                                      │                                   │
           └───────── the process is another one ─┴──── the files are not new ────────┴─ at every start ─▶

The note lies in a file that is on disk before anything that it speaks of changes. A process is named by its id and
its start, so that a restart by the supervisor, a reboot or the loss of everything cannot look like a clean run;
where the clock was set meanwhile, the worst is a recovery that finds nothing to do.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil

from darkroom.engine.keys import sync_folder, write_private

if TYPE_CHECKING:
    from pathlib import Path

_MUST_BE_SAVED = frozenset(("cloudformation.json", "dynamodb.json", "iam.json", "lambda.json", "s3.json"))
"""ministack's files without which nothing works; it logs and goes on when one cannot be written."""
_CLOCK_SLACK_S = 0.05
"""File systems stamp files by a clock that lags a few milliseconds behind."""
_CLOCK_SET_S = 5.0


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One run of the engine's process."""

    pid: int
    started_at: float

    def is_same(self, pid: int, started_at: float) -> bool:
        """Whether these name this run; a start is told from the time of boot, which moves when the clock is set."""
        return self.pid == pid and abs(self.started_at - started_at) < _CLOCK_SET_S

    @classmethod
    def of(cls, pid: int) -> EngineRun | None:
        """The run of a process that is there now."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None


class Truth:
    """The note of one environment.

    Args:
        note: its file.
        state: ministack's folder.
    """

    def __init__(self, note: Path, state: Path) -> None:
        self._note = note
        self._state = state

    def is_saved(self) -> bool:
        """Whether the engine's files hold everything."""
        return bool(self._read().get("saved"))

    def is_complete(self, run: EngineRun | None) -> bool:
        """Whether this run of the engine holds everything."""
        noted = self._read().get("complete") or {}
        return run is not None and run.is_same(noted.get("pid", 0), noted.get("started_at", 0.0))

    def begin(self) -> None:
        """Nothing is known from here on: the engine is about to start."""
        if self._note.exists():
            self._note.unlink()
            sync_folder(self._note.parent)

    def complete(self, run: EngineRun) -> None:
        """This run holds everything."""
        self._write({"complete": asdict(run)})

    def stopped(self, *, since: float) -> bool:
        """A run that was complete has ended: note whether its files are new, and make sure they are on disk.

        Args:
            since: when its stop began (epoch seconds).
        """
        files = list(self._state.glob("*.json"))
        missing = _MUST_BE_SAVED - {file.name for file in files}
        if missing or any(file.stat().st_mtime < since - _CLOCK_SLACK_S for file in files):
            self.begin()
            return False
        flush(self._state)
        self.note_saved()
        return True

    def note_saved(self) -> None:
        """The engine's files hold everything, and it does not run."""
        self._write({"saved": True})

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _write(self, content: dict[str, Any]) -> None:
        write_private(self._note, json.dumps(content) + "\n")


def flush(state: Path) -> None:
    """Wait until ministack's files are on disk; it does not do so itself."""
    for file in state.glob("*.json"):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(state)
