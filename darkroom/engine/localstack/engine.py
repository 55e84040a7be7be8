"""LocalStack as the engine: its containers by Compose, the folder's sync and the keeper by our supervisor on the host.

::

    sync, keeper ──▶ localstack 127.0.0.1:4566 ──▶ a container per function ──▶ rekognition 127.0.0.1:4567
     (host)              (Compose)                  (made by LocalStack)            (Compose)

Sync and keeper stay on the host because file events cross no bind mount on macOS and Windows. LocalStack community
keeps nothing over a restart: the keeper notices one and deploys again, and the sync compares folder and bucket.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from darkroom.engine import ports, remains
from darkroom.engine.base import FileLog, PartLog
from darkroom.engine.keys import Keys
from darkroom.engine.layout import Layout, layout_of
from darkroom.engine.localstack.compose import SERVICES, Compose, Images, project_name
from darkroom.engine.localstack.docker import Docker, functions_endpoint, why_ended
from darkroom.engine.localstack.status import ContainerLog, container_status, functions_status
from darkroom.engine.parts import ACCOUNT, client_environment, localstack_keeper_part, page_part, sync_part
from darkroom.engine.session import LocalSession
from darkroom.engine.supervision import PartStatus, Supervisor
from darkroom.engine.venvs import venvs_of
from darkroom.errors import EngineError, NotRunningError
from darkroom.rekognition.control import ANY_TOKEN
from darkroom.settings import EngineName

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

    from darkroom.engine.base import Report
    from darkroom.engine.venvs import Venv
    from darkroom.settings import Settings

ACCESS_KEY = "test"
"""LocalStack takes any key and secret; this one stands for its account 000000000000."""
_HOST_PARTS = ("page", "sync", "keeper")
_READY_TIMEOUT_S = 60.0
_HEALTH_TIMEOUT_S = 2.0


class LocalStackEngine:
    """See `darkroom.engine.base.Engine`."""

    name = EngineName.LOCALSTACK
    patience_s = 30.0  # a container is started for the first of each of six

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.layout: Layout = layout_of(settings, settings.home / "localstack")
        self._supervisor = Supervisor(self.layout)
        self._images = Images.from_environment(os.environ)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._settings.port}"

    @property
    def page(self) -> str:
        return f"{self._settings.page_origin}/"

    @property
    def rekognition_endpoint(self) -> str:
        return f"http://127.0.0.1:{self._settings.rekognition_port_or_next}"

    def is_running(self) -> bool:
        return self._supervisor.is_running()

    def start(self, report: Report) -> bool:
        with Docker.connect() as docker:
            return self._start(docker, report)

    def _start(self, docker: Docker, report: Report) -> bool:
        docker.check_compose()
        if self.is_running() and self._answers():
            return False
        compose = self._compose(docker)
        self._check_ports(docker, compose)
        self._ensure_images(docker, compose, report)
        self._create_folders()
        if not self.is_running():
            self._end_remains(report)
        try:
            compose.up(report)
        except EngineError:
            self._explain(docker, compose)
            raise
        self._check_rekognition(docker, compose)
        self.wait_ready()
        if not self.is_running():
            keys = Keys("", ANY_TOKEN, ACCESS_KEY, ACCESS_KEY)
            keys.write_credentials(self.layout.credentials)
            keys.write(self.layout.instance)
            self._supervisor.write(
                [
                    page_part(self._settings, self.layout),
                    sync_part(self._settings, self.layout, self.bucket()),
                    localstack_keeper_part(self._settings, self.layout),
                ]
            )
            self._supervisor.start()
        return True

    def start_sync(self) -> None:
        self._settings.inbox.mkdir(parents=True, exist_ok=True)
        for part in _HOST_PARTS:
            self._supervisor.start_part(part)

    def pause_sync(self) -> None:
        """Stop the sync; what is dropped meanwhile is uploaded when it starts again."""
        if self.is_running():
            self._supervisor.stop_part("sync")

    def resume_sync(self) -> None:
        if self.is_running():
            self._supervisor.start_part("sync")

    def stop(self) -> bool:
        ran = self.is_running()
        self._supervisor.stop()
        left = remains.end(self.layout)
        shutil.rmtree(self.layout.run, ignore_errors=True)
        try:
            docker = Docker.connect()
        except EngineError:
            if ran:
                raise
            return bool(left)  # without a daemon there are no containers either
        with docker:
            compose = self._compose(docker)
            containers = docker.containers(project=compose.name)
            if containers:
                compose.down()
            # LocalStack removes its functions' containers when it is asked to end, but not when it was killed
            for container in docker.functions(project=compose.name):
                container.remove(force=True)
        return ran or bool(left) or bool(containers)

    def erase(self) -> None:
        shutil.rmtree(self._settings.home, ignore_errors=False)

    def statuses(self) -> list[PartStatus]:
        try:
            docker = Docker.connect()
        except EngineError:
            away = [PartStatus(name, "NO DOCKER ENGINE", 0, 0, 0, 0.0) for name in SERVICES]
            return [*away, *self._supervisor.statuses()]
        with docker:
            name = self._compose(docker).name
            found = {
                container.labels.get("com.docker.compose.service", ""): container
                for container in docker.containers(project=name)
            }
            services = [container_status(service, found.get(service)) for service in SERVICES]
            functions = functions_status(docker.functions(project=name))
        return [*services, *functions, *self._supervisor.statuses()]

    def runtime_status(self) -> dict[str, Any]:
        return {"note": "inside LocalStack, which does not tell"}

    def pid_of(self, part: str) -> int:
        return self._supervisor.pid_of(part) if part in _HOST_PARTS else 0

    def part_names(self) -> tuple[str, ...]:
        return (*SERVICES, *_HOST_PARTS)

    def part_log(self, name: str) -> PartLog:
        if name in _HOST_PARTS:
            return FileLog(self.layout.logs / f"{name}.log")
        return ContainerLog(project_name(self._settings), name)

    def refresh_functions(self, *, new_credentials: bool = False) -> None:
        """Nothing to do: LocalStack sees each change by itself."""

    def warnings(self) -> list[str]:
        permissions = "LocalStack checks neither keys nor policies, and keeps nothing over a restart"
        return [f"{permissions}: use the embedded engine to test permissions (docs/engines.md)."]

    def environment(self) -> dict[str, str]:
        return {
            **client_environment(self._settings, self.layout),
            "AWS_ENDPOINT_URL_REKOGNITION": self.rekognition_endpoint,
        }

    def session(self) -> boto3.Session:
        if not self.layout.instance.exists():
            raise NotRunningError(
                "This environment is not up yet.", hint="Run `make up ENGINE=localstack` first."
            )
        return LocalSession(
            endpoint=self.endpoint,
            region=self._settings.region,
            access_key_id=ACCESS_KEY,
            secret_access_key=ACCESS_KEY,
            services={"rekognition": self.rekognition_endpoint},
        )

    def bucket(self) -> str:
        """The name that the template gives its bucket."""
        return f"{self._settings.stack}-{ACCOUNT}"

    def functions_venv(self) -> Venv:
        """What `darkroom debug` runs a function with, on the host."""
        project = self._settings.project
        chosen = self._settings.functions_python
        return venvs_of(project, template=project / "template.yaml", functions_python=chosen)[1]

    def run_id(self) -> str:
        """Which start of LocalStack this is; another one has forgotten everything. Empty while it does not answer."""
        return str(_get_json(f"{self.endpoint}/_localstack/info").get("session_id", ""))

    def wait_ready(self) -> None:
        """Return when LocalStack and Rekognition answer.

        Raises:
            EngineError: one of them does not within the time.
        """
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise EngineError(
                    f"LocalStack does not answer at {self.endpoint} after {_READY_TIMEOUT_S:.0f} s.",
                    hint="See `darkroom logs localstack`.",
                )
            time.sleep(0.1)

    def _answers(self) -> bool:
        return bool(
            _get_json(f"{self.endpoint}/_localstack/health")
            and _get_json(f"{self.rekognition_endpoint}/health")
        )

    def _compose(self, docker: Docker) -> Compose:
        return Compose(self._settings, host=docker.host, socket=docker.socket)

    def _check_ports(self, docker: Docker, compose: Compose) -> None:
        wanted = {
            self._settings.port: "DARKROOM_PORT",
            self._settings.rekognition_port_or_next: "DARKROOM_REKOGNITION_PORT",
            **({} if self.is_running() else {self._settings.page: "DARKROOM_PAGE_PORT"}),
        }
        published = docker.published_ports(project=compose.name)
        for port, variable in wanted.items():
            if port not in published and not ports.is_free(port):
                holder = docker.publisher(port) or ports.holder(port)
                raise EngineError(
                    f"Port {port} is taken by {holder}.",
                    hint=f"Stop it, or choose another port with {variable}.",
                )

    def _ensure_images(self, docker: Docker, compose: Compose, report: Report) -> None:
        docker.ensure_image(self._images.localstack, what="LocalStack", report=report)
        # LocalStack would pull it while the stack is deployed, in silence, and run into CloudFormation's time limit
        docker.ensure_image(self._images.functions, what="what Lambda functions run in", report=report)
        if not ("DARKROOM_IMAGE" in os.environ and docker.has_image(self._images.ours)):
            compose.build(report)

    def _check_rekognition(self, docker: Docker, compose: Compose) -> None:
        """
        Raises:
            EngineError: functions would ask the paid service, or none.
        """
        container = docker.container(project=compose.name, service="localstack")
        if not functions_endpoint(container):
            compose.down()
            raise EngineError(
                "Functions would get no Rekognition endpoint: LAMBDA_DOCKER_FLAGS of the service localstack names no "
                "AWS_ENDPOINT_URL_REKOGNITION.",
                hint="Put it back into docker-compose.yml: without it they would call the real, paid service.",
            )

    def _explain(self, docker: Docker, compose: Compose) -> None:
        """
        Raises:
            EngineError: LocalStack ended by itself; the message says why.
        """
        container = docker.container(project=compose.name, service="localstack", must=False)
        if container is None or container.attrs["State"]["Status"] != "exited":
            return
        code = int(container.attrs["State"]["ExitCode"])
        log = container.logs(tail=20).decode(errors="replace")
        compose.down()
        raise why_ended(exit_code=code, image=self._images.localstack, log=log)

    def _create_folders(self) -> None:
        try:
            self.layout.create()
        except OSError as error:
            raise EngineError(
                f"The state folder {self.layout.home} cannot be written: {error.strerror}.",
                hint="Choose another with DARKROOM_HOME, or mend its permissions.",
            ) from None

    def _end_remains(self, report: Report) -> None:
        if left := remains.end(self.layout):
            report(f"stopped what was left of an earlier run: {', '.join(left)}")
        shutil.rmtree(self.layout.run, ignore_errors=True)
        self.layout.create()


def _get_json(url: str) -> Mapping[str, Any]:
    """A small answer; empty where there is none. A proxy of the shell is not for loopback."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_HEALTH_TIMEOUT_S) as answer:
            found: Mapping[str, Any] = json.loads(answer.read() or b"{}")
            return found or {"status": answer.status}
    except ValueError:
        return {"status": "no JSON"}
    except (urllib.error.URLError, OSError):
        return {}
