"""Processes that an earlier `up` left behind, after supervisord itself was killed.

Only what surely belongs to this state folder is touched: our own user's processes whose environment names a
temporary folder inside it, as every part and worker gets one, or that were started with its configuration file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from darkroom.engine.layout import Layout

_GRACE_S = 5.0
_ENGINE_GRACE_S = 60.0
"""ministack saves its state when it is asked to end."""


def find(layout: Layout) -> list[psutil.Process]:
    """The processes of this state folder, without this one and those that it runs in."""
    mine = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    return [
        process for process in psutil.process_iter() if process.pid not in mine and belongs(process, layout)
    ]


def belongs(process: psutil.Process, layout: Layout) -> bool:
    """Whether a process was started for this state folder."""
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        if str(layout.supervisor_conf) in process.cmdline():
            return True
        temporary = process.environ().get("TMPDIR", "")
    except (psutil.Error, OSError):
        return False
    return any(_is_in(temporary, folder) for folder in (layout.run, layout.runtime_state))


def end(layout: Layout) -> list[str]:
    """Stop them: supervisord first, for it would start the others again, and the engine last, for it saves its state.

    Returns:
        A name for each that was found.
    """
    found = find(layout)
    supervisors = [process for process in found if str(layout.supervisor_conf) in _words(process)]
    engines = [process for process in found if "ministack.app:app" in _words(process)]
    others = [process for process in found if process not in supervisors and process not in engines]
    for group, grace_s in ((supervisors, _ENGINE_GRACE_S), (others, _GRACE_S), (engines, _ENGINE_GRACE_S)):
        _end(group, grace_s)
    return sorted(f"{_name(process)} ({process.pid})" for process in found)


def _end(processes: Sequence[psutil.Process], grace_s: float) -> None:
    for process in processes:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(processes, timeout=grace_s)
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=_GRACE_S)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


def _words(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return ()


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "process"


def _is_in(path: str, folder: Path) -> bool:
    return path == str(folder) or path.startswith(f"{folder}{os.sep}")
