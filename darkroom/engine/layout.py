"""Where the files of one local environment lie.

::

    .darkroom/
    ├── credentials        AWS shared credentials file of this environment (0600)
    ├── instance.json      keys and tokens that the parts share (0600)
    ├── source.json        the bucket and the folder of code that the parts were started with
    ├── stack.json         names of the deployed bucket, table and function
    ├── uncounted          only there if the last stop came before all changes were counted
    ├── truth.json         whether the engine holds everything, or a crash lost some of it
    ├── reload.json        what became of the code that was saved last
    ├── keyring.json       temporary credentials that the gateway has seen handed out (0600)
    ├── supervisord.conf   the parts and how to start them (0600)
    ├── run/               sockets and pid files: gone after `down`
    ├── logs/              one file per part
    ├── engine/            ministack's saved state, and objects/ on disk
    ├── damaged/           objects that a power loss had cut short; only there if there were any
    ├── runtime/           the queue of events, extracted code, workers' folders
    ├── sync/              the journal and the status of the folder sync
    ├── choice.json        the engine that the last `up` started, while it is up
    └── localstack/        the same for the LocalStack engine: its own journal, logs, names
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.settings import Settings

_SOCKET_PATH_LIMIT = 92
"""Bytes of a Unix socket's path that every system takes (Linux 107, macOS 103), with supervisord's `.PID` after it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one environment."""

    home: Path
    run: Path

    @property
    def credentials(self) -> Path:
        return self.home / "credentials"

    @property
    def instance(self) -> Path:
        return self.home / "instance.json"

    @property
    def keyring(self) -> Path:
        return self.home / "keyring.json"

    @property
    def supervisor_conf(self) -> Path:
        return self.home / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def supervisor_pid(self) -> Path:
        return self.run / "supervisord.pid"

    @property
    def engine_socket(self) -> Path:
        return self.run / "engine.sock"

    @property
    def runtime_socket(self) -> Path:
        return self.run / "runtime.sock"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def engine_state(self) -> Path:
        return self.home / "engine"

    @property
    def objects(self) -> Path:
        return self.engine_state / "objects"

    @property
    def damaged(self) -> Path:
        return self.home / "damaged"

    @property
    def runtime_state(self) -> Path:
        return self.home / "runtime"

    @property
    def sync_state(self) -> Path:
        return self.home / "sync"

    @property
    def sync_journal(self) -> Path:
        return self.sync_state / "journal.sqlite"

    @property
    def sync_status(self) -> Path:
        return self.sync_state / "status.json"

    @property
    def uncounted(self) -> Path:
        return self.home / "uncounted"

    @property
    def truth(self) -> Path:
        return self.home / "truth.json"

    @property
    def reload_status(self) -> Path:
        return self.home / "reload.json"

    @property
    def source(self) -> Path:
        return self.home / "source.json"

    @property
    def rekognition_mode(self) -> Path:
        return self.home / "rekognition.json"

    @property
    def stack(self) -> Path:
        return self.home / "stack.json"

    def create(self) -> None:
        """Make the folders, readable by their owner only.

        Raises:
            OSError: the state folder cannot be written.
        """
        for folder in (
            self.home,
            self.run,
            self.logs,
            self.engine_state,
            self.runtime_state,
            self.sync_state,
        ):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def layout_of(settings: Settings, home: Path | None = None) -> Layout:
    """The layout for these settings; sockets go to a short folder where the state folder's path is too long.

    Args:
        settings: of the environment.
        home: another state folder than the settings'.
    """
    home = home or settings.home
    run = home / "run"
    name = f"darkroom-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    if _is_too_long(run):
        run = Path(tempfile.gettempdir()) / name
    if _is_too_long(run):  # TMPDIR may be deep, too
        run = Path("/tmp") / name  # noqa: S108 - made for its owner only
    return Layout(home=home, run=run)


def _is_too_long(run: Path) -> bool:
    return len(str(run / "supervisor.sock").encode()) > _SOCKET_PATH_LIMIT
