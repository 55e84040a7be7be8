"""A bare engine of the pinned ministack, started as `up` starts it, without gateway and runtime.

Tests speak to its Unix socket through a relay that passes bytes and nothing else, so that boto3 can be used; what the
engine delivers to a function arrives at a receiver that stands where the gateway would.
"""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from darkroom.engine.internal import EngineSocket
from darkroom.engine.keys import Keys
from darkroom.engine.layout import layout_of
from darkroom.engine.parts import engine_part
from darkroom.engine.session import LocalSession
from darkroom.engine.venvs import ensure, venvs_of
from darkroom.settings import PROJECT_ROOT, Settings
from tests.integration.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "000000000000"


class _Relay(socketserver.ThreadingTCPServer):
    """TCP on loopback to the engine's Unix socket."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    server: _Relay

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine, contextlib.suppress(OSError):
            engine.connect(str(self.server.path))
            back = threading.Thread(target=_pump, args=(engine, self.request), daemon=True)
            back.start()
            _pump(self.request, engine)
            back.join(timeout=5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as the engine posted it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass(slots=True)
class Receiver:
    """Stands where the gateway would; answers 202 unless told otherwise."""

    port: int
    deliveries: list[Delivery] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Path -> statuses of the next answers; 0 breaks the connection off without one."""

    def at(self, path: str, *, count: int, timeout_s: float = 5) -> list[Delivery]:
        """Wait until so many deliveries came to a path (or those of whose body contains it)."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = [each for each in self.deliveries if each.path == path or path.encode() in each.body]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)


@dataclass(slots=True)
class Engine:
    """The bare engine."""

    settings: Settings
    keys: Keys
    receiver: Receiver
    _process: subprocess.Popen[bytes] | None = None
    _relay: _Relay | None = None
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return layout_of(self.settings).engine_socket

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def events_path(self) -> str:
        return f"/_darkroom/events/{self.keys.token}"

    def start(self) -> None:
        layout = layout_of(self.settings)
        layout.create()
        engine_venv, _ = venvs_of(
            PROJECT_ROOT, template=PROJECT_ROOT / "template.yaml", functions_python=None
        )
        part = engine_part(self.settings, layout, self.keys, engine_venv)
        self.socket.unlink(missing_ok=True)
        with (layout.logs / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(
                part.command,
                cwd=layout.run,
                env=dict(part.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        asked = EngineSocket(self.socket, root_key=self.keys.root_key, region=REGION)
        deadline = time.monotonic() + 20
        while not asked.is_ready():
            assert self._process.poll() is None, (layout.logs / "engine.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self._relay = _Relay(self.socket)
        self._clients.clear()
        threading.Thread(
            target=self._relay.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._relay is not None:
            self._relay.shutdown()
            self._relay.server_close()
            self._relay = None
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.wait(timeout=30)
            self._process = None

    @property
    def endpoint(self) -> str:
        assert self._relay is not None
        return f"http://127.0.0.1:{self._relay.server_address[1]}"

    def client(
        self,
        service: str,
        *,
        key: str | None = None,
        secret: str = "unchecked",  # noqa: S107 (a root's secret is not looked at)
        token: str | None = None,
    ) -> Any:
        """A client with some key, made once; without one, the root's, whose secret is wrong on purpose."""
        wanted = (service, key or "", secret, token or "")
        if wanted not in self._clients:
            self._clients[wanted] = self._new_client(service, key, secret, token)
        return self._clients[wanted]

    def _new_client(self, service: str, key: str | None, secret: str, token: str | None) -> Any:
        session = LocalSession(
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=key or self.keys.root_key,
            secret_access_key=secret,
        )
        config = Config(retries={"mode": "standard", "max_attempts": 1}, s3={"addressing_style": "path"})
        if token is None:
            return session.client(service, config=config)
        return session.client(
            service,
            config=config,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )


@pytest.fixture(scope="session")
def new_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Engine]]:
    """Makes engines, each with a state of its own; all are stopped at the end."""
    venvs = venvs_of(PROJECT_ROOT, template=PROJECT_ROOT / "template.yaml", functions_python=None)
    ensure(venvs[:1], lambda _: None)
    engines: list[Engine] = []
    with contextlib.ExitStack() as stack:

        def make() -> Engine:
            folder = tmp_path_factory.mktemp("contract")
            receiver = Receiver(free_port())
            settings = Settings(
                home=folder / "home", inbox=folder / "inbox", port=receiver.port, project=PROJECT_ROOT
            )
            stack.callback(shutil.rmtree, layout_of(settings).run, ignore_errors=True)
            engine = Engine(settings, Keys.new(), receiver)
            engines.append(engine)
            stack.callback(engine.stop)
            _serve(receiver, stack)
            engine.start()
            return engine

        yield make


@pytest.fixture(scope="session")
def engine(new_engine: Callable[[], Engine]) -> Engine:
    """One engine for all tests that do not stop it."""
    return new_engine()


def _serve(receiver: Receiver, stack: contextlib.ExitStack) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.deliveries.append(Delivery(self.path, dict(self.headers.items()), body))
            queue = receiver.statuses.get(self.path, [])
            status = queue.pop(0) if queue else 202
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"null")
            else:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


def package() -> bytes:
    """The smallest code package."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return None\n")
    return file.getvalue()


def create_role(
    engine: Engine, name: str, *, trusts: dict[str, str], actions: list[str] | None = None
) -> str:
    """A role, and its ARN."""
    iam = engine.client("iam")
    trust = {"Effect": "Allow", "Principal": trusts, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    if actions:
        allow = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy(allow))
    return arn


def create_user(engine: Engine, name: str, actions: list[str]) -> tuple[str, str]:
    """A user who may do some actions, and the user's keys."""
    iam = engine.client("iam")
    iam.create_user(UserName=name)
    if actions:
        allow = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=policy(allow))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def create_function(engine: Engine, name: str, *, variables: dict[str, str] | None = None) -> str:
    """A function with the smallest package, and its ARN."""
    roles = {role["RoleName"]: role["Arn"] for role in engine.client("iam").list_roles()["Roles"]}
    role = roles.get("functions")
    if role is None:
        role = create_role(engine, "functions", trusts={"Service": "lambda.amazonaws.com"}, actions=["*"])
    created = engine.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": package()},
        Timeout=30,
        Environment={"Variables": variables or {}},
    )
    arn: str = created["FunctionArn"]
    return arn


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
