"""A bucket in memory, and a harness that runs a sync in a thread against a real folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from darkroom.sync import Service, State, SyncOptions, SyncResult
from darkroom.sync.model import Timing
from darkroom.sync.store import AwayError, ObjectStore, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

QUICK = Timing(
    settle=0.08,
    quiet=0.3,
    grace=0.1,
    scan=5.0,
    poll=0.05,
    probe=5.0,
    tick=0.03,
    stop=1.0,
    retry_first=0.02,
    retry_most=0.1,
    engine_first=0.01,
    engine_most=0.05,
    once_settle=0.5,
)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Kept:
    """An object of the bucket."""

    body: bytes
    etag: str
    content_type: str


class MemoryStore:
    """`ObjectStore` in memory. `before` is called with operation and key first, and may raise or wait."""

    def __init__(self) -> None:
        self.objects: dict[str, Kept] = {}
        self.puts: list[str] = []
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str, str], None] = lambda _operation, _key: None
        self.after_put: Callable[[str], None] = lambda _key: None
        self.away = False
        self._lock = threading.Lock()

    def _enter(self, operation: str, key: str = "") -> None:
        with self._lock:
            self.calls[operation] += 1
        if self.away:
            raise AwayError("no connection (refused)")
        self.before(operation, key)

    def list(self, prefix: str) -> Iterator[tuple[str, str]]:
        self._enter("list", prefix)
        yield from [(key, kept.etag) for key, kept in self.objects.items() if key.startswith(prefix)]

    def head(self, key: str) -> str | None:
        self._enter("head", key)
        return self.objects[key].etag if key in self.objects else None

    def put(self, key: str, body: bytes | IO[bytes], *, content_type: str) -> Stored:
        self._enter("put", key)
        data = body if isinstance(body, bytes) else body.read()
        return self._keep(key, data, md5(data), content_type)

    def put_parts(self, key: str, parts: Iterable[bytes], *, content_type: str) -> Stored:
        self._enter("put_parts", key)
        pieces = list(parts)
        sums = b"".join(hashlib.md5(piece, usedforsecurity=False).digest() for piece in pieces)
        return self._keep(key, b"".join(pieces), f"{md5(sums)}-{len(pieces)}", content_type)

    def _keep(self, key: str, data: bytes, etag: str, content_type: str) -> Stored:
        with self._lock:
            self.objects[key] = Kept(data, etag, content_type)
            self.puts.append(key)
        self.after_put(key)
        return Stored(etag, f"v{len(self.puts)}")

    def delete(self, key: str) -> None:
        self._enter("delete", key)
        self.objects.pop(key, None)

    def body(self, path: str) -> bytes | None:
        kept = self.objects.get("uploads/" + path)
        return kept.body if kept else None


def wait_until(check: Callable[[], Any], what: str = "", timeout_s: float = 10.0) -> None:
    """Return when `check` is true; fail after the limit."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.005)


class Running:
    """A sync in a thread."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.result: SyncResult | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self.service.run()
        except BaseException as error:  # noqa: BLE001 - shown to the test
            self.error = error

    @property
    def state(self) -> State:
        return self.service.state

    def wait_idle(self) -> None:
        wait_until(lambda: self.error or self.state is State.IDLE, "idle")
        assert self.error is None

    def stop(self) -> SyncResult:
        self.service.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


class Box:
    """A folder, a bucket and a journal; `sync` runs the sync over them."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "inbox"
        self.folder.mkdir()
        self.store = MemoryStore()
        self.status = home / "status.json"
        self.options = SyncOptions(
            folder=str(self.folder),
            bucket="photos",
            journal=str(home / "journal.sqlite"),
            status=str(self.status),
            timing=QUICK,
        )

    def connect(self) -> ObjectStore:
        return self.store

    @contextlib.contextmanager
    def sync(
        self, *, wait: bool = True, seams: dict[str, Any] | None = None, **options: Any
    ) -> Iterator[Running]:
        running = Running(
            Service(replace(self.options, **options), **{"connect": self.connect, **(seams or {})})
        )
        try:
            if wait:
                running.wait_idle()
            yield running
        finally:
            running.stop()

    def once(self, *, seams: dict[str, Any] | None = None, **options: Any) -> SyncResult:
        chosen = replace(self.options, once=True, engine_wait_s=5.0, **options)
        return Service(chosen, **{"connect": self.connect, **(seams or {})}).run()

    def write(self, path: str, data: bytes = b"picture") -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def let_settle(self) -> None:
        """Wait until what was written counts as complete: the time of a status change cannot be set."""
        time.sleep(QUICK.settle)

    def said(self) -> dict[str, Any]:
        """The status file, empty before it is there."""
        return dict(json.loads(self.status.read_text())) if self.status.exists() else {}

    def wait_for(self, path: str, data: bytes) -> None:
        wait_until(lambda: self.store.body(path) == data, f"{path} in the bucket")

    def left_out(self, running: Running) -> dict[str, str]:
        return {item.path: item.reason for item in running.stop().left_out}
