"""The few values that the parts of the sync hand to each other.

A *path* is always relative to the watched folder, with `/` between its parts, exactly as the file system
spells it (bytes that are not UTF-8 are kept as surrogates, see `os.fsdecode`). No Unicode normalisation:
`é` in its composed and its decomposed form are two paths and two keys.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os

DEFAULT_PREFIX = "uploads/"


class Hint(enum.Enum):
    """What the file system told about a path."""

    COMPLETE = "complete"  # closed after writing, or moved here whole
    CHANGED = "changed"  # new or modified, perhaps still being written
    GONE = "gone"  # deleted or moved away; a file or a folder with all that it held
    TREE = "tree"  # a folder appeared: look at everything in it
    RESCAN = "rescan"  # events were lost: look at everything


class State(enum.Enum):
    """What the sync as a whole is doing; the words stand in the status file."""

    WAITING = "waiting for engine"
    SYNCING = "syncing"
    IDLE = "idle"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Signature:
    """How a file is recognised as unchanged without reading it."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Signature:
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ino)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the journal: this content of this path was stored under its key.

    `digest` is the ETag that S3 gives this content when it is not encrypted with KMS (the MD5, or the MD5
    of the parts' MD5s); `etag` is what the store really answered.
    `racy` says that the file was changed so shortly before it was read that its time stamp may not move at
    the next write (a file system's clock ticks every few milliseconds, on some every two seconds), so an
    equal signature proves nothing when an event says that the file was written.
    """

    path: str
    signature: Signature
    digest: str
    etag: str
    version: str | None
    uploaded_at: float
    racy: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that is not uploaded, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a sync is: what a progress bar needs."""

    state: State
    total: int  # files of this round, done and waiting
    done: int
    bytes_uploaded: int
    current: str  # the path that was started last


class Progress(Protocol):
    """Gets told after every change; called from the sync's own thread, so it must return quickly."""

    def update(self, snapshot: Snapshot) -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """The sync's clocks in seconds, in one place so that tests can be quick.

    `settle`: how long size and time must stand still for a file whose end nobody announced.
    `quiet`: after an upload, a path that is written again this soon has to settle first.
    `grace`: a deleted path may come back (editors replace files by delete and create) before it is mirrored.
    """

    settle: float = 0.5
    quiet: float = 2.0
    grace: float = 2.0
    scan: float = 30.0
    poll: float = 1.0
    probe: float = 30.0
    tick: float = 1.0
    stop: float = 1.5
    retry_first: float = 0.2
    retry_most: float = 30.0
    engine_first: float = 0.1
    engine_most: float = 2.0
    once_settle: float = 10.0  # a one-shot sync gives up on a file that is written this long
    once_attempts: int = 4


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What one sync needs to know; durations in seconds."""

    folder: str
    bucket: str
    journal: str
    prefix: str = DEFAULT_PREFIX
    mirror: bool = False
    poll: bool = False
    status: str | None = None
    once: bool = False
    workers: int = 4
    engine_wait_s: float | None = None  # None: wait for ever
    timing: Timing = field(default_factory=Timing)

    def key(self, path: str) -> str:
        """The S3 key of a path."""
        return self.prefix + path


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did."""

    uploaded: int
    already_there: int  # in the bucket with this content, only the journal did not know
    unchanged: int
    deleted: int
    bytes_uploaded: int
    left_out: tuple[LeftOut, ...]
    failed: tuple[LeftOut, ...]
    seconds: float
    abandoned: int  # uploads that were still under way when it was told to stop


def join(root: str, path: str) -> str:
    """The place of a path in the file system. Text, not `Path`: this runs for every file of every walk."""
    return f"{root}/{path}" if path else root


def shown(path: str) -> str:
    """The path for a terminal or a log line: what cannot be printed is escaped."""
    if path.isprintable():
        return path
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in path)


def size_text(size_bytes: int) -> str:
    """A size for people: `240 KB`."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    for unit, factor in (("KB", 1e3), ("MB", 1e6)):
        if size_bytes < factor * 1000:
            value = size_bytes / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size_bytes / 1e9:.1f} GB"
