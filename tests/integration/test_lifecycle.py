"""up, down, status, reset and what happens when something is in the way: by the command line, as a person does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from darkroom.settings import PROJECT_ROOT
from tests.integration.conftest import Running, engine_variables, free_port
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


class Shell:
    """The command line with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "state with space"
        self.inbox = folder / "in box"
        self.port = free_port()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.extra: dict[str, str] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            **engine_variables(),
            "DARKROOM_HOME": str(self.home),
            "DARKROOM_INBOX": str(self.inbox),
            "DARKROOM_PORT": str(self.port),
            "COLUMNS": "160",
            "TMPDIR": str(self.temporary),
            **self.extra,
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

    def part_after(self, name: str, *, pid: int) -> dict[str, Any]:
        """A part's status once it runs as another process than the given one."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for part in self.json("status")["parts"]:
                if part["name"] == name and part["state"] == "RUNNING" and part["pid"] != pid:
                    found: dict[str, Any] = part
                    return found
            time.sleep(0.1)
        pytest.fail(f"{name} was not restarted")

    def processes(self) -> list[psutil.Process]:
        """Every process that has anything to do with this environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and any(str(self.home) in word for word in process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.run("down")


def test_a_day_in_the_life(shell: Shell) -> None:
    """One environment from first `up` to `reset`, since each start takes seconds."""
    first = shell.run("up")
    assert first.returncode == 0, first.stderr
    assert "Darkroom is up" in first.stdout
    assert str(shell.port) in first.stdout

    again = shell.json("up")
    assert again["started"] is False
    assert again["changes"] == []

    (shell.inbox / "photo.jpg").write_bytes(pictures.jpeg(1))
    records = shell.json("ls")
    assert [record["ImageID"] for record in records] == ["uploads/photo.jpg"]
    assert shell.json("show", "photo.jpg") == records[0]
    assert shell.json("show", str(shell.inbox / "photo.jpg")) == records[0]
    assert shell.json("show", "uploads/photo.jpg") == records[0]

    log = shell.run("logs", "tagger", "-n", "100").stdout
    assert log.count("START RequestId") == log.count("REPORT RequestId") == 1
    assert "uploaded uploads/photo.jpg" in shell.run("logs", "sync").stdout
    assert "no function 'nobody'" in shell.run("logs", "nobody").stderr

    parts = {part["name"]: part for part in shell.json("status")["parts"]}
    assert list(parts) == ["engine", "gateway", "runtime", "sync", "keeper"]
    assert all(part["state"] == "RUNNING" for part in parts.values())

    psutil.Process(parts["gateway"]["pid"]).kill()
    restarted = shell.part_after("gateway", pid=parts["gateway"]["pid"])
    assert restarted["crashes"] == 1
    (shell.inbox / "after-crash.jpg").write_bytes(pictures.jpeg(2))
    assert {record["ImageID"] for record in shell.json("ls")} == {
        "uploads/photo.jpg",
        "uploads/after-crash.jpg",
    }

    down = shell.run("down")
    assert down.returncode == 0
    assert shell.processes() == []
    assert not (shell.home / "run").exists()
    assert list(shell.temporary.iterdir()) == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", shell.port))
    assert "Nothing was running" in shell.run("down").stdout
    status = shell.run("status")
    assert status.returncode == 3
    assert "make up" in status.stderr

    back = shell.json("up")
    assert back["changes"] == [], "a clean stop keeps the stack"
    assert {record["ImageID"] for record in shell.json("ls")} == {
        "uploads/photo.jpg",
        "uploads/after-crash.jpg",
    }

    assert shell.run("reset", "--yes").returncode == 0
    assert not shell.home.exists()
    assert (shell.inbox / "photo.jpg").exists()
    assert shell.processes() == []


def test_tail_shows_each_image_once_as_it_is_tagged(running: Running) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        **engine_variables(),
        "DARKROOM_HOME": str(running.environment.settings.home),
        "DARKROOM_INBOX": str(running.inbox),
        "DARKROOM_PORT": str(running.environment.settings.port),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "darkroom.cli", "tail", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        tail.stderr.readline()  # it says that it waits
        time.sleep(0.5)
        running.drop("tail/good.jpg", pictures.jpeg(901))
        running.record("uploads/tail/good.jpg")
        running.drop("tail/bad.jpg", b"no picture")
        seen = [json.loads(tail.stdout.readline()) for _ in range(2)]
        time.sleep(1)
        tail.terminate()
        rest = tail.stdout.read()
    assert [(line["image"], line["outcome"]) for line in seen] == [
        ("uploads/tail/good.jpg", "tagged"),
        ("uploads/tail/bad.jpg", "failed"),
    ]
    assert rest == ""


def test_a_taken_port_is_refused_with_who_holds_it(shell: Shell) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", shell.port))
        holder.listen()
        refused = shell.run("up")
    assert refused.returncode == 4
    assert f"Port {shell.port} is taken by process {os.getpid()}" in refused.stderr
    assert "DARKROOM_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_state_folder_that_cannot_be_made_is_said(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    shell.home = tmp_path / "file" / "state"
    refused = shell.run("up")
    assert refused.returncode == 4
    assert "DARKROOM_HOME" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        ({"DARKROOM_PORT": "many"}, ("up",), "DARKROOM_PORT='many'"),
        ({"DARKROOM_PORT": "70000"}, ("status",), "DARKROOM_PORT='70000'"),
        ({"DARKROOM_ENGINE": "steam"}, ("up",), "DARKROOM_ENGINE='steam'"),
        ({}, ("up", "--set", "MinConfidence"), "NAME=VALUE"),
        ({}, ("fly",), "No such command 'fly'"),
    ],
)
def test_a_users_mistake_is_a_sentence_and_exit_code_2(
    shell: Shell, variables: dict[str, str], arguments: tuple[str, ...], message: str
) -> None:
    shell.extra = variables
    refused = shell.run(*arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", [("ls",), ("show", "x.jpg"), ("tail",), ("env",), ("logs", "tagger")])
def test_commands_that_need_a_running_environment_say_so(shell: Shell, command: tuple[str, ...]) -> None:
    refused = shell.run(*command)
    assert refused.returncode == 3
    assert "make up" in refused.stderr


def test_the_threshold_decides_whether_the_cat_is_a_cat(shell: Shell) -> None:
    """At 80 % only broad labels; the specific one appears when the threshold is lowered."""
    assert shell.run("up", "--set", "MinConfidence=80").returncode == 0
    cat = PROJECT_ROOT / "fixtures" / "images" / "cat-chelsea.png"
    (shell.inbox / "first.png").write_bytes(cat.read_bytes())
    broad = {label["Name"] for label in shell.json("ls")[0]["Labels"]}
    assert "Animal" in broad
    assert "Cat" not in broad

    lowered = shell.json("up", "--set", "MinConfidence=60")
    assert any("MinConfidence" in change for change in lowered["changes"])
    (shell.inbox / "second.png").write_bytes(cat.read_bytes())
    records = {record["FileName"]: record for record in shell.json("ls")}
    assert "Cat" in records["second.png"]["LabelNames"]
