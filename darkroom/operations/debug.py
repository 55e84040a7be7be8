"""One invocation under a debugger: a worker of its own, outside the runtime's pool.

    tool ──Runtime API (127.0.0.1)──▶ awslambdaric under debugpy ◀──DAP (127.0.0.1)── the editor

It runs the folder's code itself, so that an editor's breakpoints need no mapping, with the function's environment
and the credentials of its role. debugpy lies in the tool's environment and is lent to this one process; the
functions' environment never holds it. No time-out runs: the context tells Lambda's longest, 15 minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from darkroom.engine import ports
from darkroom.engine.keys import Keys
from darkroom.engine.localstack import LocalStackEngine
from darkroom.engine.parts import credentials_path
from darkroom.engine.venvs import ensure
from darkroom.errors import EngineError, NotFoundError, NotRunningError, UsageError
from darkroom.operations.invoke import Invoked, full_name, function_names
from darkroom.runtime import boot, folders
from darkroom.runtime.aws import function_config
from darkroom.runtime.environment import Endpoints, Interpreter, Place, worker_environment
from darkroom.runtime.model import Credentials, FunctionConfig, Invocation
from darkroom.runtime.names import qualified_arn
from darkroom.runtime.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.operations.environment import Environment

_FAREWELL_S = 1.0
_LONGEST_S = 900.0
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html: at most 900 seconds."""


@dataclass(frozen=True, slots=True)
class Session:
    """A function to debug."""

    config: FunctionConfig
    environment: Mapping[str, str]
    python: Path
    code: Path
    run: Path
    port: int

    @property
    def launch(self) -> dict[str, Any]:
        """The entry of VS Code's launch.json that attaches to it."""
        return {
            "name": f"Darkroom: {self.config.name}",
            "type": "debugpy",
            "request": "attach",
            "connect": {"host": "127.0.0.1", "port": self.port},
        }


def prepare(environment: Environment, function: str, *, port: int) -> Session:
    """Collect what a worker of the function gets.

    Raises:
        NotFoundError: there is no such function.
        UsageError: the port is taken.
        EngineError: debugpy is not installed.
    """
    if not ports.is_free(port):
        raise UsageError(
            f"Port {port} is taken by {ports.holder(port)}.", hint="Choose another one with --port."
        )
    config = _config(environment, function)
    settings = environment.settings
    python = settings.project / ".venv-functions" / "bin" / "python"
    code = environment.code_folder()
    engine = environment.engine
    endpoints = Endpoints(settings.region, engine.endpoint, engine.rekognition_endpoint)
    if isinstance(engine, LocalStackEngine):  # which has its own interpreter for functions, in a container
        ensure((engine.functions_venv(),), lambda _: None)
    place = Place("", f"debug/{uuid.uuid4().hex}", code, Path())
    libraries = next((python.parent.parent / "lib").glob("python3.*/site-packages"))
    variables = worker_environment(
        config,
        _credentials(environment, config),
        place,
        interpreter=Interpreter(python, libraries),
        endpoints=endpoints,
    )
    return Session(config, variables, python, code, environment.layout.run, port)


def run(session: Session, event: Any) -> Invoked:
    """Wait for a debugger, run one invocation, and return its outcome."""
    return asyncio.run(_run(session, event))


async def _run(session: Session, event: Any) -> Invoked:
    api = RuntimeApi(call := _OneCall(session.config, event))
    await api.start()
    with tempfile.TemporaryDirectory(prefix="debug-", dir=session.run) as folder:
        # where the kernel cannot bind the worker to this process, a pipe does (see `darkroom.runtime.boot`)
        lifeline = (-1, -1) if sys.platform == "linux" else os.pipe()
        process = await _spawn(session, api.address, Path(folder), lifeline[0])
        ended = asyncio.create_task(process.wait())
        answered = asyncio.create_task(_answer(call))
        try:
            await asyncio.wait({ended, answered}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.to_thread(_end, process.pid, Path(folder))
            await ended
            answered.cancel()
            await api.stop()
            for descriptor in lifeline:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
    if call.outcome.done():
        return call.outcome.result()
    raise EngineError(
        f"The process of {session.config.name} ended with code {process.returncode} before it had an answer.",
        hint="What it printed stands above.",
    )


async def _answer(call: _OneCall) -> None:
    await asyncio.shield(call.outcome)


async def _spawn(session: Session, address: str, folder: Path, lifeline: int) -> asyncio.subprocess.Process:
    lent, temporary = folder / "lent", folder / "tmp"
    for made in (lent, temporary):
        made.mkdir()
    (lent / "debugpy").symlink_to(_debugpy())
    libraries = session.environment["PYTHONPATH"]
    variables = {
        **session.environment,
        "AWS_LAMBDA_RUNTIME_API": address,
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the interpreter's frozen modules are not what is debugged
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{lent}{os.pathsep}{libraries}",
        "TMPDIR": str(temporary),
    }
    debugger = ("-m", "debugpy", "--listen", f"127.0.0.1:{session.port}", "--wait-for-client")
    command = (
        str(session.python), "-I", "-S", boot.__file__, str(os.getpid()), "0", str(lifeline),
        str(session.python), session.config.handler, *debugger,
    )  # fmt: skip
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=session.code,
        env=variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        stderr=sys.stderr.fileno(),
        pass_fds=(lifeline,) if lifeline >= 0 else (),
        start_new_session=True,
    )


def _end(pid: int, folder: Path) -> None:
    """End the worker and what it started.

    debugpy's adapter makes itself a daemon, so it is known by its environment alone. It is given a moment to tell the
    editor that the program has ended.
    """
    folders.kill_group(pid)
    deadline = time.monotonic() + _FAREWELL_S
    while (left := _of_folder(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _of_folder(folder: Path) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder / "tmp"):
                found.append(process)
    return found


class _OneCall:
    """The Runtime API's other side: one invocation, then nothing more (`darkroom.runtime.runtime_api`)."""

    def __init__(self, config: FunctionConfig, event: Any) -> None:
        self._config = config
        self._event = event
        self._id = str(uuid.uuid4())
        self._given = False
        self.outcome: asyncio.Future[Invoked] = asyncio.get_running_loop().create_future()

    async def next_invocation(self) -> tuple[Invocation, int]:
        if self._given:
            await asyncio.Event().wait()
        self._given = True
        payload = json.dumps(self._event).encode()
        deadline_ms = int((time.time() + _LONGEST_S) * 1000)
        return Invocation(self._id, payload, qualified_arn(self._config.arn, "")), deadline_ms

    def respond(self, request_id: str, payload: bytes) -> bool:
        return self._settle(request_id, payload, failed=False)

    def fail(self, request_id: str, document: bytes) -> bool:
        return self._settle(request_id, document, failed=True)

    def fail_init(self, document: bytes) -> None:
        self._settle(self._id, document, failed=True)

    def respond_too_large(self, request_id: str, size_bytes: int) -> bool:
        words = f"Response payload size ({size_bytes} bytes) exceeded maximum allowed payload size."
        document = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": words}
        return self._settle(request_id, json.dumps(document).encode(), failed=True)

    def _settle(self, request_id: str, payload: bytes, *, failed: bool) -> bool:
        if request_id != self._id or self.outcome.done():
            return False
        result = json.loads(payload) if payload else None
        self.outcome.set_result(Invoked(result, failed, "", self._config.version))
        return True


def _debugpy() -> Path:
    found = importlib.util.find_spec("debugpy")
    if found is None or found.origin is None:
        raise EngineError("debugpy is not installed in this tool's environment.", hint="Run `make up` again.")
    return Path(found.origin).parent


def _config(environment: Environment, function: str) -> FunctionConfig:
    client = environment.session().client("lambda")
    name = full_name(function, stack=environment.settings.stack)
    try:
        return replace(function_config(client.get_function(FunctionName=name)), timeout_s=_LONGEST_S)
    except client.exceptions.ResourceNotFoundException:
        there = ", ".join(function_names(environment)) or "none"
        raise NotFoundError(f"There is no function {name}.", hint=f"There are: {there}.") from None


def _credentials(environment: Environment, config: FunctionConfig) -> Credentials:
    """A session of the function's role: it trusts the Lambda service, whose part is played here."""
    keys = Keys.read(environment.layout.instance)
    if keys is None:
        raise NotRunningError("This environment has no keys yet.", hint="Run `make up` first.")
    if isinstance(environment.engine, LocalStackEngine):
        return Credentials(keys.access_key_id, keys.secret_access_key, "")
    client = environment.session().client(
        "sts", endpoint_url=environment.engine.endpoint + credentials_path(keys)
    )
    found = client.assume_role(RoleArn=config.role_arn, RoleSessionName=config.name[:64])["Credentials"]
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
