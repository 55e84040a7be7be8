"""One local environment as a person sees it: up, down, status, what is on its way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import filelock

from darkroom.engine.choice import choose, engine_for, engine_named, forget, note
from darkroom.engine.embedded import EmbeddedEngine
from darkroom.errors import EngineError, NotRunningError
from darkroom.operations.deployment import Deployed, LocalDeployment, remember, remembered
from darkroom.operations.records import UPLOADS, Images, candidate_keys
from darkroom.operations.recovery import Recovery, exclusive, recount
from darkroom.operations.rekognition import forget_mode, status_of, switch_as_set
from darkroom.operations.sources import changed_sources, digests, note_deployed
from darkroom.operations.target import Target

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from darkroom.engine.base import Source
    from darkroom.engine.layout import Layout
    from darkroom.engine.localstack import LocalStackEngine
    from darkroom.engine.supervision import PartStatus
    from darkroom.operations.localstack import LocalStackDeployment
    from darkroom.settings import Settings

Report = Callable[[str], None]
_LOCK_TIMEOUT_S = 120.0
_CHECKPOINT_RECORDS = 500


@dataclass(frozen=True, slots=True)
class Up:
    """What `up` did, and where things are now."""

    endpoint: str
    page: str
    bucket: str
    table: str
    started: bool
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    engine: str = "embedded"
    why: str = ""
    """Why it is this engine."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Status:
    """How the environment does.

    Attributes:
        running: whether it is up.
        endpoint: its AWS endpoint.
        parts: every supervised part.
        sync: what the sync says of itself (see `darkroom.sync`), empty before it has.
        runtime: what the Lambda runtime says of itself, empty when it does not answer.
        reload: what became of the code that was saved last (see `darkroom.operations.reload`), empty before.
        changed: files that have changed since the last `up` and are deployed by the next one.
        rekognition: the local Rekognition's mode (see `darkroom.rekognition.switch`), empty when it does not answer.
    """

    running: bool
    endpoint: str
    parts: tuple[PartStatus, ...] = ()
    sync: dict[str, Any] = field(default_factory=dict)
    runtime: dict[str, Any] = field(default_factory=dict)
    reload: dict[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    rekognition: dict[str, Any] = field(default_factory=dict)

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """(path, reason) of files that the sync does not upload."""
        return [(item["path"], item["reason"]) for item in self.sync.get("left_out_files") or []]

    @property
    def troubles(self) -> list[str]:
        """What somebody should look at, in sentences."""
        found = [
            f"{part.name} is {part.state}: see `darkroom logs {part.name}`"
            for part in self.parts
            if not part.runs
        ]
        found += [f"{item['path']}: {item['reason']}" for item in self.sync.get("failed_files") or []]
        for name, function in (self.runtime.get("functions") or {}).items():
            if function["lastInitError"]:
                found.append(f"{name} does not start: {_one_line(function['lastInitError'])}")
        if message := self.reload.get("message"):
            found.append(f"saved code is not live, the code before it answers: {message}")
        found += [f"{path} has changed: run `make up`" for path in self.changed]
        queue = self.runtime.get("queue") or {}
        if queue.get("diskTrouble"):
            found.append(f"events cannot be kept on disk: {queue['diskTrouble']}")
        found += [
            f"a failed event could not be delivered: {error}" for error in queue.get("deliveryErrors") or []
        ]
        if lost := (self.runtime.get("logs") or {}).get("linesLost"):
            found.append(f"{lost} log lines of functions were lost")
        return found

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "left_out": self.left_out, "troubles": self.troubles}


class Environment:
    """The local environment that belongs to some settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: EmbeddedEngine | LocalStackEngine = engine_for(settings)
        self._session: boto3.Session | None = None

    @property
    def layout(self) -> Layout:
        return self.engine.layout

    def up(self, *, overrides: Sequence[str], report: Report, preset: str = "") -> Up:
        """Start what does not run, deploy what has changed, start the sync.

        Args:
            overrides: `NAME=VALUE` parameters of the template.
            preset: a file of environments/ by its name, or any such file by its path.
            report: told each step.

        Raises:
            UsageError: a parameter that the template does not have, or a value that it does not allow; or the mode of
                Rekognition that is set cannot be had.
            EngineError: the engine cannot start.
            DeployError: the stack was refused or rolled back.
        """
        choice = choose(self.settings, report)
        if choice.engine is not self.engine.name:
            self.engine, self._session = engine_named(choice.engine, self.settings), None
        stack = self._deployment(overrides, preset)
        source = stack.source()  # a mistake of the user's is told before anything starts
        with self._lock():
            self._use(source, report)
            if not self.engine.is_running():
                forget_mode(self)
            started = self.engine.start(report)
            note(choice, self.settings.home)
            sources = digests(self.settings.project)
            with exclusive(self.layout.home):
                deployed = stack.deploy(self.session(), report)
                remember(deployed, self.layout.stack)
                note_deployed(self.layout.home, sources)
                if deployed.changes:
                    self._keep(report)
            recovered = (
                Recovery(self.settings, self.engine, report).run()
                if isinstance(self.engine, EmbeddedEngine)
                else None
            )
            if started or deployed.changes:
                self.engine.refresh_functions()
            switch_as_set(self, report)
            self._count_what_is_left(deployed, report, is_recovered=recovered is not None)
            self.engine.start_sync()
        return Up(
            endpoint=self.engine.endpoint,
            page=self.engine.page if deployed.api else "",
            bucket=deployed.bucket,
            table=deployed.table,
            started=started,
            changes=(*deployed.changes, *((str(recovered),) if recovered else ())),
            warnings=tuple(self.engine.warnings()),
            engine=choice.engine,
            why=choice.why,
        )

    def _use(self, source: Source, report: Report) -> None:
        """Let the parts work on this bucket and code; where others were in use, everything is started anew."""
        if not isinstance(self.engine, EmbeddedEngine):
            return
        self.engine.use(source)
        if self.engine.is_running() and self.engine.source_in_use() != source:
            report("stopping, to begin with another bucket or folder of code")
            self.engine.stop()

    def _deployment(self, overrides: Sequence[str], preset: str) -> LocalDeployment | LocalStackDeployment:
        if isinstance(self.engine, EmbeddedEngine):
            return LocalDeployment(self.settings, overrides, preset=preset)
        from darkroom.operations.localstack import LocalStackDeployment

        return LocalStackDeployment(
            self.settings, overrides, preset=preset, pause_sync=self.engine.pause_sync
        )

    def _count_what_is_left(self, deployed: Deployed, report: Report, *, is_recovered: bool) -> None:
        """Count what the last `down` cut off; a recovery has done so already."""
        uncounted = self.layout.uncounted
        if not isinstance(self.engine, EmbeddedEngine) or not uncounted.exists():
            return
        if not is_recovered and not deployed.own_function:
            recount(self.session(), self.settings, images_table=deployed.table, report=report)
        uncounted.unlink()

    def _keep(self, report: Report) -> None:
        """Have the new stack saved, so that a crash of the engine does not take it.

        With many records that takes too long (some 2 ms for each): a recovery then deploys the stack again.
        """
        if not isinstance(self.engine, EmbeddedEngine):
            return  # LocalStack community keeps nothing
        if self.images().count_roughly() <= _CHECKPOINT_RECORDS:
            self.engine.checkpoint(report)

    def down(self) -> bool:
        """Stop everything. Returns whether anything ran."""
        if not self.layout.home.exists():
            return False
        with self._lock():
            ran = self.engine.stop()
            forget(self.settings.home)
            return ran

    def reset(self) -> None:
        """Stop, and delete all state."""
        if self.layout.home.exists():
            with self._lock():
                self.engine.stop()
                self.engine.erase()

    def status(self) -> Status:
        if not self.engine.is_running():
            return Status(running=False, endpoint=self.engine.endpoint)
        return Status(
            running=True,
            endpoint=self.engine.endpoint,
            parts=tuple(self.engine.statuses()),
            sync=self.sync_status(),
            runtime=self.engine.runtime_status(),
            reload=_read_json(self.layout.reload_status),
            changed=changed_sources(self.layout.home, self.settings.project),
            rekognition=status_of(self),
        )

    def sync_status(self) -> dict[str, Any]:
        """What the sync says of itself; empty before it has."""
        return _read_json(self.layout.sync_status)

    def sync_pid(self) -> int:
        """The sync's process, 0 when it does not run."""
        return self.engine.pid_of("sync")

    def require_running(self) -> None:
        """
        Raises:
            NotRunningError: it is not up.
        """
        if not self.engine.is_running():
            raise NotRunningError("The environment is not up.", hint="Start it with `make up`.")

    def page(self) -> str:
        """Address of the page; empty where the stack has none."""
        return self.engine.page if remembered(self.layout.stack).api else ""

    def user_pool(self) -> str:
        """Id of the pool of the people who may sign in; empty where nobody does."""
        return remembered(self.layout.stack).user_pool

    def variables(self) -> dict[str, str]:
        """What points an AWS SDK to this environment."""
        if not self.layout.credentials.exists():
            raise NotRunningError("This environment has no keys yet.", hint="Run `make up` first.")
        return self.engine.environment()

    def session(self) -> boto3.Session:
        """A session for this environment only, made once."""
        if self._session is None:
            self._session = self.engine.session()
        return self._session

    def images(self) -> Images:
        return Images(self.session(), table=remembered(self.layout.stack).table)

    def code_folder(self) -> Path:
        """Where the functions' code lies: the project's, or somebody's own."""
        source = self.engine.source_in_use() if isinstance(self.engine, EmbeddedEngine) else None
        return source.code if source else self.settings.project / "lambda"

    def has_own_function(self) -> bool:
        """Whether somebody's own Lambda stands in the tagger's place, so that what its records are is not known."""
        return remembered(self.layout.stack).own_function

    def target(self) -> Target:
        """The deployed stack, for commands that work on any."""
        return Target.of(self.session(), self.settings.stack)

    def files_on_their_way(self) -> list[str]:
        """Paths in the inbox, relative to it, that have no record yet and are not left out."""
        from darkroom.sync.scan import walk

        if self.has_own_function():
            return []
        known = {record["ImageID"] for record in self.images().all()}
        folders = walk(str(self.settings.inbox), "", UPLOADS)
        return [file.path for folder in folders for file in folder.files if UPLOADS + file.path not in known]

    def wait_for_files(self, *, timeout_s: float) -> list[str]:
        """Wait until every file of the inbox has a record; returns those that have none in time."""
        return _wait(self.files_on_their_way, timeout_s=timeout_s)

    def wait_for_name(self, name: str, *, timeout_s: float) -> None:
        """Wait for the record that a file of the inbox is about to get; any other name is not waited for."""
        images = self.images()
        keys = candidate_keys(name, inbox=self.settings.inbox)

        def missing() -> list[str]:
            if any(images.get(key) is not None for key in keys):
                return []
            return [path for path in self.files_on_their_way() if UPLOADS + path in keys]

        _wait(missing, timeout_s=timeout_s)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One `up`, `down` or `reset` at a time."""
        home = self.settings.home
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = filelock.FileLock(home / "lock", timeout=_LOCK_TIMEOUT_S)
            lock.acquire()
        except filelock.Timeout:
            raise EngineError(
                f"Another `darkroom up`, `down` or `reset` has been at work on {home} for {_LOCK_TIMEOUT_S:.0f} s.",
                hint="Wait for it to end, or stop it.",
            ) from None
        except OSError as error:
            raise EngineError(
                f"The state folder {home} cannot be written: {error.strerror}.",
                hint="Choose another with DARKROOM_HOME, or mend its permissions.",
            ) from None
        try:
            yield
        finally:
            lock.release()


def _wait(missing: Callable[[], list[str]], *, timeout_s: float) -> list[str]:
    deadline = time.monotonic() + timeout_s
    pause_s = 0.05
    while (found := missing()) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(0.5, pause_s * 1.5)
    return found


def _one_line(error: Any) -> str:
    """An init error as one sentence: type, message and place."""
    if isinstance(error, dict):
        return " ".join(str(value) for value in error.values() if isinstance(value, str))
    return str(error)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content
