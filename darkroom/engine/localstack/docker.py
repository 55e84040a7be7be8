"""What is wrong with the Docker Engine, in words, before Compose meets it; and images, pulled with progress.

Compose's own messages name neither the socket nor what to do. The Docker SDK tells the cases apart.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from darkroom.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import DockerClient

    from darkroom.engine.base import Report

OLDEST_COMPOSE = (2, 20)
"""`depends_on: required` and a merged `environment` behave from there on as docker-compose.yml needs them."""
_CONNECT_TIMEOUT_S = 5
_API_VERSION = "1.41"
"""Docker 20.10's, and every later one takes it."""
_DEFAULT_SOCKET = "/var/run/docker.sock"
_ON_DEBIAN = 'On a Debian machine without one: eval "$(scripts/docker-engine start)".'
_OR_EMBEDDED = "Or leave ENGINE away: the embedded engine needs no Docker."
_EXIT_NO_LICENCE = 55
"""LocalStack's exit code when a release after 4.14.0 starts without LOCALSTACK_AUTH_TOKEN."""


@dataclass(frozen=True, slots=True)
class Docker:
    """The Docker Engine that the docker command would use."""

    host: str
    client: DockerClient

    @classmethod
    def connect(cls) -> Docker:
        """
        Raises:
            EngineError: no daemon answers, or its socket may not be used; the message names it and says what to do.
        """
        import docker
        from docker.errors import DockerException

        host = docker_host()
        _knock(host)
        client = None
        try:
            # with a version given, nothing is asked before `ping`, and there is a client to close
            client = docker.DockerClient(base_url=host, timeout=_CONNECT_TIMEOUT_S, version=_API_VERSION)
            client.ping()
            client.api.timeout = 600  # from here on it answers; a pull may take its time
        except (DockerException, OSError) as error:
            if client is not None:
                client.close()
            raise _elsewhere(host, error) from None
        return cls(host, client)

    def __enter__(self) -> Docker:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def socket(self) -> str:
        """The socket as containers mount it: on Docker Desktop that is the one of its virtual machine."""
        path = self.host.removeprefix("unix://")
        desktop = "desktop" in path or ".docker/run" in path or not self.host.startswith("unix://")
        return _DEFAULT_SOCKET if desktop else path

    def check_compose(self) -> None:
        """
        Raises:
            EngineError: there is no Compose, or one that is too old.
        """
        if shutil.which("docker") is None:
            raise EngineError("The docker command is not installed.", hint=f"Install Docker. {_OR_EMBEDDED}")
        asked = subprocess.run(
            ["docker", "compose", "version", "--short"], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            raise EngineError(
                "Docker has no Compose: `docker compose version` fails.",
                hint="Install its plugin (Debian trixie, Ubuntu: docker-compose-v2 or docker-compose; Docker Desktop "
                "has it).",
            )
        found = asked.stdout.strip().lstrip("v")
        if compose_version(found) < OLDEST_COMPOSE:
            raise EngineError(
                f"Docker Compose {found} is too old; {'.'.join(map(str, OLDEST_COMPOSE))} is needed.",
                hint="Install a newer docker-compose-plugin.",
            )

    def has_image(self, image: str) -> bool:
        """Whether an image is on this machine."""
        from docker.errors import ImageNotFound

        try:
            self.client.images.get(image)
        except ImageNotFound:
            return False
        return True

    def ensure_image(self, image: str, *, what: str, report: Report) -> None:
        """Pull an image unless it is there, telling how far it is.

        Raises:
            EngineError: it is not there and cannot be had.
        """
        from docker.errors import APIError, DockerException

        if self.has_image(image):
            return
        report(f"pulling {image}")
        try:
            for line in _progress(self.client.api.pull(image, stream=True, decode=True)):
                report(f"pulling {image}: {line}")
            self.client.images.get(image)
        except (APIError, DockerException, OSError) as error:
            raise EngineError(
                f"The image {image} ({what}) is not on this machine and cannot be pulled: {_reason(error)}",
                hint="Check the network and the name; stand-ins are built by "
                f'eval "$(scripts/docker-engine images)". {_OR_EMBEDDED}',
            ) from None

    def containers(self, *, project: str) -> list[Any]:
        """Containers of a Compose project, with those that LocalStack started for functions."""
        ours = self.client.containers.list(
            all=True, filters={"label": f"com.docker.compose.project={project}"}
        )
        return [*ours, *self.functions(project=project)]

    def functions(self, *, project: str) -> list[Any]:
        """The containers that LocalStack of a Compose project started for functions."""
        name = f"^/{re.escape(project)}-localstack-1-lambda-"
        found: list[Any] = self.client.containers.list(all=True, filters={"name": name})
        return found

    @overload
    def container(self, *, project: str, service: str) -> Any: ...
    @overload
    def container(self, *, project: str, service: str, must: bool) -> Any | None: ...
    def container(self, *, project: str, service: str, must: bool = True) -> Any | None:
        """The container of a service.

        Raises:
            EngineError: there is none, and there must be one.
        """
        labels = [f"com.docker.compose.project={project}", f"com.docker.compose.service={service}"]
        found = self.client.containers.list(all=True, filters={"label": labels})
        if not found and must:
            raise EngineError(
                f"There is no container of {service}.", hint="Start it with `make up ENGINE=localstack`."
            )
        return found[0] if found else None

    def published_ports(self, *, project: str) -> set[int]:
        """The ports of this machine that a project's containers hold."""
        return {
            port for container in self.containers(project=project) for port in _host_ports(container.ports)
        }

    def publisher(self, port: int) -> str:
        """The container that holds a port, in words; empty where it is none."""
        for container in self.client.containers.list():
            if port in _host_ports(container.ports):
                return f"the container {container.name} ({container.attrs['Config']['Image']})"
        return ""


def docker_host() -> str:
    """Where the docker command would find the daemon: DOCKER_HOST, else the current context.

    The SDK by itself knows no contexts, and with Docker Desktop there is nothing else.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        context = ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError, AttributeError):
        context = None
    found: str | None = context.Host if context is not None else None
    return (found or f"unix://{_DEFAULT_SOCKET}").replace("http+unix://", "unix://")


def compose_version(text: str) -> tuple[int, int]:
    """Major and minor of `2.26.1-4`; (0, 0) where there is none."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def why_ended(*, exit_code: int, image: str, log: str) -> EngineError:
    """Why the LocalStack container ended, as an error that says what to do."""
    if exit_code == _EXIT_NO_LICENCE:
        return EngineError(
            f"LocalStack ended with exit code 55: {image} wants an account's token.",
            hint="Releases after 4.14.0 are not open: take localstack/localstack:4.14.0 (leave LOCALSTACK_IMAGE away), "
            "or set LOCALSTACK_AUTH_TOKEN.",
        )
    tail = "\n".join(log.strip().splitlines()[-5:])
    return EngineError(
        f"LocalStack ended with exit code {exit_code}:\n{tail}", hint="See `darkroom logs localstack`."
    )


def _knock(host: str) -> None:
    """Connect to the daemon's socket once: the SDK leaves a socket open when it cannot, and hides why.

    Raises:
        EngineError: it does not exist, may not be used, or nobody listens.
    """
    if not host.startswith("unix://"):
        return
    path = host.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except PermissionError:
        raise EngineError(
            f"The Docker Engine's socket {path} may not be used by this user.",
            hint="Add the user to the group docker (sudo usermod -aG docker $USER, then log in again), or use rootless "
            "Docker.",
        ) from None
    except OSError as error:
        state = "it does not exist" if isinstance(error, FileNotFoundError) else "nobody listens on it"
        raise EngineError(
            f"No Docker Engine answers at {path}: {state}.",
            hint=f"Start Docker (Docker Desktop, or: sudo systemctl start docker). {_ON_DEBIAN} {_OR_EMBEDDED}",
        ) from None


def _elsewhere(host: str, error: Exception) -> EngineError:
    return EngineError(f"No Docker Engine answers at {host}: {_reason(error)}", hint=_OR_EMBEDDED)


def _reason(error: Exception) -> str:
    explanation = getattr(error, "explanation", None)
    text = str(explanation or error).strip()
    return text if text.endswith(".") else f"{text}."


def _progress(events: Iterator[dict[str, Any]]) -> Iterator[str]:
    """A line for each percent of a pull; the bytes of all layers together."""
    from docker.errors import APIError

    layers: dict[str, tuple[int, int]] = {}
    said = -1
    for event in events:
        if "error" in event:
            raise APIError(event["error"])
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and detail.get("total"):
            layers[event["id"]] = (detail.get("current", 0), detail["total"])
            done, total = (sum(column) for column in zip(*layers.values(), strict=True))
            if (percent := 100 * done // total) != said:
                said = percent
                yield f"{percent} % of {total / 1_000_000:.0f} MB"


def _host_ports(ports: Mapping[str, Any]) -> set[int]:
    return {int(binding["HostPort"]) for bindings in ports.values() for binding in bindings or ()}


def environment_of(container: Any) -> dict[str, str]:
    """The variables that a container was started with."""
    pairs = (item.partition("=") for item in container.attrs["Config"]["Env"] or ())
    return {name: value for name, _, value in pairs}


def functions_endpoint(container: Any) -> str:
    """Where functions find Rekognition, as the LocalStack container hands it to them; empty where it does not."""
    flags = environment_of(container).get("LAMBDA_DOCKER_FLAGS", "")
    found = re.search(r"AWS_ENDPOINT_URL_REKOGNITION=(\S+)", flags)
    return found[1] if found else ""
