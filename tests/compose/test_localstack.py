"""The environment on LocalStack, as a person meets it: by the command line, and by `docker compose up` alone.

Needs a Docker Engine with the images (`scripts/test-compose` sees to both).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from darkroom.operations.localstack_changes import supported_types
from darkroom.settings import PROJECT_ROOT
from tests.compose.conftest import docker
from tests.integration.conftest import engine_variables, free_port
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)


def until(condition: Callable[[], Any], *, limit_s: float, what: str) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {limit_s:.0f} s")
        time.sleep(0.3)
    return found


@dataclass(frozen=True, slots=True)
class Shell:
    """The command line over a project of its own, on LocalStack."""

    folder: Path
    image: str
    port: int

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME")},
            **engine_variables(),
            "DARKROOM_IMAGE": self.image,
            "DARKROOM_ENGINE": "localstack",
            "DARKROOM_HOME": str(self.folder / "home"),
            "DARKROOM_INBOX": str(self.inbox),
            "DARKROOM_PROJECT": str(self.project),
            "DARKROOM_PORT": str(self.port),
            "COLUMNS": "200",
            **variables,
        }
        return subprocess.run(
            [sys.executable, "-m", "darkroom.cli", *arguments],
            env=environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def keys(self) -> set[str]:
        return {record["ImageID"] for record in self.json("ls")}

    def containers(self) -> list[str]:
        names = docker("ps", "--all", "--format", "{{.Names}}").split()
        project = next((name.partition("-localstack-1")[0] for name in names if "-localstack-1" in name), "")
        return [name for name in names if project and name.startswith(project)]


@pytest.fixture(scope="module")
def shell(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("localstack")
    made = Shell(folder, image, free_port())
    made.project.mkdir()
    for name in ("lambda", "environments"):
        shutil.copytree(
            PROJECT_ROOT / name, made.project / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(PROJECT_ROOT / "template.yaml", made.project)
    (made.project / "fixtures").symlink_to(PROJECT_ROOT / "fixtures")
    (made.project / "requirements").symlink_to(PROJECT_ROOT / "requirements")
    up = made.run("up")
    assert up.returncode == 0, up.stderr
    assert "localstack engine" in up.stdout
    assert "LocalStack checks neither keys nor policies" in " ".join(up.stderr.split())
    yield made
    down = made.run("down")
    assert down.returncode == 0, down.stderr
    assert made.containers() == [], "functions' containers too"


def test_every_command_works_as_on_the_embedded_engine(shell: Shell) -> None:
    again = shell.json("up")
    assert (again["started"], again["changes"], again["engine"]) == (False, [], "localstack")
    (shell.inbox / "photo.jpg").write_bytes(pictures.jpeg(1))
    records = shell.json("ls")
    assert [record["ImageID"] for record in records] == ["uploads/photo.jpg"]
    assert shell.json("show", "photo.jpg") == records[0]
    deadline = time.monotonic() + 40  # the keeper stops the sync while it looks after the stack
    while True:
        parts = {part["name"].partition(" ")[0]: part for part in shell.json("status")["parts"]}
        if all(part["state"] == "RUNNING" for part in parts.values()) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert set(parts) - {"functions"} == {"localstack", "rekognition", "page", "sync", "keeper"}
    assert {name: part["state"] for name, part in parts.items()} == dict.fromkeys(parts, "RUNNING")
    parts.pop(
        "functions", None
    )  # LocalStack ends idle ones, and Docker tells no memory of a container that begins or ends
    assert {name: part["memory_mb"] for name, part in parts.items() if part["memory_mb"] <= 1} == {}
    assert shell.run("logs", "tagger", "-n", "50").stdout.count("REPORT RequestId") >= 1
    assert "uploaded uploads/photo.jpg" in shell.run("logs", "sync").stdout
    assert "Ready." in shell.run("logs", "localstack", "-n", "200").stdout
    variables = shell.json("env")
    assert variables["AWS_ENDPOINT_URL"].endswith(str(shell.port))
    assert variables["AWS_ENDPOINT_URL_REKOGNITION"].endswith(str(shell.port + 1))


def test_another_engine_in_the_same_folder_is_refused(shell: Shell) -> None:
    refused = shell.run("up", DARKROOM_ENGINE="embedded")
    assert refused.returncode == 2
    assert "is up on the localstack engine" in refused.stderr


def test_a_saved_function_is_live_and_a_syntax_error_is_told_and_never_live(shell: Shell) -> None:
    (helper := shell.project / "lambda" / "pipeline" / "hello.py").write_text(
        "def handler(event, context):\n    return 'first'\n"
    )
    tagger = shell.project / "lambda" / "pipeline" / "tagger.py"
    before = tagger.read_text()
    tagger.write_text("from pipeline.hello import handler  # noqa\n")

    def answer() -> Any:
        done = shell.run("invoke", "tagger")
        return json.loads(done.stdout) if done.returncode == 0 else None

    try:
        until(lambda: answer() == "first", limit_s=60, what="the saved code answers")
        helper.write_text("def handler(event, context):\n    return 'second'\n")
        until(lambda: answer() == "second", limit_s=60, what="the code saved next answers")
        helper.write_text("def handler(event, context:\n")

        def told() -> bool:
            return any("hello.py:1" in line for line in shell.json("status")["troubles"])

        until(told, limit_s=60, what="the syntax error is told")
        assert answer() == "second"
    finally:
        helper.unlink()
        tagger.write_text(before)
    until(lambda: answer() == {}, limit_s=60, what="the tagger is back")


def test_a_template_change_makes_the_stack_anew_is_said_and_keeps_the_uploads(shell: Shell) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{shell.port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}),
    )
    client.put_object(Bucket="darkroom-000000000000", Key="uploads/by hand.jpg", Body=pictures.jpeg(2))
    until(lambda: "uploads/by hand.jpg" in set(shell.keys()), limit_s=30, what="it is tagged")
    template = shell.project / "template.yaml"
    template.write_text(
        template.read_text().replace("MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 86400")
    )
    up = shell.run("up")
    assert up.returncode == 0, up.stderr
    assert (
        "LocalStack would ignore the change of DeadLetters: the stack is made anew, uploads are kept"
        in up.stderr
    )
    assert "uploads back" in up.stdout
    sqs = client.meta.endpoint_url and boto3.client(
        "sqs",
        endpoint_url=client.meta.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}),
    )
    assert sqs
    (queue,) = sqs.list_queues(QueueNamePrefix="darkroom-dead-letters")["QueueUrls"]
    kept = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["MessageRetentionPeriod"])
    assert kept["Attributes"]["MessageRetentionPeriod"] == "86400", "the change is there"
    wanted = {"uploads/by hand.jpg", "uploads/photo.jpg"}
    until(lambda: wanted <= shell.keys(), limit_s=60, what="what was uploaded is analysed again")


def test_after_a_restart_of_localstack_the_stack_and_the_folder_come_back(shell: Shell) -> None:
    (container,) = [name for name in shell.containers() if name.endswith("-localstack-1")]
    docker("restart", "--time", "5", container)
    (shell.inbox / "meanwhile.jpg").write_bytes(pictures.jpeg(3))

    def back() -> bool:
        done = shell.run("ls", "--json", "--no-wait")
        keys = {record["ImageID"] for record in json.loads(done.stdout)} if done.returncode == 0 else set()
        return {"uploads/photo.jpg", "uploads/meanwhile.jpg"} <= keys

    until(back, limit_s=120, what="the folder's pictures have records again")


def test_the_list_of_resource_types_is_that_of_the_running_image(shell: Shell) -> None:
    (container,) = [name for name in shell.containers() if name.endswith("-localstack-1")]
    group = "localstack.cloudformation.resource_providers"
    program = f"import importlib.metadata as m; print(*(e.name for e in m.entry_points(group={group!r})))"
    interpreter = "/opt/code/localstack/.venv/bin/python"  # of the official image
    there = (
        subprocess.run(["docker", "exec", container, "test", "-x", interpreter], check=False).returncode == 0
    )
    listed = docker("exec", container, interpreter if there else "python", "-c", program)
    assert set(listed.split()) == supported_types()


def test_a_port_that_is_taken_is_refused_with_who_holds_it(shell: Shell) -> None:
    refused = shell.run("up", DARKROOM_HOME=str(shell.folder / "another"))
    assert refused.returncode == 4
    assert f"Port {shell.port} is taken by the container" in refused.stderr
    assert "DARKROOM_PORT" in refused.stderr


def test_a_release_that_wants_an_account_is_explained(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f'FROM {shell.image}\nCMD ["sh", "-c", "echo License activation failed; exit 55"]\n'
    )
    docker("build", "--tag", "darkroom-test:no-licence", str(tmp_path), environment={"DOCKER_BUILDKIT": "1"})
    try:
        refused = shell.run(
            "up",
            DARKROOM_HOME=str(tmp_path / "home"),
            DARKROOM_PORT=str(free_port()),
            LOCALSTACK_IMAGE="darkroom-test:no-licence",
        )
    finally:
        docker("image", "rm", "darkroom-test:no-licence")
    assert refused.returncode == 4
    assert "exit code 55" in refused.stderr
    assert "LOCALSTACK_AUTH_TOKEN" in refused.stderr


def test_an_image_that_cannot_be_had_is_named_and_nothing_is_left_running(
    shell: Shell, tmp_path: Path
) -> None:
    refused = shell.run(
        "up",
        DARKROOM_HOME=str(tmp_path / "home"),
        DARKROOM_PORT=str(free_port()),
        LOCALSTACK_IMAGE="registry.invalid/nobody/localstack:4.14.0",
    )
    assert refused.returncode == 4
    assert "registry.invalid/nobody/localstack:4.14.0 (LocalStack) is not on this machine" in refused.stderr


def test_docker_compose_up_alone_ends_in_a_deployed_usable_stack(image: str, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for folder in (tmp_path, inbox):
        folder.chmod(0o755)
    (inbox / "photo.jpg").write_bytes(pictures.jpeg(5))
    (inbox / "photo.jpg").chmod(0o644)
    port = free_port()
    variables = {
        "DARKROOM_IMAGE": image,
        "DARKROOM_INBOX": str(inbox),
        "DARKROOM_PORT": str(port),
        "DARKROOM_REKOGNITION_PORT": str(port + 1),
    }
    project = ("compose", "-p", "darkroom-test-alone")
    try:
        docker(*project, "up", "--wait", "--no-build", environment=variables)
        table = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )
        items = until(
            lambda: table.scan(TableName="ImageLabels")["Items"], limit_s=60, what="the picture has a record"
        )
        assert [item["ImageID"]["S"] for item in items] == ["uploads/photo.jpg"]
        for service in ("deploy", "sync", "rekognition"):
            container = docker(*project, "ps", "--all", "-q", service, environment=variables).strip()
            found = json.loads(docker("inspect", container))[0]["HostConfig"]
            assert found["ReadonlyRootfs"] is True
            assert found["CapDrop"] == ["ALL"]
            assert not any("docker.sock" in bind for bind in found["Binds"] or []), service
    finally:
        docker(*project, "down", "--volumes", "--timeout", "20", environment=variables)
    assert "darkroom-test-alone" not in docker("ps", "--all", "--format", "{{.Names}}")
