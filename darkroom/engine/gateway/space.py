"""Refusing uploads before the disk is full.

The engine answers 200 to an upload that it could not write: the object then lives in memory until the next crash. So
uploads are refused while there is still room for what belongs to those that were taken: their JSON files, the queue's
log, the engine's state. The answer is S3's own for "not now", which SDKs and the sync try again.

    free space        refused
    below 64 MB       uploads of people and tools
    below 16 MB       what functions write, too
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from darkroom.engine.gateway.guard import Caller, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UPLOAD_RESERVE_BYTES = 64_000_000
FUNCTION_RESERVE_BYTES = 16_000_000
_LOOK_S = 0.25
_WRITES = frozenset(("PUT", "POST"))
_ROLE_SESSION = "ASIA"


def free_bytes(folder: Path) -> int:
    """What a user without privileges may still write."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Space:
    """The disk of the state folder, looked at four times a second at most."""

    def __init__(
        self,
        folder: Path,
        *,
        free: Callable[[Path], int] = free_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._free = free
        self._clock = clock
        self._next_look = 0.0
        self._left = 0

    def refusal(self, method: str, query: str, caller: Caller, length: int | None) -> Refusal | None:
        """Whether a request has to wait until there is room.

        Args:
            method: of HTTP.
            query: of the address; `?delete` makes a POST one that frees space.
            caller: who asks, of which service.
            length: of the body; None for one that does not say.
        """
        if caller.service != "s3" or method not in _WRITES or query in {"delete", "delete="}:
            return None
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._left = self._free(self._folder)
        by_function = caller.access_key.startswith(_ROLE_SESSION)
        reserve = FUNCTION_RESERVE_BYTES if by_function else UPLOAD_RESERVE_BYTES
        size = length or 0
        if self._left - size < reserve:
            return Refusal(
                "SlowDown",
                f"The disk of {self._folder} is nearly full ({self._left // 1_000_000} MB are free): "
                "make room, then this is taken.",
                503,
            )
        self._left -= size
        return None
