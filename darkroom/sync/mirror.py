"""--mirror: what is deleted here is deleted in the bucket, carefully.

Only keys of the journal are candidates, and the uploader asks the bucket once more whether the object is still the
one that was uploaded. A path must stay away for a moment first, because editors replace a file by deleting it. An
empty folder deletes nothing: it is more likely an unmounted disk than a wish.

Known limit: what got into the bucket while the connection or this process died, and was deleted here before the
journal learned of it, stays there. Nothing is deleted that cannot be proven to come from here.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.sync.model import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from darkroom.sync.model import Row

log = logging.getLogger("darkroom.sync")


class Mirror:
    """Paths that are gone, first in their moment of grace, then as journal lines to be removed."""

    def __init__(self, *, root: str, grace_s: float, below: Callable[[str], Iterable[Row]]) -> None:
        self._root = root
        self._grace_s = grace_s
        self._below = below
        self._gone: dict[str, float] = {}
        self._removals: deque[Row] = deque()
        self._warned = False

    def __len__(self) -> int:
        return len(self._gone) + len(self._removals)

    def gone(self, path: str, now: float) -> None:
        """A file or folder was deleted or moved away."""
        self._gone.setdefault(path, now + self._grace_s)

    def missing(self, rows: Iterable[Row], *, files: int, whole: bool, now: float) -> None:
        """A walk that saw `files` files did not see these."""
        paths = [row.path for row in rows]
        if whole and files == 0 and paths:
            if not self._warned:
                log.warning(
                    "the folder is empty, but %d files were uploaded from it: nothing is deleted in the "
                    "bucket until it holds a file again",
                    len(paths),
                )
            self._warned = True
            return
        self._warned = False
        for path in paths:
            self.gone(path, now)

    def next_due(self) -> float | None:
        return min(self._gone.values(), default=None)

    def pump(self, now: float) -> None:
        """Turn what stayed away long enough into removals; what came back is left alone."""
        due = [path for path, moment in self._gone.items() if moment <= now]
        if not due:
            return
        if not Path(self._root).is_dir():
            self._gone.clear()  # the folder itself went: that is no wish about its files
            return
        queued = {row.path for row in self._removals}
        for path in due:
            del self._gone[path]
            self._removals.extend(row for row in self._absent(path) if row.path not in queued)

    def again(self, row: Row) -> None:
        """A removal that could not be done now."""
        self._removals.append(row)

    def take(self) -> Row | None:
        """The next line to remove."""
        while self._removals:
            row = self._removals.popleft()
            if not os.path.lexists(join(self._root, row.path)):
                return row
        return None

    def _absent(self, path: str) -> Iterator[Row]:
        for row in self._below(path):
            if not os.path.lexists(join(self._root, row.path)):
                yield row
