"""`docker compose` with this environment's names and ports, on the project's own file."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.engine.parts import ledger_of
from darkroom.errors import EngineError
from darkroom.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.engine.base import Report
    from darkroom.settings import Settings

LOCALSTACK_IMAGE = "localstack/localstack:4.14.0"
LAMBDA_IMAGE = "public.ecr.aws/lambda/python:3.13"
OUR_IMAGE = "darkroom:local"
SERVICES = ("localstack", "rekognition")
"""What `up` starts by Compose; deploy and sync run on the host."""
_SHOWN = 90
_TAIL_LINES = 15


def project_name(settings: Settings) -> str:
    """`darkroom`, as docker-compose.yml says, for the checkout's own state folder; another one for any other."""
    if settings.home == PROJECT_ROOT / ".darkroom":
        return "darkroom"
    return f"darkroom-{hashlib.sha256(str(settings.home).encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Images:
    """The images of the services, by the variables that docker-compose.yml reads."""

    localstack: str
    functions: str
    ours: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Images:
        return cls(
            environment.get("LOCALSTACK_IMAGE") or LOCALSTACK_IMAGE,
            environment.get("DARKROOM_LAMBDA_IMAGE") or LAMBDA_IMAGE,
            environment.get("DARKROOM_IMAGE") or OUR_IMAGE,
        )


class Compose:
    """The Compose project of one environment.

    Args:
        settings: of the environment.
        host: the Docker Engine's address.
        socket: its socket, as LocalStack's container mounts it.
    """

    def __init__(self, settings: Settings, *, host: str, socket: str) -> None:
        self._settings = settings
        self.name = project_name(settings)
        self._file = PROJECT_ROOT / "docker-compose.yml"
        self._environment = {
            **os.environ,
            "DOCKER_HOST": host,
            "DOCKER_BUILDKIT": "1",
            "COMPOSE_PROJECT_NAME": self.name,
            "DARKROOM_DOCKER_SOCKET": socket,
            "DARKROOM_PORT": str(settings.port),
            "DARKROOM_REKOGNITION_PORT": str(settings.rekognition_port_or_next),
            "DARKROOM_FIXTURES": str(settings.project / "fixtures" / "rekognition"),
            "DARKROOM_INBOX": str(settings.inbox),
            # a mode that asks real AWS needs its keys all the same, which only `darkroom rekognition mode` gives
            "DARKROOM_RECORDING": "rw",
            "DARKROOM_LEDGER_FOLDER": str(ledger_of(settings).parent),
            "DARKROOM_UID": str(os.getuid()),
            "DARKROOM_GID": str(os.getgid()),
            "DARKROOM_STACK": settings.stack,
            "DARKROOM_REGION": settings.region,
            "AWS_ENDPOINT_URL_S3": "http://localstack:4566",
        }

    def build(self, report: Report) -> None:
        """Build our image from the checkout; what has not changed comes from the builder's cache.

        Raises:
            EngineError: it cannot be built.
        """
        self._run("build", "rekognition", doing="building this project's image", report=report)

    def up(self, report: Report) -> None:
        """Start the services, and return when they are healthy.

        Raises:
            EngineError: one does not start; Compose's last lines are in the message.
        """
        ledger_of(self._settings).parent.mkdir(parents=True, exist_ok=True)  # Docker would make it root's
        self._run(
            "up", "--detach", "--wait", "--no-build", "--pull", "never", *SERVICES,
            doing="starting the containers", report=report,
        )  # fmt: skip

    def down(self) -> None:
        """Stop and remove the containers and their network."""
        self._run("down", "--remove-orphans", "--timeout", "20", doing="stopping the containers", report=None)

    def _run(self, *arguments: str, doing: str, report: Report | None) -> None:
        command = ["docker", "compose", "-f", str(self._file), "--progress", "plain", *arguments]
        tail: list[str] = []
        with subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                if words := line.strip():
                    tail = [*tail[1 - _TAIL_LINES :], words]
                    if report is not None:
                        report(f"{doing}: {words[:_SHOWN]}")
        if process.returncode:
            raise EngineError(
                f"{doing[0].upper()}{doing[1:]} failed:\n" + "\n".join(tail),
                hint=f"See `docker compose -p {self.name} logs`.",
            )
