"""What was refused, in the gateway's log: one line each, and not more lines than somebody can read."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from darkroom.engine.gateway.guard import Refusal

log = logging.getLogger("darkroom.gateway")

_WINDOW_S = 10.0
_LINES_PER_WINDOW = 100
_SHOWN_CHARACTERS = 120


class Refusals:
    """Writes refusals to the log; a page that tries a thousand times gets a hundred lines and a count.

    No query, key or signature is written: only method, path and what a browser says of itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window_ends = 0.0
        self._count = 0

    def note(self, request: web.BaseRequest, refused: Refusal) -> None:
        """Write one refusal, unless this window is full."""
        now = self._clock()
        if now >= self._window_ends:
            if self._count > _LINES_PER_WINDOW:
                log.info("refused %d more requests meanwhile", self._count - _LINES_PER_WINDOW)
            self._window_ends = now + _WINDOW_S
            self._count = 0
        self._count += 1
        if self._count <= _LINES_PER_WINDOW:
            said = {
                name: request.headers[name]
                for name in ("Host", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Dest")
                if name in request.headers
            }
            log.info(
                "refused %s %.*r: %s (%.200r)",
                request.method[:16],
                _SHOWN_CHARACTERS,
                request.raw_path.partition("?")[0],
                refused.message,
                said,
            )
