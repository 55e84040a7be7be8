"""Workers' own folders, and what a killed runtime left behind.

workers/<id>/tmp          the function's temporary folder (TMPDIR)
workers/<id>/group        the process group of the worker
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)


def new_folder(workers: Path) -> Path:
    """A folder for one worker, readable by its owner only."""
    folder = workers / uuid.uuid4().hex[:12]
    folder.mkdir(mode=0o700, parents=True)
    (folder / "tmp").mkdir(mode=0o700)
    return folder


def note_group(folder: Path, group: int) -> None:
    """Write down the process group, so that the next start can end what survived."""
    try:
        (folder / "group").write_text(str(group))
    except OSError as error:  # a full disk: the worker runs all the same
        _log.warning("the process group of a worker could not be noted: %s", error)


def kill_group(group: int) -> None:
    """End a worker and its children. Group 0 would be our own."""
    if group <= 0:
        raise ValueError(f"{group} is no worker's process group")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def clear(workers: Path) -> int:
    """Remove all folders of an earlier run, ending what still runs in one. Returns how many there were."""
    workers.mkdir(parents=True, exist_ok=True)
    folders = list(workers.iterdir())
    for folder in folders:
        _end_survivors(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return len(folders)


def _end_survivors(folder: Path) -> None:
    """Kill processes of the noted group, but only those that carry this very folder in their environment.

    Workers die with the runtime; a child that a handler started may not. Process ids are used again, so the
    number alone proves nothing.
    """
    with contextlib.suppress(OSError, ValueError):
        group = int((folder / "group").read_text())
        os.killpg(group, 0)  # raises when no process is left, which is the rule
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) == group and process.environ().get("TMPDIR") == str(
                    folder / "tmp"
                ):
                    _log.warning(
                        "ending process %d, left over from a function of an earlier run", process.pid
                    )
                    process.kill()
