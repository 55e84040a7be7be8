"""The embedded engine: ministack behind our gateway, our Lambda runtime beside it, no Docker."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.engine import ports, remains, runtime_client
from darkroom.engine.base import FileLog, Source
from darkroom.engine.internal import EngineSocket
from darkroom.engine.keys import Keys, create_user, write_private
from darkroom.engine.layout import Layout, layout_of
from darkroom.engine.parts import (
    WARM_FUNCTIONS,
    Part,
    client_environment,
    engine_part,
    gateway_part,
    keeper_part,
    runtime_part,
    sync_part,
)
from darkroom.engine.streams import forget_places
from darkroom.engine.supervision import PartStatus, Supervisor
from darkroom.engine.truth import EngineRun, Truth, flush
from darkroom.engine.venvs import Venv, ensure, runtime_of, template_runtime, venvs_of
from darkroom.engine.wholeness import put_aside
from darkroom.errors import EngineError, NotRunningError
from darkroom.settings import EngineName

if TYPE_CHECKING:
    import boto3

    from darkroom.engine.base import PartLog, Report
    from darkroom.settings import Settings

_log = logging.getLogger(__name__)
_READY_TIMEOUT_S = 30.0
_QUIET_TIMEOUT_S = 5.0
_QUIET_S = 0.1
"""An event is with the runtime a few milliseconds after its upload."""
_NEEDED_BYTES = 64_000_000
"""Free space without which nothing is started."""


class EmbeddedEngine:
    """See `darkroom.engine.base.Engine`."""

    name = EngineName.EMBEDDED
    patience_s = 10.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.layout: Layout = layout_of(settings)
        self._supervisor = Supervisor(self.layout)
        self._source = Source(self.bucket(), settings.project / "lambda", settings.project / "web")
        self._truth = Truth(self.layout.truth, self.layout.engine_state)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._settings.port}"

    @property
    def rekognition_endpoint(self) -> str:
        return self.endpoint

    @property
    def page(self) -> str:
        return f"{self._settings.page_origin}/"

    def is_running(self) -> bool:
        return self._supervisor.is_running()

    def start(self, report: Report) -> bool:
        venvs = self._venvs(report)
        if self._supervisor.is_running():
            self.wait_ready()
            return False
        self._end_remains(report)
        for port, name in (
            (self._settings.port, "DARKROOM_PORT"),
            (self._settings.page, "DARKROOM_PAGE_PORT"),
        ):
            if not ports.is_free(port):
                raise EngineError(
                    f"Port {port} is taken by {ports.holder(port)}.",
                    hint=f"Stop it, or choose another port: {name}={port + 1} make up.",
                )
        self._create_folders()
        try:
            self._start(venvs, report)
        except OSError as error:
            raise EngineError(
                f"The state folder {self.layout.home} cannot be written: {error.strerror}.",
                hint="Make room on the disk, or choose another folder with DARKROOM_HOME.",
            ) from None
        return True

    def _start(self, venvs: tuple[Venv, Venv], report: Report) -> None:
        keys = self._known_keys(report) or self._first_start(venvs[0], report)
        saved = self._truth.is_saved()
        if not saved and (broken := put_aside(self.layout.objects, self.layout.damaged)):
            report(f"put aside into {self.layout.damaged} what was not whole on disk: {', '.join(broken)}")
        self._truth.begin()
        forget_places(self.layout.engine_state)
        self._supervisor.write(self._parts(keys, venvs))
        in_use = {name: value and str(value) for name, value in asdict(self._source).items()}
        write_private(self.layout.source, json.dumps(in_use) + "\n")
        report("starting the engine")
        self._supervisor.start()
        self.wait_ready()
        if saved and (run := self.engine_run()) is not None:
            self._truth.complete(run)

    def start_sync(self) -> None:
        self._settings.inbox.mkdir(parents=True, exist_ok=True)
        self._supervisor.start_part("sync")
        self._supervisor.start_part("keeper")

    def stop(self) -> bool:
        """Also stops what an `up` left behind whose supervisord was killed."""
        ran = self._supervisor.is_running()
        complete = ran and self.is_complete() and self._quiet()
        if ran and not self._is_counted():
            self.layout.uncounted.touch()  # the engine forgets its streams: the next `up` compares
        since = time.time()
        self._supervisor.stop()
        left = remains.end(self.layout)
        if complete and not self._truth.stopped(since=since):
            _log.warning("the engine did not save its state; the next `up` makes it anew")
        shutil.rmtree(self.layout.run, ignore_errors=True)
        return ran or bool(left)

    def engine_run(self) -> EngineRun | None:
        """The run of ministack that is there now; None while there is none.

        Raises:
            EngineError: the environment is not up.
        """
        pid = self.pid_of("engine")
        return EngineRun.of(pid) if pid else None

    def is_complete(self) -> bool:
        """Whether the engine holds everything that it ever held; False after a crash, until a recovery."""
        return self._truth.is_complete(self.engine_run())

    def note_complete(self, run: EngineRun) -> None:
        """A recovery of this run has ended."""
        self._truth.complete(run)

    def pid_of(self, part: str) -> int:
        """Process id of a part; 0 when it does not run.

        Raises:
            EngineError: the environment is not up.
        """
        return self._supervisor.pid_of(part)

    def checkpoint(self, report: Report) -> None:
        """Have the engine save what it holds, by a clean stop and a start: from then on a crash keeps that.

        Nothing is in flight meanwhile but what people and tools send: the gateway answers 503, and SDKs try again.

        Raises:
            EngineError: it does not come back.
        """
        report("saving the stack")
        for part in ("keeper", "sync"):
            self._supervisor.stop_part(part)
        complete = self.is_complete() and self._quiet()
        since = time.time()
        self._supervisor.stop_part("engine")
        saved = self._truth.stopped(since=since) and complete
        self._truth.begin()
        forget_places(self.layout.engine_state)
        self._supervisor.start_part("engine")
        self.wait_ready()
        if saved and (run := self.engine_run()) is not None:
            self._truth.complete(run)

    def _quiet(self) -> bool:
        """Stop the sync and let the events arrive that the engine is still delivering: it forgets them when it stops.

        Returns:
            Whether they have.
        """
        for part in ("keeper", "sync"):
            self._supervisor.stop_part(part)
        accepted: int | None = None
        deadline = time.monotonic() + _QUIET_TIMEOUT_S
        while time.monotonic() < deadline:
            queue = self.runtime_status().get("queue") or {}
            if not queue or queue.get("diskTrouble"):
                return False
            if queue["accepted"] == accepted:
                return True
            accepted = queue["accepted"]
            time.sleep(_QUIET_S)
        return False

    def _is_counted(self) -> bool:
        """Wait a moment until every change of the images table has been counted; False when one may be left."""
        idle = 0
        deadline = time.monotonic() + _QUIET_TIMEOUT_S
        while time.monotonic() < deadline:
            status = self.runtime_status()
            queue = status.get("queue") or {}
            if not queue or queue["waiting"] + queue["running"]:
                return False
            lanes = status["functions"].values()
            idle = 0 if any(lane["busy"] or lane["waiting"] for lane in lanes) else idle + 1
            if idle > 1:
                return True
            time.sleep(_QUIET_S)
        return False

    def _end_remains(self, report: Report) -> None:
        """End what runs without its supervisord, and remove its sockets."""
        if left := remains.end(self.layout):
            report(f"stopped what was left of an earlier run: {', '.join(left)}")
        shutil.rmtree(self.layout.run, ignore_errors=True)

    def erase(self) -> None:
        shutil.rmtree(self.layout.home, ignore_errors=False)

    def statuses(self) -> list[PartStatus]:
        return self._supervisor.statuses()

    def runtime_status(self) -> dict[str, Any]:
        """What the Lambda runtime says of itself; empty when it does not answer."""
        return runtime_client.status(self.layout.runtime_socket)

    def part_names(self) -> tuple[str, ...]:
        return ("engine", "gateway", "runtime", "sync", "keeper")

    def part_log(self, name: str) -> PartLog:
        return FileLog(self.layout.logs / f"{name}.log")

    def refresh_functions(self, *, new_credentials: bool = False) -> None:
        """Let the runtime see a deployment at once, and start a worker for each function that somebody waits for.

        Args:
            new_credentials: roles were made anew, so that sessions of the old ones are void.
        """
        names = [f"{self._settings.stack}-{function}" for function in WARM_FUNCTIONS]
        runtime_client.refresh(self.layout.runtime_socket, warm=names, new_credentials=new_credentials)

    def warnings(self) -> list[str]:
        """What differs from AWS on this machine and can be mended."""
        return self._interpreter_warning()

    def environment(self) -> dict[str, str]:
        return client_environment(self._settings, self.layout)

    def session(self) -> boto3.Session:
        from darkroom.engine.session import LocalSession

        keys = Keys.read(self.layout.instance)
        if keys is None:
            raise NotRunningError("This environment has no keys yet.", hint="Run `make up` first.")
        return LocalSession(
            endpoint=self.endpoint,
            region=self._settings.region,
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key,
        )

    def use(self, source: Source) -> None:
        """What bucket and code the parts work on from the next start on."""
        self._source = source

    def source_in_use(self) -> Source | None:
        """What the parts that run now were started with; None where nothing says so."""
        try:
            found = json.loads(self.layout.source.read_text())
            page, requirements = (found[name] and Path(found[name]) for name in ("page", "requirements"))
            return Source(found["bucket"], Path(found["code"]), page, requirements)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def bucket(self) -> str:
        """The name that the template gives its bucket."""
        return f"{self._settings.stack}-{self._settings.account}"

    def _venvs(self, report: Report) -> tuple[Venv, Venv]:
        venvs = venvs_of(
            self._settings.project,
            template=self._settings.project / "template.yaml",
            functions_python=self._settings.functions_python,
        )
        ensure(venvs, report)
        return venvs

    def _interpreter_warning(self) -> list[str]:
        wanted = template_runtime(self._settings.project / "template.yaml")
        found = runtime_of(self._settings.project / ".venv-functions" / "bin" / "python")
        if found == wanted:
            return []
        mend = f"Install {wanted} and run `make up` again, or name one with DARKROOM_FUNCTIONS_PYTHON."
        return [f"functions run on {found} here, the template says {wanted}. {mend}"]

    def _parts(self, keys: Keys, venvs: tuple[Venv, Venv]) -> list[Part]:
        return [
            engine_part(self._settings, self.layout, keys, venvs[0]),
            gateway_part(self._settings, self.layout),
            runtime_part(self._settings, self.layout, keys, venvs[1]),
            sync_part(self._settings, self.layout, self._source.bucket),
            keeper_part(self._settings, self.layout, venvs[1], self._source),
        ]

    def _known_keys(self, report: Report) -> Keys | None:
        """This environment's keys; None when there are none yet, or the engine's saved state has lost them."""
        keys = Keys.read(self.layout.instance)
        if keys is None:
            return None
        try:
            saved = (self.layout.engine_state / "iam.json").read_text()
        except OSError:
            saved = ""
        if keys.access_key_id in saved:
            return keys
        report(
            "the engine's saved state has lost this environment's keys, so there are new ones: `darkroom env`"
        )
        return None

    def _create_folders(self) -> None:
        home = self.layout.home
        try:
            self.layout.create()
            free = shutil.disk_usage(home).free
            if free < _NEEDED_BYTES:
                raise EngineError(
                    f"The disk of the state folder {home} is full: {free // 1_000_000} MB are free, "
                    f"{_NEEDED_BYTES // 1_000_000} MB are needed.",
                    hint="Make room, or choose a folder on another disk with DARKROOM_HOME.",
                )
        except OSError as error:
            raise EngineError(
                f"The state folder {self.layout.home} cannot be written: {error.strerror}.",
                hint="Choose another with DARKROOM_HOME, or mend its permissions.",
            ) from None

    def _first_start(self, venv: Venv, report: Report) -> Keys:
        """Make this environment's keys: a short run of the engine alone, saved by its clean stop."""
        report("making keys for this environment")
        keys = Keys.new()
        part = engine_part(self._settings, self.layout, keys, venv)
        log_path = self.layout.logs / "engine.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                part.command,
                cwd=self.layout.run,
                env=dict(part.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                engine = EngineSocket(
                    self.layout.engine_socket, root_key=keys.root_key, region=self._settings.region
                )
                while not engine.is_ready():
                    if process.poll() is not None:
                        raise EngineError(f"The engine does not start; see {log_path}.")
                    time.sleep(0.02)
                user = create_user(engine)
            finally:
                process.terminate()
                process.wait(timeout=30)
        self.layout.engine_socket.unlink(missing_ok=True)
        flush(self.layout.engine_state)
        if not self.layout.objects.exists():
            self._truth.note_saved()  # there is nothing yet
        keys = Keys(keys.root_key, keys.token, user["AccessKeyId"], user["SecretAccessKey"])
        keys.write_credentials(self.layout.credentials)
        keys.write(self.layout.instance)
        return keys

    def wait_ready(self) -> None:
        """Return when the gateway, the engine and the runtime answer.

        Raises:
            EngineError: one of them does not within the time; its log is named.
        """
        keys = Keys.read(self.layout.instance)
        if keys is None:
            raise EngineError(f"{self.layout.instance} is missing.", hint="Run `darkroom reset`, then `up`.")
        engine = EngineSocket(self.layout.engine_socket, root_key=keys.root_key, region=self._settings.region)
        checks = {
            "engine": engine.is_ready,
            "gateway": self._gateway_answers,
            "runtime": self.layout.runtime_socket.exists,
        }
        deadline = time.monotonic() + _READY_TIMEOUT_S
        for name, ready in checks.items():
            while not ready():
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"The {name} is not ready after {_READY_TIMEOUT_S:.0f} s.",
                        hint=f"See {self.layout.logs / name}.log, or `darkroom logs {name}`.",
                    )
                time.sleep(0.02)

    def _gateway_answers(self) -> bool:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({})
        )  # a proxy of the shell is not for us
        try:
            with opener.open(f"{self.endpoint}/_darkroom/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
