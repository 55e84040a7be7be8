"""When a path is ready to be read: at once after a close, otherwise when it stood still for a moment.

                    COMPLETE                         ready
    (nothing) ────────────────────────────────────▶ handed out once
        │  CHANGED, or COMPLETE of an empty file         ▲
        │  or of one that was uploaded a moment ago      │ same size, time and inode
        └──────────▶ waiting ── look after `settle` ─────┤
                        ▲                                │ different
                        └────────────────────────────────┘
                                 vanished: forgotten

Pure: the clock is handed in with every call, the file system through `look`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from darkroom.sync.model import Signature, Timing

Look = Callable[[str], Signature | None]


@dataclass(slots=True)
class _Waiting:
    due: float
    seen: Signature | None
    written: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A path to look at now; `written` when an event said that it was written."""

    path: str
    written: bool


class Settle:
    """Every path that has to be looked at, each once. Fresh ones go before a backlog."""

    def __init__(self, timing: Timing, look: Look) -> None:
        self._timing = timing
        self._look = look
        self._waiting: dict[str, _Waiting] = {}
        self._heap: list[tuple[float, str]] = []
        self._ready: dict[str, bool] = {}
        self._fresh: deque[str] = deque()
        self._backlog: deque[str] = deque()
        self._uploaded: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._ready)

    def __contains__(self, path: object) -> bool:
        return path in self._waiting or path in self._ready

    def complete(self, path: str, now: float) -> None:
        """The file was closed, or moved here whole."""
        seen = self._look(path)
        if seen is None:
            self.forget(path)
        elif seen.size_bytes == 0 or now - self._uploaded.get(path, -1e9) < self._timing.quiet:
            # An empty file is nearly always about to be filled; one that was just uploaded is growing.
            self._wait(path, now + self._timing.settle, seen, written=True)
        else:
            self._waiting.pop(path, None)
            self._make_ready(path, written=True, to=self._fresh)

    def changed(self, path: str, now: float) -> None:
        """The file is new or different, and may still be written."""
        if path not in self._ready:
            self._wait(path, now + self._timing.settle, self._look(path), written=True)

    def found(self, path: str, seen: Signature, age: float, now: float) -> None:
        """A walk found the file; `age` seconds ago it was changed last (negative: the clocks differ)."""
        if path in self._waiting or path in self._ready:
            return
        if age >= self._timing.settle:
            self._make_ready(path, written=False, to=self._backlog)
        else:
            self._wait(path, now + self._timing.settle, seen, written=False)

    def later(self, path: str, now: float, delay: float) -> None:
        """Look again after a delay, after a failure for instance."""
        self._wait(path, now + delay, self._look(path), written=False)

    def again(self, item: Ready) -> None:
        """A path that was handed out but could not be worked on."""
        self._make_ready(item.path, written=item.written, to=self._fresh)

    def uploaded(self, path: str, now: float) -> None:
        """Remember that this path was just uploaded."""
        self._uploaded[path] = now
        if len(self._uploaded) > 4096:
            self._uploaded = {p: t for p, t in self._uploaded.items() if now - t < self._timing.quiet}

    def forget(self, path: str) -> None:
        """The file is gone."""
        self._waiting.pop(path, None)
        self._ready.pop(path, None)

    def unsettled(self) -> list[str]:
        """The paths that are not ready."""
        return list(self._waiting)

    def next_due(self) -> float | None:
        """When the next look is due."""
        while self._heap:
            due, path = self._heap[0]
            entry = self._waiting.get(path)
            if entry is not None and entry.due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def pump(self, now: float) -> None:
        """Look at everything that is due."""
        while (due := self.next_due()) is not None and due <= now:
            _, path = heapq.heappop(self._heap)
            entry = self._waiting[path]
            seen = self._look(path)
            if seen is None:
                del self._waiting[path]
            elif seen == entry.seen:
                del self._waiting[path]
                self._make_ready(path, written=entry.written, to=self._fresh)
            else:
                self._wait(path, now + self._timing.settle, seen, written=entry.written)

    def take(self) -> Ready | None:
        """The next path to work on."""
        for queue in (self._fresh, self._backlog):
            while queue:
                path = queue.popleft()
                if path in self._ready:
                    return Ready(path, self._ready.pop(path))
        return None

    def _make_ready(self, path: str, *, written: bool, to: deque[str]) -> None:
        if path not in self._ready or to is self._fresh:
            to.append(path)
        self._ready[path] = written or self._ready.get(path, False)

    def _wait(self, path: str, due: float, seen: Signature | None, *, written: bool) -> None:
        if seen is None:
            self.forget(path)
            return
        self._ready.pop(path, None)
        before = self._waiting.get(path)
        written = written or (before is not None and before.written)
        self._waiting[path] = _Waiting(due, seen, written)
        heapq.heappush(self._heap, (due, path))
