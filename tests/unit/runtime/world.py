"""AWS replaced by lists and dictionaries, and a running runtime as its callers see it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import sys
import sysconfig
import textwrap
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.runtime.environment import Interpreter
from darkroom.runtime.errors import ResourceNotFoundError, SystemFaultError
from darkroom.runtime.model import Credentials, Delivery, FunctionConfig, InvokeSettings, LogEvent

if TYPE_CHECKING:
    from aiohttp.test_utils import TestClient

    from darkroom.runtime.asynchronous import AsynchronousInvoker
    from darkroom.runtime.logs import LogShipper
    from darkroom.runtime.pool import Pool
    from darkroom.runtime.queue import DurableQueue

ACCOUNT = "123456789012"
OWN = Interpreter(Path(sys.executable), Path(sysconfig.get_path("platlib")))


def package(files: Mapping[str, str]) -> bytes:
    """A deployment package."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, textwrap.dedent(text))
    return buffer.getvalue()


@dataclass
class FakeAws:
    """Every seam at once."""

    functions: dict[str, FunctionConfig] = field(default_factory=dict)
    packages: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, dict[str, InvokeSettings]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    lines: list[tuple[str, str, LogEvent]] = field(default_factory=list)
    delivered: list[Delivery] = field(default_factory=list)
    refuse_deliveries: int = 0
    session_s: float = 3600.0
    sessions: int = 0
    away: bool = False
    calls: list[str] = field(default_factory=list)

    def deploy(
        self, name: str = "hello", *, code: str = "", files: Mapping[str, str] | None = None, **changes: Any
    ) -> None:
        """Create a function or replace its code and configuration."""
        zipped = package(files if files is not None else {"app.py": code})
        sha = base64.b64encode(hashlib.sha256(zipped).digest()).decode()
        self.packages[sha] = zipped
        config = FunctionConfig(
            name=name,
            arn=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}",
            version="$LATEST",
            handler="app.handler",
            runtime="python3.12",
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/{name}-role",
            timeout_s=10,
            memory_mb=256,
            code_sha256=sha,
            code_location="http://engine/code",
        )
        self.functions[name] = replace(config, **changes)

    async def function(self, name: str, qualifier: str) -> FunctionConfig:
        self.calls.append(f"function {name} {qualifier}".strip())
        if self.away:
            raise SystemFaultError("the engine is away")
        if name not in self.functions or (
            qualifier and qualifier not in self.aliases and qualifier != "$LATEST"
        ):
            raise ResourceNotFoundError(
                f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
            )
        return self.functions[name]

    async def invoke_settings(self, name: str) -> Mapping[str, InvokeSettings]:
        if self.away:
            raise SystemFaultError("the engine is away")
        return self.settings.get(name, {})

    async def code(self, config: FunctionConfig) -> bytes:
        self.calls.append(f"code {config.name}")
        return self.packages[config.code_sha256]

    async def assume(self, role_arn: str, session_name: str) -> Credentials:
        self.sessions += 1
        self.calls.append(f"assume {role_arn} {session_name}")
        now = time.time()
        return Credentials(f"AKIA{self.sessions}", "secret", "token", now, now + self.session_s)

    async def put(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        self.lines += [(group, stream, event) for event in events]

    async def deliver(self, delivery: Delivery) -> None:
        if self.refuse_deliveries:
            self.refuse_deliveries -= 1
            raise SystemFaultError("the queue does not answer")
        self.delivered.append(delivery)

    def messages(self) -> list[str]:
        """Everything logged, in order."""
        return [event.message for _, _, event in self.lines]


@dataclass
class Running:
    """A running runtime and its HTTP interface."""

    aws: FakeAws
    pool: Pool
    queue: DurableQueue
    invoker: AsynchronousInvoker
    logs: LogShipper
    client: TestClient[Any, Any]

    async def invoke(
        self, event: object = None, name: str = "hello", **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """POST /invocations; status, decoded body, headers."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        async with self.client.post(
            f"/invocations/{name}", data=io.BytesIO(json.dumps(event or {}).encode()), headers=sent
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None, answer.headers

    async def event(
        self, event: object, name: str = "hello", qualifier: str = "", deadline_s: float = 60.0
    ) -> tuple[int, str]:
        """POST /events, as the engine does."""
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")
        headers = {
            "X-Amzn-Lambda-Function-Name": name,
            "X-Amzn-Lambda-Function-Arn": arn,
            "X-Amzn-Lambda-Function-Version": "$LATEST",
            "X-Amzn-Lambda-Request-Id": str(uuid.uuid4()),
            "X-Amzn-Lambda-Deadline-Ms": str(int((time.time() + deadline_s) * 1000)),
        }
        async with self.client.post("/events", data=json.dumps(event), headers=headers) as answer:
            return answer.status, await answer.text()

    async def status(self) -> Any:
        """GET /status."""
        async with self.client.get("/status") as answer:
            return await answer.json()

    async def flush(self) -> list[str]:
        """All log messages so far."""
        await asyncio.sleep(0.05)
        return self.aws.messages()


async def until(condition: Callable[[], Any], *, limit_s: float = 10.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.005)


def s3_event(key: str = "uploads/cat.jpg") -> dict[str, Any]:
    """An event whose sender does not wait."""
    return {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": key}}}]}


Starter = Callable[..., Any]
