"""`darkroom invoke` and `darkroom debug`, by the command line."""

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
from tests.integration.conftest import engine_variables, free_port
from tests.support import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def variables(running: Running) -> dict[str, str]:
    settings = running.environment.settings
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        **engine_variables(),
        "DARKROOM_HOME": str(settings.home),
        "DARKROOM_INBOX": str(settings.inbox),
        "DARKROOM_PORT": str(settings.port),
    }


def darkroom(running: Running, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "darkroom.cli", *arguments],
        env=variables(running),
        cwd=PROJECT_ROOT,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_function_without_an_event_prints_result_and_log(running: Running) -> None:
    done = darkroom(running, "invoke", "tagger")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
    assert "START RequestId" in done.stderr
    assert "REPORT RequestId" in done.stderr


def test_a_new_file_is_uploaded_and_analysed_and_its_own_event_does_not_disturb(
    running: Running, tmp_path: Path
) -> None:
    path = tmp_path / "invoke me+1.jpg"
    path.write_bytes(pictures.jpeg(901))
    key = "uploads/invoke me+1.jpg"
    first = darkroom(running, "invoke", "tagger", "--image", str(path), "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["result"] == {"tagged": 1}
    assert f"uploaded it to {key}" in first.stderr
    assert "its own event was handled first (TAGGED)" in first.stderr
    assert running.record(key)["Status"] == "TAGGED"

    again = darkroom(
        running, "invoke", "darkroom-tagger", "--image", str(path), "--qualifier", "live", "--json"
    )
    assert "uploaded" not in again.stderr
    assert json.loads(again.stdout)["result"] == {"tagged": 1}
    by_key = darkroom(running, "invoke", "tagger", "--image", key, "--json")
    assert json.loads(by_key.stdout)["result"] == {"tagged": 1}

    running.s3.put_object(Bucket=running.bucket, Key=key, Body=(other := pictures.jpeg(902)))
    replaced = running.record(key, until=lambda record: record["Bytes"] == len(other))
    assert replaced["Status"] == "TAGGED", "a real upload is newer than every event made by hand"


def test_a_file_of_the_inbox_keeps_its_key(running: Running) -> None:
    key = running.drop("by-invoke/photo.jpg", pictures.jpeg(903))
    done = darkroom(running, "invoke", "tagger", "--image", str(running.inbox / "by-invoke" / "photo.jpg"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"tagged": 1}
    assert running.record(key)["Status"] == "TAGGED"


def test_a_failing_function_prints_its_error_and_has_an_exit_code_of_its_own(running: Running) -> None:
    done = darkroom(
        running, "invoke", "tagger", "--event", "-", given='{"Records": [{"eventSource": "aws:s3"}]}'
    )
    assert done.returncode == 7
    assert done.stdout == ""
    assert "tagger failed: KeyError: 's3'" in done.stderr
    assert 'File "lambda/pipeline/tagger.py", line' in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("invoke", "nobody"), 6, "darkroom-tagger."),
        (("invoke", "tagger", "--qualifier", "blue"), 6, "There is no function darkroom-tagger:blue"),
        (("invoke", "tagger", "--image", "no-such.jpg"), 6, "no file no-such.jpg"),
        (("invoke", "tagger", "--event", "-"), 2, "standard input, line 1, column 1"),
        (("invoke", "tagger", "--event", "-", "--image", "x"), 2, "exclude each other"),
        (("debug", "nobody"), 6, "darkroom-tagger."),
    ],
)
def test_a_users_mistake_is_a_sentence(
    running: Running, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = darkroom(running, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


class Debugger:
    """An editor's half of the Debug Adapter Protocol (https://microsoft.github.io/debug-adapter-protocol/)."""

    def __init__(self, port: int) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "nothing listens"
                time.sleep(0.05)
        self._file = self._socket.makefile("rb")
        self._sequence = 0
        self._kept: list[dict[str, Any]] = []

    def __enter__(self) -> Debugger:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, command: str, **arguments: object) -> int:
        self._sequence += 1
        message = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return self._sequence

    def _next(self) -> dict[str, Any]:
        length = 0
        while line := self._file.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        message: dict[str, Any] = json.loads(self._file.read(length))
        return message

    def _find(self, **members: object) -> dict[str, Any]:
        while True:
            for message in self._kept:
                if all(message.get(name) == value for name, value in members.items()):
                    self._kept.remove(message)
                    return message
            self._kept.append(self._next())

    def event(self, name: str) -> dict[str, Any]:
        return self._find(type="event", event=name)

    def answer(self, sequence: int) -> dict[str, Any]:
        message = self._find(type="response", request_seq=sequence)
        assert message["success"], message
        body: dict[str, Any] = message.get("body") or {}
        return body


def test_a_debugger_stops_in_the_handler_and_sees_its_variables(running: Running, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"Event": "s3:TestEvent"}')
    port = free_port()
    source = PROJECT_ROOT / "lambda" / "pipeline" / "tagger.py"
    lines = source.read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "changes = changes_in(event" in text)
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom.cli", "debug", "tagger", "--port", str(port), "--event", str(event)],
        env=variables(running),
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with Debugger(port) as debugger:
            debugger.answer(debugger.send("initialize", adapterID="test", pathFormat="path"))
            attached = debugger.send("attach", justMyCode=True)
            debugger.event("initialized")
            found = debugger.answer(
                debugger.send("setBreakpoints", source={"path": str(source)}, breakpoints=[{"line": line}])
            )
            assert found["breakpoints"][0]["verified"]
            debugger.answer(debugger.send("configurationDone"))
            debugger.answer(attached)
            thread = debugger.event("stopped")["body"]["threadId"]
            frames = debugger.answer(debugger.send("stackTrace", threadId=thread))["stackFrames"]
            assert (frames[0]["name"], frames[0]["line"]) == ("handler", line)
            frame = frames[0]["id"]

            def evaluate(expression: str) -> str:
                asked = debugger.send("evaluate", expression=expression, frameId=frame, context="watch")
                return str(debugger.answer(asked)["result"])

            assert "s3:TestEvent" in evaluate("event")
            assert int(evaluate("context.get_remaining_time_in_millis()")) > 600_000
            assert "assumed-role/darkroom" in evaluate("boto3.client('sts').get_caller_identity()['Arn']"), (
                "it has the rights of the function's role"
            )
            debugger.answer(debugger.send("continue", threadId=thread))
            debugger.event("terminated")
            out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert json.loads(out) == {}
    assert f'"port": {port}' in err
    assert '"type": "debugpy"' in err
    deadline = time.monotonic() + 5
    while leftovers := [
        each for each in psutil.process_iter(["cmdline"]) if str(port) in (each.info["cmdline"] or [])
    ]:
        assert time.monotonic() < deadline, leftovers
        time.sleep(0.05)
    assert not list(running.environment.layout.run.glob("debug-*"))


def test_a_debug_session_that_is_broken_off_leaves_nothing(running: Running) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom.cli", "debug", "tagger", "--port", str(port)],
        env=variables(running),
        cwd=PROJECT_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with Debugger(port):
            listening = [
                tuple(connection.laddr)
                for connection in psutil.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            ]
            assert listening == [("127.0.0.1", port)]
            process.send_signal(2)
            _, err = process.communicate(timeout=90)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in err
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    assert not list(running.environment.layout.run.glob("debug-*"))
