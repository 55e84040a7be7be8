"""What the sync tells others: log lines, the status file, counts.

Each reason is said once per file. The status file is replaced as a whole, so a reader never sees half of it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.sync.model import LeftOut, Row, State, SyncOptions, shown, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger("darkroom.sync")

LISTED = 200  # at most so many files of each kind stand in the status file; the counts are always whole
WRITE_EVERY_S = 0.5


@dataclass(slots=True)
class Ledger:
    """Counts since the start, and the files that need a word."""

    options: SyncOptions
    uploaded: int = 0
    present: int = 0
    unchanged: int = 0
    deleted: int = 0
    bytes_uploaded: int = 0
    last: dict[str, Any] | None = None
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def note_uploaded(self, row: Row, seconds: float) -> None:
        key, size = self.options.key(row.path), row.signature.size_bytes
        self.uploaded += 1
        self.bytes_uploaded += size
        self.last = {"key": key, "bytes": size, "ms": round(seconds * 1000, 1), "at": _iso(row.uploaded_at)}
        self.clear(row.path)
        log.info("uploaded %s (%s, %.0f ms)", shown(key), size_text(size), seconds * 1000)

    def note_deleted(self, path: str) -> None:
        self.deleted += 1
        log.info("deleted %s from the bucket, because it was deleted here", shown(self.options.key(path)))

    def note_kept(self, path: str, reason: str) -> None:
        log.warning("kept %s in the bucket: %s", shown(self.options.key(path)), reason)

    def note_left_out(self, path: str, reason: str) -> None:
        """Say that a file is left out, unless the same was said before."""
        if self.left_out.get(path) != reason:
            self.left_out[path] = reason
            log.info("left out %s: %s", shown(path), reason)

    def note_failed(self, path: str, reason: str) -> None:
        """Say that a file could not be stored and is tried again, unless the same was said before."""
        if self.failed.get(path) != reason:
            self.failed[path] = reason
            log.warning("not uploaded %s: %s; it is tried again", shown(self.options.key(path)), reason)

    def clear(self, path: str) -> None:
        """The file is in order now, or gone."""
        self.failed.pop(path, None)
        self.left_out.pop(path, None)

    def clear_below(self, path: str) -> None:
        """A file or a folder with all that it held is gone."""
        self.clear(path)
        for known in (self.failed, self.left_out):
            for other in [p for p in known if p.startswith(path + "/")]:
                del known[other]

    def replace_left_out(self, found: Iterable[LeftOut], *, keep: Iterable[str]) -> None:
        """A walk over everything found these; `keep` are those that only reading them showed."""
        fresh = {item.path: item.reason for item in found}
        kept = {path: self.left_out[path] for path in keep if path in self.left_out}
        for path, reason in fresh.items():
            self.note_left_out(path, reason)
        self.left_out = {**kept, **fresh}


class StatusFile:
    """Writes the status where others read it; at most twice a second, at once when `now` is set."""

    def __init__(self, file: str | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._written_at = float("-inf")
        self._last = ""
        self._complained = False

    def write(self, ledger: Ledger, state: State, *, waiting: int, reason: str, now: bool) -> bool:
        """Write if it is time; returns whether the file now says what is so."""
        if self._file is None:
            return True
        moment = self._clock()
        if not now and moment - self._written_at < WRITE_EVERY_S:
            return False
        text = json.dumps(_document(ledger, state, waiting=waiting, reason=reason), indent=1)
        if text != self._last:
            self._replace(self._file, text)
            self._last, self._written_at = text, moment
        return True

    def _replace(self, file: str, text: str) -> None:
        try:
            new = Path(f"{file}.new")
            new.write_text(text + "\n", encoding="utf-8")
            new.replace(file)
        except OSError as error:
            if not self._complained:
                log.warning("the status file %s cannot be written: %s", file, error.strerror)
                self._complained = True


def _document(ledger: Ledger, state: State, *, waiting: int, reason: str) -> dict[str, Any]:
    options = ledger.options
    return {
        "state": state.value,
        "reason": reason,
        "pid": os.getpid(),
        "folder": shown(options.folder),
        "bucket": options.bucket,
        "prefix": options.prefix,
        "mirror": options.mirror,
        "uploaded": ledger.uploaded,
        "already_there": ledger.present,
        "unchanged": ledger.unchanged,
        "deleted": ledger.deleted,
        "waiting": waiting,
        "failed": len(ledger.failed),
        "left_out": len(ledger.left_out),
        "bytes": ledger.bytes_uploaded,
        "last_upload": ledger.last,
        "failed_files": _listed(ledger.failed),
        "left_out_files": _listed(ledger.left_out),
    }


def _listed(reasons: dict[str, str]) -> list[dict[str, str]]:
    first = list(reasons.items())[:LISTED]
    return [{"path": shown(path), "reason": reason} for path, reason in first]


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
