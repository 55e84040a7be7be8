"""A folder kept in a bucket: `python -m darkroom.sync`, or `sync_once` for one go.

Importing this package is cheap; the parts are loaded when a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.sync.model import LeftOut, Progress, Snapshot, State, SyncOptions, SyncResult
    from darkroom.sync.once import sync_once
    from darkroom.sync.service import Service

__all__ = ["LeftOut", "Progress", "Service", "Snapshot", "State", "SyncOptions", "SyncResult", "sync_once"]

_HOME = {
    "LeftOut": "model",
    "Progress": "model",
    "Service": "service",
    "Snapshot": "model",
    "State": "model",
    "SyncOptions": "model",
    "SyncResult": "model",
    "sync_once": "once",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
