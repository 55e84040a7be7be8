"""One sync per journal: two would upload every file twice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from darkroom.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType


class JournalLock:
    """Held while a sync runs; the system gives it back when the process dies, however it dies.

    Raises (on entering):
        UsageError: another sync holds it.
    """

    def __init__(self, journal: str) -> None:
        self._journal = journal
        self._lock = filelock.FileLock(f"{journal}.lock")

    def __enter__(self) -> None:
        try:
            Path(self._journal).parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise UsageError(
                f"another sync already works with the journal {self._journal}",
                hint="Stop that one first, or give this one a journal of its own with --journal.",
            ) from error
        except OSError as error:
            raise UsageError(f"the journal's folder cannot be used: {error}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
