"""``python -m darkroom.operations.compose deploy|sync|health``: what docker-compose.yml runs besides LocalStack.

deploy   put the stack up, once
sync     bring the folder to the bucket; deploy again when LocalStack was restarted, because it forgets everything
health   exit code 0 when the sync has compared folder and bucket
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.engine.parts import ACCOUNT
from darkroom.engine.session import LocalSession
from darkroom.errors import DarkroomError, DeployError, EngineError
from darkroom.operations.localstack import LocalStackDeployment, dependencies_of
from darkroom.settings import load

if TYPE_CHECKING:
    from types import FrameType

    import boto3

    from darkroom.settings import Settings

log = logging.getLogger("darkroom.compose")
ENDPOINT = "http://localstack:4566"
REKOGNITION = "http://rekognition:4567"
LIBRARIES = Path("/opt/functions")
"""Libraries of the functions, installed when the image was built."""
_POLL_S = 2.0
_KEY = "test"


def session_of(settings: Settings) -> boto3.Session:
    """A session for the services of this Compose project."""
    return LocalSession(
        endpoint=ENDPOINT,
        region=settings.region,
        access_key_id=_KEY,
        secret_access_key=_KEY,
        services={"rekognition": REKOGNITION},
    )


def deploy(settings: Settings) -> None:
    """Put the stack up.

    Raises:
        DarkroomError: it was refused.
    """
    if not dependencies_of(settings.project, libraries=LIBRARIES).folder.is_dir():
        raise DeployError(
            "This image holds other libraries than lambda/requirements.txt and the template's Runtime name.",
            hint="Build it again: docker compose build.",
        )
    deployment = LocalStackDeployment(settings, libraries=LIBRARIES)
    deployed = deployment.deploy(session_of(settings), lambda line: log.info("%s", line))
    for line in deployed.changes or ("nothing to deploy: the stack is as it was",):
        log.info("%s", line)
    log.info("deployed: put photographs into the folder, records come into the table %s", deployed.table)


def run_id() -> str:
    """Which start of LocalStack this is; empty while it does not answer."""
    try:
        with urllib.request.urlopen(f"{ENDPOINT}/_localstack/info", timeout=3) as answer:  # noqa: S310 - our own
            found: dict[str, Any] = json.loads(answer.read())
            return str(found.get("session_id", ""))
    except (urllib.error.URLError, OSError, ValueError):
        return ""


class Sync:
    """The sync as a child process, and a look at LocalStack every two seconds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        self._end()

    def run(self) -> int:
        known = run_id()
        self._start()
        while not self._stopped:
            time.sleep(_POLL_S)
            now = run_id()
            if now and now != known:
                log.warning("LocalStack has been restarted and has forgotten everything: deploying again")
                self._end()
                deploy(self._settings)
                known = now
                self._start()
            elif self._process is not None and self._process.poll() is not None and not self._stopped:
                return self._process.returncode
        return 0

    def _start(self) -> None:
        state = self._settings.home
        command = [
            *(sys.executable, "-m", "darkroom.sync"),
            *("--folder", str(self._settings.inbox), "--prefix", "uploads/"),
            *("--bucket", f"{self._settings.stack}-{ACCOUNT}"),
            *("--journal", str(state / "journal.sqlite"), "--status", str(state / "status.json")),
        ]
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": ENDPOINT,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_DEFAULT_REGION": self._settings.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def health(settings: Settings) -> None:
    """
    Raises:
        EngineError: the sync has not compared folder and bucket yet.
    """
    try:
        state = json.loads((settings.home / "status.json").read_text())["state"]
    except (OSError, ValueError, KeyError):
        raise EngineError("The sync has not said anything yet.") from None
    if state not in {"idle", "syncing"}:
        raise EngineError(f"The sync is {state}.")


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m darkroom.operations.compose")
    parser.add_argument("command", choices=["deploy", "sync", "health"])
    command = parser.parse_args(arguments).command
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    for noisy in ("botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = load()
        match command:
            case "deploy":
                deploy(settings)
            case "health":
                health(settings)
            case _:
                return _sync(settings)
    except DarkroomError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 - for a person, without a traceback
        return error.exit_code
    return 0


def _sync(settings: Settings) -> int:
    sync = Sync(settings)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        sync.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return sync.run()


if __name__ == "__main__":
    sys.exit(main())
