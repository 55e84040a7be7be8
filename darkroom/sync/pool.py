"""Worker threads that end with the process.

`concurrent.futures` waits for its threads when the interpreter exits, for as long as an upload takes; these
are daemon threads, so a sync that was told to stop can leave a slow upload behind (its ETag tells later that
it got through).
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Token = TypeVar("Token")
Result = TypeVar("Result")


class Pool(Generic[Token, Result]):
    """`size` threads that run tasks and hand each result, or the exception, to `deliver` with its token."""

    def __init__(self, size: int, deliver: Callable[[Token, Result | Exception], None], *, name: str) -> None:
        self._tasks: queue.SimpleQueue[tuple[Token, Callable[[], Result]] | None] = queue.SimpleQueue()
        self._deliver = deliver
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, token: Token, task: Callable[[], Result]) -> None:
        """Run `task` on some thread."""
        self._tasks.put((token, task))

    def close(self, *, timeout_s: float) -> bool:
        """Let the threads end; returns whether all did in time."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            token, task = item
            self._deliver(token, _attempt(task))
            del item, token, task  # a waiting thread must not hold on to what it did


def _attempt(task: Callable[[], Result]) -> Result | Exception:
    try:
        return task()
    except Exception as error:  # noqa: BLE001 - handed to the owner of the pool, who knows what it means
        return error
