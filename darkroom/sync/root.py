"""The watched folder itself: there, gone, or another one under the same name."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from darkroom.sync.model import Hint, shown
from darkroom.sync.watch import Emit, Watcher, WatchError

log = logging.getLogger("darkroom.sync")


class Watching(Protocol):
    """Something that sends hints until it is stopped, or until it is no longer `healthy`."""

    @property
    def healthy(self) -> bool: ...

    def stop(self) -> None: ...


WatcherFactory = Callable[[str, Emit], Watching]


class Root:
    """Keeps a watcher on the folder, and makes a new one when the folder was removed and made again.

    `polling` turns true when the system has no watcher to give.
    """

    def __init__(self, path: str, emit: Emit, *, poll: bool, watcher: WatcherFactory = Watcher) -> None:
        self.path = path
        self.polling = poll
        self._emit = emit
        self._make = watcher
        self._watcher: Watching | None = None
        self._identity: tuple[int, int] | None = None
        self._missed = False

    @property
    def there(self) -> bool:
        return self._identity is not None

    def look(self) -> None:
        """Notice whether the folder came, went or was replaced; cheap, one stat."""
        identity = self._stat()
        deaf = self._watcher is not None and not self._watcher.healthy
        if identity == self._identity and not deaf:
            if identity is None and not self._missed:
                self._missed = True
                log.warning("the folder %s is not there; waiting for it", shown(self.path))
            return
        self.stop()
        if identity is None:
            self._missed = True
            log.warning("the folder %s was removed; waiting until it is made again", shown(self.path))
            self._identity = None
            return
        if self._missed:
            log.info("the folder %s is there", shown(self.path))
        self._missed = False
        self._identity = identity
        self._watch()
        self._emit(Hint.RESCAN, "")  # after the watch stands, so that nothing falls between

    def stop(self) -> None:
        """End watching."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None

    def _watch(self) -> None:
        if self.polling:
            return
        try:
            self._watcher = self._make(self.path, self._emit)
        except FileNotFoundError:
            self._identity = None  # gone again already: the next look tells
        except WatchError as error:
            self.polling = True
            log.warning(
                "the folder %s cannot be watched (%s); it is looked through again and again instead. "
                "On Linux, raising fs.inotify.max_user_watches or max_user_instances helps",
                shown(self.path),
                error,
            )

    def _stat(self) -> tuple[int, int] | None:
        try:
            info = Path(self.path).stat()
        except OSError:
            return None
        return (info.st_dev, info.st_ino) if stat.S_ISDIR(info.st_mode) else None
