"""One go: bring a bucket up to date with a folder and say what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.errors import UsageError
from darkroom.sync.lock import JournalLock
from darkroom.sync.model import DEFAULT_PREFIX, Progress, SyncOptions, SyncResult
from darkroom.sync.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom.sync.reconcile import Connect


def sync_once(
    folder: Path,
    bucket: str,
    *,
    journal: Path,
    prefix: str = DEFAULT_PREFIX,
    mirror: bool = False,
    workers: int = 4,
    engine_wait_s: float = 30.0,
    progress: Progress | None = None,
    connect: Connect | None = None,
) -> SyncResult:
    """Upload what the bucket lacks, then return.

    Files that cannot be stored stand in `SyncResult.failed`; the journal makes the next call quick.

    Args:
        mirror: delete in the bucket what was uploaded from here and is deleted here.
        engine_wait_s: how long to wait for a bucket that does not answer.
        connect: makes the store; boto's environment by default.

    Raises:
        UsageError: no such folder, or the journal cannot be used or is in use.
        EngineError: the bucket did not answer in time.
    """
    if not folder.is_dir():
        raise UsageError(f"the folder {folder} does not exist")
    options = SyncOptions(
        folder=str(folder),
        bucket=bucket,
        journal=str(journal),
        prefix=prefix,
        mirror=mirror,
        once=True,
        workers=workers,
        engine_wait_s=engine_wait_s,
    )
    with JournalLock(options.journal):
        return Service(options, connect=connect, progress=progress).run()
