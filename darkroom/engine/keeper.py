"""The loop of the keeper: it waits for saved code and for an engine that died, and sees to both.

    saved ─▶ settle ─▶ reload ─▶ (a part is away: again in a second)
    each second ─▶ has the engine's socket been made anew? ─▶ recover, again until it works ─▶ reload

The work itself is passed in, so that a resting keeper holds nothing but this.
"""

from __future__ import annotations

import logging
import queue
import subprocess
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = logging.getLogger("darkroom.keeper")

SETTLE_S = 0.06
"""A save is over when nothing has happened for this long: editors write in steps, a checkout writes many files."""
LONGEST_SETTLE_S = 1.0
TICK_S = 1.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_POLL_S = 0.1


class Watch(Protocol):
    """Tells of changes by calling what it was made with."""

    def check(self) -> None:
        """Called about once a second: see that the watch still stands, or look by itself."""

    def stop(self) -> None:
        """End it."""


class Keeper:
    """Runs until `stop`; everything but `stop` and `changed` belongs to one thread."""

    def __init__(
        self,
        *,
        reload: Callable[[], bool],
        engine_restarted: Callable[[], bool],
        recover: Callable[[], bool],
        deployed: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            reload: bring the code folder to the functions; False when it is to be tried again.
            engine_restarted: whether the engine is another process than the one that was last recovered.
            recover: make whole what the engine lost; False when it did not work.
            deployed: something that changes with every deployment: it may have brought older code.
            clock: seconds.
        """
        self._reload = reload
        self._engine_restarted = engine_restarted
        self._recover = recover
        self._deployed = deployed
        self._clock = clock
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._stopped = False
        self._pause_s = _FIRST_PAUSE_S
        self._recover_at = 0.0

    def changed(self) -> None:
        """Something was saved. May be called from any thread."""
        self._signals.put(True)

    def stop(self) -> None:
        """End `run`. May be called from a signal handler."""
        self._stopped = True
        self._signals.put(False)

    @property
    def stopped(self) -> bool:
        return self._stopped

    def run(self, watch: Watch) -> None:
        """Go on until `stop`."""
        self._recover_if_needed()
        due = not self._reload()  # what was saved while nobody looked
        seen = self._deployed()
        while not self._stopped:
            due = self._settled() or due
            watch.check()
            recovered = self._recover_if_needed()
            now = self._deployed()
            if (due or recovered or now != seen) and not self._stopped:
                due = not self._reload()
            seen = now

    def _settled(self) -> bool:
        """Wait for a change and for the end of it; False when a second passes without one."""
        try:
            self._signals.get(timeout=TICK_S)
        except queue.Empty:
            return False
        end = self._clock() + LONGEST_SETTLE_S
        while self._clock() < end and not self._stopped:
            try:
                self._signals.get(timeout=SETTLE_S)
            except queue.Empty:
                break
        return True

    def _recover_if_needed(self) -> bool:
        """Whether a recovery has just worked."""
        if not self._engine_restarted() or self._clock() < self._recover_at:
            return False
        if self._recover():
            self._pause_s, self._recover_at = _FIRST_PAUSE_S, 0.0
            return True
        self._recover_at = self._clock() + self._pause_s
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return False


class EngineMark:
    """Which process the engine was when all was well, by the socket that it made when it started.

    The mark lies in the folder of the sockets, which goes with a clean stop, so that also a keeper that died with the
    engine finds out. Looking costs one `stat`.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._mark = socket.with_name("keeper.mark")
        if not self._mark.exists():
            self.note()

    def is_another(self) -> bool:
        """Whether the socket is a new one; False while there is none, because nothing can be done then."""
        now = self._now()
        return bool(now) and now != self._mark.read_text()

    def note(self) -> None:
        """From now on this engine is the one."""
        self._mark.write_text(self._now())

    def _now(self) -> str:
        try:
            stat = self._socket.stat()
        except OSError:
            return ""
        return f"{stat.st_ino} {stat.st_mtime_ns}"  # an inode's number alone may be used again


def run_recovery(command: Sequence[str], mark: EngineMark, *, stopped: Callable[[], bool]) -> bool:
    """Run the recovery as a process of its own; True, and the engine noted, when it worked.

    It is ended when the keeper has to end.
    """
    log.warning("the engine has been restarted: what it had lost is brought back")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while (code := process.poll()) is None:
        if stopped():
            process.terminate()
        time.sleep(_POLL_S)
    if code:
        log.warning("the recovery ended with code %d; it is tried again", code)
        return False
    mark.note()
    return True
