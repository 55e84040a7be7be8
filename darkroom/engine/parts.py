"""The parts of the embedded engine: what runs, with which command and environment.

::

    page (127.0.0.1:4666) ──────────────▶┐
    sync ──▶ gateway (127.0.0.1:4566) ──▶ engine (ministack, on a Unix socket)
                │    ▲                        │ events and calls of functions
                ▼    └────────────────────────┘
             runtime ──▶ workers (awslambdaric) ──▶ gateway
                ▲
             keeper (saved code, and an engine that died)

Each gets a clean environment: nothing of the shell that ran `up` reaches a part, and so none of its secrets.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darkroom.engine.keys import PROFILE, Keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from darkroom.engine.base import Source
    from darkroom.engine.layout import Layout
    from darkroom.engine.venvs import Venv
    from darkroom.settings import Settings

ACCOUNT = "000000000000"
"""The account of LocalStack, and of every emulator unless told otherwise."""
FUNCTIONS = ("tagger", "api", "statistics", "rescan")
"""The template's functions, by the end of their names: the engine must know them before they exist."""
WARM_FUNCTIONS = ("tagger", "api")
"""Those that have a worker from the start: for the others nobody waits."""


@dataclass(frozen=True, slots=True)
class Part:
    """One supervised process.

    Attributes:
        name: as `status` and `logs` show it.
        command: program and arguments.
        environment: all of it.
        autostart: whether it starts with the supervisor; the sync waits for the stack.
        stop_wait_s: how long a clean stop may take; ministack saves its state then.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    autostart: bool = True
    stop_wait_s: int = 10


def events_path(keys: Keys) -> str:
    """Where the engine delivers events, on the gateway."""
    return f"/_darkroom/events/{keys.token}"


def credentials_path(keys: Keys) -> str:
    """Where the runtime gets the credentials of functions' roles, on the gateway."""
    return f"/_darkroom/credentials/{keys.token}"


def engine_part(settings: Settings, layout: Layout, keys: Keys, venv: Venv) -> Part:
    """Unmodified ministack, listening on a Unix socket only: no port of it can be reached from a browser."""
    deliver = f"http://127.0.0.1:{settings.port}{events_path(keys)}"
    environment = {
        **_base(layout),
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": keys.root_key,
        "AWS_SECRET_ACCESS_KEY": keys.root_key,
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "GATEWAY_PORT": str(settings.port),  # the address that it writes into queue URLs and the like
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": "0",  # our runtime bounds its workers; a throttle here would lose the event
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "2",  # while the runtime restarts after a crash
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": settings.account,
        "MINISTACK_REGION": settings.region,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(layout.objects),
        "S3_PERSIST": "1",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(layout.engine_state),
        **{f"MINISTACK_LAMBDA_PROXY_{settings.stack}-{function}": deliver for function in FUNCTIONS},
    }
    command = (
        str(venv.python), "-m", "uvicorn", "ministack.app:app",
        "--uds", layout.engine_socket.name,
        "--http", "httptools",
        "--loop", "uvloop",
        "--no-access-log",
        "--log-level", "warning",
        "--timeout-keep-alive", "75",
        "--timeout-graceful-shutdown", "5",
    )  # fmt: skip
    return Part("engine", command, environment, stop_wait_s=60)


def gateway_part(settings: Settings, layout: Layout) -> Part:
    command = (
        sys.executable, "-m", "darkroom.engine.gateway",
        "--port", str(settings.port),
        "--page-port", str(settings.page),
        "--region", settings.region,
        "--account", settings.account,
        "--home", str(layout.home),
        "--engine-socket", layout.engine_socket.name,
        "--runtime-socket", layout.runtime_socket.name,
        "--fixtures", str(settings.project / "fixtures" / "rekognition"),
        "--ledger", str(ledger_of(settings)),
    )  # fmt: skip
    return Part("gateway", command, _base(layout))


def runtime_part(settings: Settings, layout: Layout, keys: Keys, venv: Venv) -> Part:
    endpoint = f"http://127.0.0.1:{settings.port}"
    environment = {
        **_base(layout),
        **client_environment(settings, layout),
        # a function's role trusts the Lambda service and nobody else; there the runtime is that service
        "AWS_ENDPOINT_URL_STS": endpoint + credentials_path(keys),
    }
    command = (
        sys.executable, "-m", "darkroom.runtime",
        "--socket", layout.runtime_socket.name,
        "--engine-socket", layout.engine_socket.name,
        "--state", str(layout.runtime_state),
        "--python", str(venv.python),
        "--workers", str(settings.workers),
        "--endpoint-url", endpoint,
        "--rekognition-endpoint-url", endpoint,
    )  # fmt: skip
    return Part("runtime", command, environment)


def page_part(settings: Settings, layout: Layout) -> Part:
    """The page's port, where the engine is no process of ours that could serve it."""
    command = (
        sys.executable, "-m", "darkroom.engine.page",
        "--port", str(settings.page),
        "--endpoint", f"http://127.0.0.1:{settings.port}",
        "--stack", str(layout.stack),
    )  # fmt: skip
    return Part("page", command, _base(layout), autostart=False)


def sync_part(settings: Settings, layout: Layout, bucket: str) -> Part:
    command = (
        sys.executable, "-m", "darkroom.sync",
        "--folder", str(settings.inbox),
        "--bucket", bucket,
        "--prefix", "uploads/",
        "--journal", str(layout.sync_journal),
        "--status", str(layout.sync_status),
        *(["--mirror"] if settings.mirror else []),
    )  # fmt: skip
    return Part("sync", command, {**_base(layout), **client_environment(settings, layout)}, autostart=False)


def keeper_part(settings: Settings, layout: Layout, venv: Venv, source: Source) -> Part:
    """Hot reload, and recovery after a crash of the engine; it starts with the sync, once the stack is there."""
    command = (
        sys.executable, "-m", "darkroom.operations.keeper",
        "--home", str(layout.home),
        "--run", str(layout.run),
        "--code", str(source.code),
        *(["--requirements", str(source.requirements)] if source.requirements else []),
        *(["--page", str(source.page)] if source.page else []),
        "--python", str(venv.python),
        "--stack", settings.stack,
        "--region", settings.region,
    )  # fmt: skip
    # the recovery is a command of its own and needs this environment's settings
    return Part("keeper", command, {**_base(layout), **_settings_of(settings)}, autostart=False)


def localstack_keeper_part(settings: Settings, layout: Layout) -> Part:
    """Hot reload on LocalStack, and a new deployment after a restart of it."""
    command = (sys.executable, "-m", "darkroom.operations.localstack_keeper")
    passed = {name: os.environ[name] for name in ("DOCKER_HOST", "DOCKER_CONFIG") if name in os.environ}
    return Part("keeper", command, {**_base(layout), **passed, **_settings_of(settings)}, autostart=False)


def _settings_of(settings: Settings) -> dict[str, str]:
    """The settings as variables, for a part that is a command of its own."""
    # the recovery neither switches Rekognition's mode, for which it has no keys, nor finds the user's own folders
    given = settings.model_dump(mode="json", exclude_none=True, exclude={"rekognition"})
    given["ledger"] = str(ledger_of(settings))
    return {f"DARKROOM_{name.upper()}": str(value) for name, value in given.items()}


def ledger_of(settings: Settings) -> Path:
    """Where money spent at AWS is written down."""
    from darkroom.rekognition.spending import default_ledger

    return settings.ledger or default_ledger()


def client_environment(settings: Settings, layout: Layout) -> dict[str, str]:
    """What points an AWS SDK to this environment and to nothing else."""
    return {
        "AWS_CONFIG_FILE": str(
            layout.home / "no-config"
        ),  # never the user's: it may name a real role or endpoint
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{settings.port}",
        "AWS_PROFILE": PROFILE,
        "AWS_REGION": settings.region,
        "AWS_SHARED_CREDENTIALS_FILE": str(layout.credentials),
    }


def _base(layout: Layout) -> dict[str, str]:
    """The environment of every part: enough for Python, nothing of the user's."""
    return {
        "HOME": str(layout.home),
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",  # every thread would keep memory of its own
        "MALLOC_TRIM_THRESHOLD_": "262144",  # what a burst took goes back to the system
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(layout.run),
    }
