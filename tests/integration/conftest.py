"""A running environment of the tests' own: another port, state folder and inbox than a developer's.

The engine is the one that DARKROOM_ENGINE names (`make test ENGINE=localstack`), embedded without it. What does not run
on LocalStack stands in `tests.support.differences` and nowhere else.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.operations.environment import Environment
from darkroom.operations.follow import parse
from darkroom.operations.logs import LogFollower
from darkroom.settings import PROJECT_ROOT, EngineName, Settings
from tests.support.differences import difference_of, unused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from darkroom.operations.records import Images, Record


ENGINE = EngineName(os.environ.get("DARKROOM_ENGINE", EngineName.EMBEDDED))
"""The engine that the suite runs on."""
_PASSED = (
    "DARKROOM_ENGINE", "DARKROOM_IMAGE", "DARKROOM_BASE_IMAGE", "DARKROOM_LAMBDA_IMAGE", "LOCALSTACK_IMAGE",
    "DOCKER_HOST", "DOCKER_CONFIG", "PIP_CERT", "XDG_CACHE_HOME",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if "tests/integration/" in item.nodeid]
    if here and not config.option.keyword and not any("::" in argument for argument in config.args):
        whole = any(argument.rstrip("/").endswith(("tests/integration", "tests")) for argument in config.args)
        stale = unused(item.nodeid for item in here) if whole else []
        if stale:
            raise pytest.UsageError(f"tests/support/differences.py names tests that are not there: {stale}")
    if ENGINE is EngineName.EMBEDDED:
        return
    for item in here:
        row = difference_of(item.nodeid)
        if row is not None:
            item.add_marker(pytest.mark.skip(reason=f"embedded engine only, {row.what}: {row.reason}"))


def engine_variables() -> dict[str, str]:
    """The variables that tell a command of its own which engine and images to take."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def free_port() -> int:
    """A port that is free, and with LocalStack the one after it too: Rekognition answers there."""
    while True:
        with socket.socket() as probe, socket.socket() as after:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            try:
                after.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


@dataclass(frozen=True, slots=True)
class Running:
    """An environment that is up, with what tests do to it."""

    environment: Environment
    inbox: Path
    bucket: str
    images: Images
    s3: S3Client

    def drop(self, name: str, content: bytes) -> str:
        """Put a file into the inbox as a file manager does. Returns its key."""
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"uploads/{name}"

    def record(
        self, key: str, *, until: Callable[[Record], bool] = lambda _: True, timeout_s: float = 20
    ) -> Record:
        """Wait for the record of a key."""
        found: Record | None = None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self.images.get(key)
            if found is not None and found["Status"] in {"TAGGED", "FAILED", "PARTIAL"} and until(found):
                return found
            time.sleep(0.02)
        pytest.fail(f"no such record of {key} after {timeout_s} s; last seen: {found}")

    def document(self, key: str) -> dict[str, Any]:
        """The JSON file that belongs to a key."""
        name = f"metadata/{key.removeprefix('uploads/')}.json"
        body = self.s3.get_object(Bucket=self.bucket, Key=name)["Body"].read()
        document: dict[str, Any] = json.loads(body)
        return document

    def tagged_log_lines(self, key: str) -> list[dict[str, Any]]:
        """What the tagger's log says of a key, once its buffer has been written."""
        lines = (parse(line) for line in LogFollower(self.environment, "tagger", since_ms=0).new())
        return [line for line in lines if line is not None and line["image"] == key]


def settings_for(folder: Path) -> Settings:
    return Settings(
        home=folder / "home",
        inbox=folder / "inbox",
        port=free_port(),
        page_port=free_port(),
        project=PROJECT_ROOT,
    )


def quiet(_: str) -> None:
    """Report nothing."""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One environment for the whole suite."""
    environment = Environment(settings_for(tmp_path_factory.mktemp("darkroom")))
    try:
        up = environment.up(overrides=(), report=quiet)
        s3 = environment.session().client("s3")
        yield Running(environment, environment.settings.inbox, up.bucket, environment.images(), s3)
    finally:
        environment.down()
