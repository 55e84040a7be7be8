"""The same machine with nothing of ours: ministack alone, with its own Lambda workers."""

from __future__ import annotations

import io
import os
import subprocess
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from bench.measure import PeakMemory, Report, console, until
from darkroom.settings import PROJECT_ROOT
from tests.integration.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from bench.photographs import Photographs

_HANDLER = """
import os
def handler(event, context):
    for record in event["Records"]:
        with open(os.environ["MARKS"], "a") as marks:
            marks.write(record["s3"]["object"]["key"] + "\\n")
"""
_WITH_FUNCTION = 200
"""Photographs for its own workers: it starts one for each event at once, so more would fill the memory."""


def compare(folder: Path, photographs: Photographs, report: Report, burst: int) -> None:
    """Measure uploads alone, and uploads with a function that only notes the key."""
    folder.mkdir()
    with _ministack(folder) as (session, pid):
        s3 = session.client("s3")
        s3.create_bucket(Bucket="bare")
        seconds = _put(s3, photographs, burst, prefix="plain/")
        report.add(f"bare ministack: {burst} uploads, no function", "beside", f"{burst / seconds:.0f} img/s")
        marks = folder / "marks"
        marks.touch()
        _function(session, marks)
        count = min(_WITH_FUNCTION, burst)
        _put(s3, photographs, 1, prefix="uploads/warm")
        until(lambda: marks.read_text().count("\n") >= 1, timeout_s=60)
        with PeakMemory(lambda: [pid]) as memory:
            began = time.perf_counter()
            _put(s3, photographs, count, prefix="uploads/")
            try:
                until(lambda: marks.read_text().count("\n") >= count + 1, timeout_s=60, every_s=0.05)
            except TimeoutError:
                console.print("  bare ministack did not finish every event within a minute")
            seconds = time.perf_counter() - began
        done = len(set(marks.read_text().splitlines())) - 1
        report.add(
            f"bare ministack: {count} uploads to a function that notes the key",
            "beside",
            f"{done / seconds:.0f} img/s; {count - done} lost; {memory.peak_mb:.0f} MB at most",
        )


@contextmanager
def _ministack(folder: Path) -> Iterator[tuple[boto3.Session, int]]:
    port = free_port()
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "objects"),
        "LOG_LEVEL": "ERROR",
    }
    python = PROJECT_ROOT / ".venv-engine" / "bin" / "python"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([python, "-m", "ministack"], env=environment, stdout=log, stderr=log)
    try:
        yield _Session(port), process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


class _Session(boto3.Session):
    """Clients of one ministack, with the key that it takes on its word."""

    def __init__(self, port: int) -> None:
        super().__init__("test", "test", region_name="us-east-1")
        self._endpoint = f"http://127.0.0.1:{port}"
        until(self._answers, timeout_s=30)

    def client(self, *args: Any, **options: Any) -> Any:
        local = {"endpoint_url": self._endpoint, "config": Config(proxies={}), **options}
        return super().client(*args, **local)

    def _answers(self) -> bool:
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=1, proxies={})
        try:
            super().client("sts", endpoint_url=self._endpoint, config=config).get_caller_identity()
        except Exception:  # noqa: BLE001 (whatever it is, it is not ready)
            return False
        return True


def _put(s3: S3Client, photographs: Photographs, count: int, *, prefix: str) -> float:
    """Seconds for `count` uploads by four threads, as our sync does them."""

    def put(number: int) -> None:
        s3.put_object(Bucket="bare", Key=f"{prefix}{number}.jpg", Body=photographs.content(number))

    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(put, range(count)))
    return time.perf_counter() - began


def _function(session: boto3.Session, marks: Path) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("noting.py", _HANDLER)
    client = session.client("lambda")
    arn = client.create_function(
        FunctionName="noting",
        Runtime="python3.11",
        Role="arn:aws:iam::000000000000:role/noting",
        Handler="noting.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"MARKS": os.fspath(marks)}},
    )["FunctionArn"]
    session.client("s3").put_bucket_notification_configuration(
        Bucket="bare",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "LambdaFunctionArn": arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "uploads/"}]}},
                }
            ]
        },
    )
