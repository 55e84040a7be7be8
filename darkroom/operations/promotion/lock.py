"""One deployment at a time: a lock in the artefact bucket, made by a conditional write.

    absent ──make──▶ held ──refreshed every 20 s──▶ held ──release──▶ absent
                       └──no sign of life for 2 min──▶ stale ──taken over──▶ held by another

CloudFormation itself refuses two changes at once, but a promotion is more than one change: between the plan and the
end of the smoke test nobody else may deploy.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from darkroom.errors import DeployError
from darkroom.stack.artefacts import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from darkroom.stack.artefacts import Artefacts

KEY = "lock.json"
STALE_S = 120.0
_REFRESH_S = 20.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who deploys.

    Attributes:
        who: the caller's ARN.
        host: name of the machine.
        pid: process id there.
        started_at: Unix time, seconds.
        seen_at: the last sign of life, Unix time, seconds.
    """

    who: str
    host: str
    pid: int
    started_at: float
    seen_at: float

    def is_gone(self, now: float) -> bool:
        """Whether it has not been heard of for long, or its process on this machine has ended."""
        return now - self.seen_at > STALE_S or (self.host == socket.gethostname() and not _lives(self.pid))


class Lock:
    """Held while the block runs.

    Args:
        artefacts: the bucket.
        who: the caller's ARN.
        report: told when a dead run's lock is taken over.
    """

    def __init__(
        self, artefacts: Artefacts, *, who: str, report: Callable[[str], None] = lambda _: None
    ) -> None:
        now = time.time()
        self._artefacts = artefacts
        self._holder = Holder(who, socket.gethostname(), os.getpid(), now, now)
        self._report = report
        self._etag = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = False

    def __enter__(self) -> Lock:
        """
        Raises:
            DeployError: somebody else deploys; the message says who and since when.
        """
        self._etag = self._acquire()
        self._thread = threading.Thread(target=self._refresh_for_ever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if not self._lost:
            self._artefacts.delete(KEY)

    def insist(self) -> None:
        """
        Raises:
            DeployError: another run has taken the lock over meanwhile.
        """
        if self._lost:
            raise DeployError(
                "Another deployment has taken over while this one was not heard of. Nothing more is changed here.",
                hint="Wait for it to end, then plan again.",
            )

    def _acquire(self) -> str:
        for _ in range(3):
            try:
                return self._artefacts.put(
                    KEY, self._content(), content_type="application/json", unless_there=True
                )
            except ConflictError:
                pass
            held = self._artefacts.get(KEY)
            if held is None:
                continue  # released just now
            holder = Holder(**json.loads(held.content))
            now = time.time()
            if not holder.is_gone(now):
                raise _busy(holder, now)
            try:
                etag = self._artefacts.put(
                    KEY, self._content(), content_type="application/json", instead_of=held.etag
                )
            except ConflictError:
                continue
            self._report(
                f"an earlier deployment by {holder.who} on {holder.host} was interrupted: going on with it"
            )
            return etag
        raise DeployError("Others deploy at the same moment.", hint="Try again.")

    def _content(self) -> bytes:
        return json.dumps(asdict(self._holder)).encode()

    def _refresh_for_ever(self) -> None:
        while not self._stop.wait(_REFRESH_S):
            holder = self._holder
            self._holder = Holder(holder.who, holder.host, holder.pid, holder.started_at, time.time())
            try:
                self._etag = self._artefacts.put(
                    KEY, self._content(), content_type="application/json", instead_of=self._etag
                )
            except ConflictError:
                self._lost = True
                return
            except Exception as error:  # noqa: BLE001 (a network that is away now may be back at the next beat)
                self._report(f"the lock could not be refreshed: {error}")


def _busy(holder: Holder, now: float) -> DeployError:
    return DeployError(
        f"Another deployment is under way: by {holder.who} on {holder.host} (process {holder.pid}), "
        f"for {now - holder.started_at:.0f} s; its last sign of life was {now - holder.seen_at:.0f} s ago.",
        hint=f"Wait for it to end. If it was killed on another machine, it is taken over after {STALE_S:.0f} s.",
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
