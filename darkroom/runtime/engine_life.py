"""Which run of the engine is the present one.

Role sessions live in the engine's memory only: one that crashed and came back knows none of those that it handed
out. Every run makes its socket's file anew, so one `stat` per invocation tells, and nobody need report the crash.
"""

from __future__ import annotations

import os
import socket

Life = tuple[int, int] | None
"""A name of one run: inode and time of the socket's file. None where there is none."""


class EngineLife:
    """Tells runs of the engine apart.

    Args:
        path: the engine's socket; None stands for an engine that never ends.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path

    def now(self) -> Life:
        """The present run; while the engine is down, the last one."""
        if self._path is None:
            return 0, 0
        try:
            found = os.stat(self._path)  # noqa: PTH116 - asked before every invocation
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def ended_since(self, life: Life) -> bool:
        """Whether that run is over: another one listens at the socket, or nobody does."""
        return self._path is not None and (self.now() != life or not self._listens(self._path))

    @staticmethod
    def _listens(path: str) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.2)
            try:
                probe.connect(path)
            except TimeoutError:
                return True  # it has more to do than it can take, so it lives
            except OSError:
                return False
        return True
