"""What a person reads when the Docker Engine, Compose or LocalStack is not as it should be."""

from __future__ import annotations

import socket
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, ImageNotFound

from darkroom.engine.localstack import docker as checks
from darkroom.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_without_a_daemon_the_socket_and_both_ways_out_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(EngineError) as refused:
        checks.Docker.connect()
    assert f"{tmp_path}/nobody.sock" in refused.value.message
    assert "does not exist" in refused.value.message
    assert "scripts/docker-engine start" in refused.value.hint
    assert "embedded engine needs no Docker" in refused.value.hint


def test_a_socket_that_may_not_be_used_asks_for_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(socket.socket):
        def connect(self, _: Any) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    monkeypatch.setattr("socket.socket", Closed)
    with pytest.raises(EngineError, match=r"/var/run/docker.sock may not be used by this user") as refused:
        checks.Docker.connect()
    assert "usermod -aG docker" in refused.value.hint


def test_a_socket_on_which_nobody_listens_is_told_from_a_missing_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "docker.sock"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(EngineError, match="nobody listens on it"):
        checks.Docker.connect()


def test_a_remote_daemon_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(EngineError, match=r"No Docker Engine answers at tcp://127.0.0.1:1"):
        checks.Docker.connect()


@pytest.mark.parametrize(
    ("text", "expected"), [("2.26.1-4", (2, 26)), ("v2.40.0", (0, 0)), ("1.29.2", (1, 29)), ("", (0, 0))]
)
def test_compose_tells_its_version(text: str, expected: tuple[int, int]) -> None:
    assert checks.compose_version(text) == expected


@pytest.mark.parametrize(
    ("code", "printed", "words"),
    [(0, "1.29.2\n", "1.29.2 is too old; 2.20 is needed"), (1, "", "Docker has no Compose")],
)
def test_an_old_or_missing_compose_is_refused(
    monkeypatch: pytest.MonkeyPatch, code: int, printed: str, words: str
) -> None:
    answer = subprocess.CompletedProcess([], code, stdout=printed, stderr="")
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/docker")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(EngineError, match=words):
        docker_with().check_compose()


class Images:
    """The daemon's images: none, until one is pulled."""

    def __init__(self, events: list[dict[str, Any]], *, error: Exception | None = None) -> None:
        self.events = events
        self.error = error
        self.there = False

    def get(self, name: str) -> str:
        if not self.there:
            raise ImageNotFound(name)
        return name

    def pull(self, _: str, **__: Any) -> Iterator[dict[str, Any]]:
        if self.error is not None:
            raise self.error
        self.there = True
        yield from self.events


def docker_with(images: Images | None = None) -> checks.Docker:
    held = images or Images([])
    client: Any = SimpleNamespace(images=held, api=held)
    return checks.Docker("unix:///var/run/docker.sock", client)


def test_a_pull_tells_how_far_it_is() -> None:
    layer = {"status": "Downloading", "id": "a"}
    events = [
        {**layer, "progressDetail": {"current": 10, "total": 100_000_000}},
        {**layer, "progressDetail": {"current": 50_000_000, "total": 100_000_000}},
        {**layer, "progressDetail": {"current": 50_000_001, "total": 100_000_000}},
    ]
    told: list[str] = []
    docker_with(Images(events)).ensure_image(
        "localstack/localstack:4.14.0", what="LocalStack", report=told.append
    )
    assert told == [
        "pulling localstack/localstack:4.14.0",
        "pulling localstack/localstack:4.14.0: 0 % of 100 MB",
        "pulling localstack/localstack:4.14.0: 50 % of 100 MB",
    ]


@pytest.mark.parametrize(
    "images",
    [
        Images([], error=APIError("no such host", explanation="lookup registry: no such host")),
        Images([{"error": "manifest unknown"}]),
    ],
    ids=["no network", "no such image"],
)
def test_an_image_that_cannot_be_had_is_named_with_what_it_is_for(images: Images) -> None:
    with pytest.raises(
        EngineError, match=r"localstack:4\.14\.0 \(LocalStack\) is not on this machine"
    ) as refused:
        docker_with(images).ensure_image("localstack:4.14.0", what="LocalStack", report=lambda _: None)
    assert "scripts/docker-engine images" in refused.value.hint


def test_exit_code_55_is_explained() -> None:
    error = checks.why_ended(
        exit_code=55, image="localstack/localstack:latest", log="License activation failed!"
    )
    assert "wants an account's token" in error.message
    assert "4.14.0" in error.hint
    assert "LOCALSTACK_AUTH_TOKEN" in error.hint


def test_any_other_end_shows_the_last_lines() -> None:
    error = checks.why_ended(exit_code=1, image="x", log="\n".join(f"line {number}" for number in range(9)))
    assert "exit code 1" in error.message
    assert error.message.endswith("line 8")
    assert "line 3" not in error.message


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("-e AWS_ENDPOINT_URL_REKOGNITION=http://rekognition:4567", "http://rekognition:4567"), ("", "")],
)
def test_the_functions_rekognition_is_read_from_the_container(flags: str, expected: str) -> None:
    container = SimpleNamespace(attrs={"Config": {"Env": [f"LAMBDA_DOCKER_FLAGS={flags}", "PATH=/bin"]}})
    assert checks.functions_endpoint(container) == expected


@pytest.mark.parametrize(
    ("host", "socket"),
    [
        ("unix:///tmp/own/docker.sock", "/tmp/own/docker.sock"),
        ("unix:///home/me/.docker/run/docker.sock", "/var/run/docker.sock"),
        ("tcp://127.0.0.1:2375", "/var/run/docker.sock"),
    ],
)
def test_containers_mount_the_socket_that_their_own_machine_has(host: str, socket: str) -> None:
    client: Any = None
    assert checks.Docker(host, client).socket == socket
