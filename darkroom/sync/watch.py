"""From watchdog's events to hints about paths.

Linux tells when a file was closed after writing, so a photo is uploaded the moment its copy ends. macOS and
Windows tell only that something changed; the path then has to stand still for a moment.

Folders that are new are handed on as TREE: what was put in before the watch stood is found by a walk, so
watchdog's own made-up events for them are not needed.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from watchdog import events as fs
from watchdog.observers.api import BaseObserver

from darkroom.sync.model import Hint

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent

Emit = Callable[[Hint, str], None]

log = logging.getLogger("darkroom.sync")

# Only what is used is asked for: the sync's own reading would otherwise make events without end.
_CLOSING = [
    fs.FileClosedEvent,
    fs.FileCreatedEvent,
    fs.FileMovedEvent,
    fs.FileDeletedEvent,
    fs.DirCreatedEvent,
    fs.DirMovedEvent,
    fs.DirDeletedEvent,
]


class OnLost(Protocol):
    """Told that events were lost, and whether the watch itself is `broken`."""

    def __call__(self, *, broken: bool) -> None: ...


class WatchError(Exception):
    """The system does not let the folder be watched; `str(error)` says why."""


class Watcher:
    """Watches one folder and everything in it until `stop`. Hints come from another thread.

    Raises:
        WatchError: no more watches to be had, or the system has none for this folder.
        FileNotFoundError: the folder is gone.
    """

    def __init__(self, root: str, emit: Emit) -> None:
        self._observer: BaseObserver | None = None
        self._broken = False
        self._emit = emit
        try:
            self._observer = _observer(self._on_lost)
            self._observer.start()
            wanted: list[type[fs.FileSystemEvent]] | None = list(_CLOSING) if _on_linux() else None
            self._observer.schedule(_Handler(root, emit), root, recursive=True, event_filter=wanted)
        except FileNotFoundError:
            self.stop()
            raise
        except OSError as error:
            self.stop()
            raise WatchError(error.strerror or str(error)) from error

    @property
    def healthy(self) -> bool:
        """False when the watch may be deaf: make a new one."""
        observer = self._observer
        alive = observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)
        return alive and not self._broken

    def _on_lost(self, *, broken: bool) -> None:
        self._broken = self._broken or broken
        self._emit(Hint.RESCAN, "")

    def stop(self) -> None:
        """End the observer's threads."""
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=0.3)


class _Handler(fs.FileSystemEventHandler):
    def __init__(self, root: str, emit: Emit) -> None:
        self._root = root
        self._prefix = root.rstrip(os.sep) + os.sep
        self._emit = emit

    def dispatch(self, event: fs.FileSystemEvent) -> None:
        if event.is_synthetic:
            return
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        if event.event_type == fs.EVENT_TYPE_MOVED:
            self._tell(Hint.GONE, source)
            self._tell(Hint.TREE if event.is_directory else Hint.COMPLETE, target)
        elif event.event_type == fs.EVENT_TYPE_DELETED:
            self._tell(Hint.GONE, source)
        elif event.is_directory:
            if event.event_type == fs.EVENT_TYPE_CREATED:
                self._tell(Hint.TREE, source)
        elif event.event_type == fs.EVENT_TYPE_CLOSED:
            self._tell(Hint.COMPLETE, source)
        elif event.event_type in {fs.EVENT_TYPE_CREATED, fs.EVENT_TYPE_MODIFIED}:
            self._tell(Hint.CHANGED, source)

    def _tell(self, hint: Hint, full: str) -> None:
        if full == self._root:
            self._emit(Hint.RESCAN, "")
        elif full.startswith(self._prefix):
            path = full[len(self._prefix) :]
            self._emit(hint, path if os.sep == "/" else path.replace(os.sep, "/"))


def _on_linux() -> bool:
    return sys.platform.startswith("linux")


def _observer(on_lost: OnLost) -> BaseObserver:
    if _on_linux():
        return _linux_observer(on_lost)
    from watchdog.observers import Observer

    return Observer(timeout=1.0)


def _linux_observer(on_lost: OnLost) -> BaseObserver:
    """watchdog's inotify observer, with three differences: it tells when the kernel's queue ran over, it tells
    when its book of watched folders went wrong (its thread dies of that otherwise: folders that are moved and
    deleted at the same moment), and a file that is moved away delays the events behind it by 20 ms, not by half
    a second.
    """
    from watchdog.observers.inotify import InotifyFullEmitter
    from watchdog.observers.inotify_c import InotifyFD
    from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

    # The two halves of a move stand next to each other in the kernel's queue.
    InotifyMoveEventGrouper.delay = 0.02
    # A folder that is moved out and in again is still watched; watchdog warns, and does the right thing.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")

    class Fd(InotifyFD):
        def handle_event(self, event: InotifyEvent) -> None:
            try:
                super().handle_event(event)
            except (KeyError, OSError) as error:
                log.debug("the watch went wrong and is made anew: %r", error)
                on_lost(broken=True)
            if event.is_queue_overflow:
                on_lost(broken=False)

    class Observer(BaseObserver):
        def __init__(self) -> None:
            self._fd = Fd()
            self._fd.start()
            super().__init__(InotifyFullEmitter, inotify_fd=self._fd)

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._fd.stop()
            self._fd.join()

    return Observer()
