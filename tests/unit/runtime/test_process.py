"""``python -m darkroom.runtime`` as a process: start, stop, kill -9; a small HTTP server plays the engine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web

from tests.unit.runtime.world import package, s3_event, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ACCOUNT = "000000000000"
PROJECT = Path(__file__).parents[3]
HANDLER = """
    import os, time, json
    def handler(event, context):
        key = event["Records"][0]["s3"]["object"]["key"]
        with open(os.environ["DIARY"], "a") as diary:
            diary.write(f"start {key} {context.aws_request_id} {os.getpid()}\\n")
        time.sleep(float(os.environ.get("SLEEP", "0")))
        if "fail" in key:
            raise RuntimeError("bad picture")
        with open(os.environ["DIARY"], "a") as diary:
            diary.write(f"end {key}\\n")
"""


@dataclass
class Engine:
    """Just enough of Lambda, STS, CloudWatch Logs and SQS on the wire."""

    address: str
    variables: dict[str, str]
    zipped: bytes = field(default_factory=lambda: package({"app.py": HANDLER}))
    calls: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    streams: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    messages: list[dict[str, Any]] = field(default_factory=list)
    signed_by: set[str] = field(default_factory=set)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/2015-03-31/functions/{name}", self.function)
        application.router.add_get("/2019-09-25/functions/{name}/event-invoke-config/list", self.settings)
        application.router.add_get("/_ministack/lambda-code/{name}", self.code)
        application.router.add_post("/", self.other)
        return application

    async def function(self, request: web.Request) -> web.Response:
        self.calls.append("GetFunction")
        sha = base64.b64encode(hashlib.sha256(self.zipped).digest()).decode()
        name = request.match_info["name"]
        configuration = {
            "FunctionName": name, "FunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}",
            "Version": "$LATEST", "Runtime": "python3.11", "Handler": "app.handler", "Timeout": 30, "MemorySize": 256,
            "Role": f"arn:aws:iam::{ACCOUNT}:role/r", "CodeSha256": sha, "Environment": {"Variables": self.variables},
        }  # fmt: skip
        location = f"{self.address}/_ministack/lambda-code/{name}?X-Amz-Signature=s"
        return web.json_response({"Configuration": configuration, "Code": {"Location": location}})

    async def settings(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = {
            "FunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}:live", "MaximumRetryAttempts": 1,
            "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:us-east-1:{ACCOUNT}:failed"}},
        }  # fmt: skip
        return web.json_response({"FunctionEventInvokeConfigs": [found]})

    async def code(self, _: web.Request) -> web.Response:
        return web.Response(body=self.zipped)

    async def other(self, request: web.Request) -> web.Response:
        self.signed_by.add(request.headers["Authorization"].partition("Credential=")[2].partition("/")[0])
        target = request.headers.get("X-Amz-Target", "")
        text = await request.text()
        if not target:
            self.calls.append(parse_qs(text)["Action"][0])
            return web.Response(text=ASSUMED, content_type="text/xml")
        members = json.loads(text)
        self.calls.append(target.partition(".")[2])
        answer: Callable[[dict[str, Any]], web.Response] = getattr(self, target.partition(".")[2])
        return answer(members)

    def CreateLogGroup(self, members: dict[str, Any]) -> web.Response:  # noqa: N802
        self.groups.add(members["logGroupName"])
        return web.json_response({})

    def CreateLogStream(self, members: dict[str, Any]) -> web.Response:  # noqa: N802
        if members["logGroupName"] not in self.groups:
            return web.json_response(
                {"__type": "ResourceNotFoundException", "message": "no group"}, status=400
            )
        self.streams.add(members["logStreamName"])
        return web.json_response({})

    def PutLogEvents(self, members: dict[str, Any]) -> web.Response:  # noqa: N802
        self.lines += [event["message"] for event in members["logEvents"]]
        return web.json_response({})

    def SendMessage(self, members: dict[str, Any]) -> web.Response:  # noqa: N802
        self.messages.append(json.loads(members["MessageBody"]))
        digest = hashlib.md5(members["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return web.json_response({"MessageId": "1", "MD5OfMessageBody": digest})


ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ROLEKEY</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@dataclass
class Process:
    """The runtime under test and what it leaves on disk."""

    folder: Path
    engine: Engine
    process: asyncio.subprocess.Process | None = None

    async def start(self, *more: str) -> None:
        """Start it and wait until it answers."""
        environment = {
            "PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "AWS_ENDPOINT_URL": self.engine.address,
            "AWS_ACCESS_KEY_ID": "OWNKEY", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "darkroom.runtime", "--socket", "runtime.sock", "--engine-socket", "engine.sock",
                "--state", str(self.folder / "state"), "--python", sys.executable,
                "--endpoint-url", self.engine.address,
                "--rekognition-endpoint-url", self.engine.address, "--retry-base-seconds", "0.05", *more,
                cwd=self.folder, env=environment, stderr=log,
            )  # fmt: skip
        for _ in range(400):
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self.status()
                return
            if self.process.returncode is not None:
                return
            await asyncio.sleep(0.02)

    async def request(self, method: str, path: str, **arguments: Any) -> Any:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector("runtime.sock")) as session,
            session.request(method, f"http://runtime{path}", **arguments) as answer,
        ):
            return answer.status, await answer.text()

    async def status(self) -> Any:
        return json.loads((await self.request("GET", "/status"))[1])

    async def event(self, key: str) -> int:
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:tagger"
        headers = {"X-Amzn-Lambda-Function-Arn": arn, "X-Amzn-Lambda-Request-Id": Path(key).stem}
        status, _ = await self.request("POST", "/events", json=s3_event(key), headers=headers)
        return int(status)

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 5)

    def diary(self) -> list[str]:
        path = self.folder / "diary"
        return path.read_text().splitlines() if path.exists() else []

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
async def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    monkeypatch.chdir(tmp_path)  # socket paths are short only when relative
    engine = Engine("", {"DIARY": str(tmp_path / "diary")})
    runner = web.AppRunner(engine.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await web.UnixSite(runner, "engine.sock").start()
    engine.address = "http://127.0.0.1:%d" % runner.addresses[0][1]  # noqa: UP031
    process = Process(tmp_path, engine)
    yield process
    if process.process is not None:
        await process.end(signal.SIGKILL)
    await runner.cleanup()


async def test_an_event_is_run_logged_and_its_failure_delivered_over_the_wire(runtime: Process) -> None:
    await runtime.start()
    assert await runtime.event("uploads/cat.jpg") == 202
    assert await runtime.event("uploads/fail.jpg") == 202
    await until(lambda: runtime.engine.messages)
    await until(lambda: sum(line.startswith("REPORT ") for line in runtime.engine.lines) == 3)
    assert await runtime.end(signal.SIGTERM) == 0
    assert [line.split()[1] for line in runtime.diary() if line.startswith("start")].count(
        "uploads/fail.jpg"
    ) == 2
    record = runtime.engine.messages[0]
    assert record["requestContext"]["requestId"] == "fail"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert runtime.engine.groups == {"/aws/lambda/tagger"}
    assert "AssumeRole" in runtime.engine.calls
    assert runtime.engine.signed_by == {"OWNKEY", "ROLEKEY"}  # the record is sent with the function's role


async def test_it_stops_cleanly_and_leaves_nothing_behind(runtime: Process) -> None:
    runtime.engine.variables["SLEEP"] = "20"
    await runtime.start()
    await runtime.event("uploads/slow.jpg")
    await until(runtime.diary)
    worker = int(runtime.diary()[0].split()[3])
    socket, folders = runtime.folder / "runtime.sock", runtime.folder / "state" / "workers"
    begin = asyncio.get_running_loop().time()
    assert await runtime.end(signal.SIGTERM) == 0
    assert asyncio.get_running_loop().time() - begin < 10, "it waits for no handler"
    assert not _alive(worker)
    assert list(folders.iterdir()) == []
    assert not socket.exists()
    assert "Traceback" not in runtime.log()


async def test_after_kill_9_every_acknowledged_event_is_run_and_no_worker_survives(runtime: Process) -> None:
    runtime.engine.variables["SLEEP"] = "0.4"
    await runtime.start("--workers", "2")
    keys = [f"uploads/{number}.jpg" for number in range(6)]
    for key in keys:
        assert await runtime.event(key) == 202
    await until(lambda: len(runtime.diary()) >= 2)
    await runtime.end(signal.SIGKILL)
    workers = {int(line.split()[3]) for line in runtime.diary() if line.startswith("start")}
    await until(lambda: not any(_alive(pid) for pid in workers), limit_s=2)
    left = list((runtime.folder / "state" / "workers").iterdir())
    assert left  # a killed runtime cannot tidy up
    runtime.engine.variables["SLEEP"] = "0"
    await runtime.start("--workers", "2")
    await until(lambda: {line.split()[1] for line in runtime.diary() if line.startswith("end")} == set(keys))
    assert not any(folder.exists() for folder in left)
    await asyncio.sleep(0.1)
    queue = (await runtime.status())["queue"]
    assert (queue["running"], queue["waiting"], queue["retries"]) == (
        0,
        0,
        0,
    )  # a crash is no failure of the function
    ids = {line.split()[2] for line in runtime.diary() if line.startswith("start")}
    assert ids == {Path(key).stem for key in keys}  # the same request id again


async def test_a_child_that_outlived_a_killed_runtime_is_ended_by_the_next(runtime: Process) -> None:
    runtime.engine.zipped = package(
        {
            "app.py": """
            import os, subprocess, time
            def handler(event, context):
                child = subprocess.Popen(["sleep", "60"])
                with open(os.environ["DIARY"], "a") as diary:
                    diary.write(f"child {child.pid}\\n")
                time.sleep(0.1)
            """
        }
    )
    await runtime.start()
    await runtime.event("uploads/a.jpg")
    await until(runtime.diary)
    child = int(runtime.diary()[0].split()[1])
    await runtime.end(signal.SIGKILL)
    assert _alive(child)
    await runtime.start()
    await until(lambda: not _alive(child))


async def test_a_second_runtime_on_the_same_folder_says_so_and_ends(runtime: Process) -> None:
    await runtime.start()
    second = Process(runtime.folder, runtime.engine)
    await second.start()
    assert second.process is not None
    assert await asyncio.wait_for(second.process.wait(), 10) == 4
    assert "another runtime already uses" in runtime.log()
    assert (await runtime.status())["pid"] == runtime.process.pid if runtime.process else False


async def test_it_says_in_one_line_why_it_cannot_start(runtime: Process) -> None:
    await runtime.start("--python", "/nowhere/python")
    assert runtime.process is not None
    assert await asyncio.wait_for(runtime.process.wait(), 10) == 4
    assert (
        runtime.log()
        .splitlines()[-1]
        .startswith("ERROR the functions' environment is broken: /nowhere/python")
    )
    assert "Traceback" not in runtime.log()


async def test_nobody_else_can_open_its_socket(runtime: Process) -> None:
    await runtime.start()
    assert (runtime.folder / "runtime.sock").stat().st_mode & 0o077 == 0


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
