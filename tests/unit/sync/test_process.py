"""`python -m darkroom.sync` as a process of its own, against a small S3 over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .memory_store import wait_until
from .s3_server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


class Process:
    """The sync as others start it."""

    def __init__(self, home: Path, server: S3Server) -> None:
        self.home = home
        self.server = server
        self.folder = home / "inbox"
        self.folder.mkdir()
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *more: str) -> subprocess.Popen[str]:
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server.port}",
        }
        names = [
            "--folder",
            "inbox",
            "--bucket",
            "photos",
            "--journal",
            "j.sqlite",
            "--status",
            "status.json",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "darkroom.sync", *names, *more],
            cwd=self.home,
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def status(self) -> dict[str, object]:
        file = self.home / "status.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def end(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    server = S3Server()
    server.start()
    process = Process(tmp_path, server)
    yield process
    process.end()
    server.stop()


def test_it_uploads_logs_and_ends_with_0_on_sigterm(process: Process) -> None:
    running = process.start()
    wait_until(lambda: process.status().get("state") == "idle")
    (process.folder / "cat.jpg").write_bytes(b"x" * 240_000)
    wait_until(lambda: "uploads/cat.jpg" in process.server.bucket.objects)
    wait_until(lambda: process.status().get("uploaded") == 1)
    running.terminate()
    start = time.perf_counter()
    _, log = running.communicate(timeout=10)
    assert time.perf_counter() - start < 2.0
    assert running.returncode == 0
    assert log.startswith("uploaded uploads/cat.jpg (240 KB, ")
    assert process.status()["state"] == "stopped"


def test_sigterm_in_the_middle_of_a_slow_upload_ends_within_2_seconds(process: Process) -> None:
    process.server.bucket.delay_s = 8.0
    (process.folder / "cat.jpg").write_bytes(b"x")
    running = process.start()
    wait_until(lambda: process.status().get("waiting") == 1)
    time.sleep(0.8)
    running.terminate()
    start = time.perf_counter()
    running.communicate(timeout=10)
    assert time.perf_counter() - start < 2.0
    assert running.returncode == 0


def test_kill_9_in_the_middle_loses_nothing_and_repeats_nothing(process: Process) -> None:
    process.server.bucket.delay_s = 0.02
    for number in range(200):
        (process.folder / f"{number}.jpg").write_bytes(b"%d" % number)
    running = process.start()
    wait_until(lambda: len(process.server.bucket.puts) > 40)
    running.send_signal(signal.SIGKILL)
    running.wait(5)
    time.sleep(0.1)  # what the server already had, it finishes
    process.server.bucket.delay_s = 0.0
    again = process.start("--once")
    _, log = again.communicate(timeout=30)
    assert again.returncode == 0, log
    assert len(process.server.bucket.objects) == 200
    assert len(process.server.bucket.puts) == 200


def test_it_waits_for_an_engine_that_is_away_and_for_a_bucket_that_is_not_there(process: Process) -> None:
    process.server.bucket.exists = False
    process.server.stop()
    (process.folder / "cat.jpg").write_bytes(b"x")
    running = process.start()
    wait_until(lambda: "no connection" in str(process.status().get("reason")))
    process.server.start()
    wait_until(lambda: process.status().get("reason") == "the bucket photos does not exist")
    process.server.bucket.exists = True
    wait_until(lambda: "uploads/cat.jpg" in process.server.bucket.objects)
    process.server.stop()
    (process.folder / "dog.jpg").write_bytes(b"y")
    wait_until(lambda: process.status().get("state") == "waiting for engine")
    process.server.start()
    wait_until(lambda: "uploads/dog.jpg" in process.server.bucket.objects)
    running.terminate()
    _, log = running.communicate(timeout=10)
    assert log.count("does not exist") == 1
    assert "Traceback" not in log


def test_a_second_sync_on_the_same_journal_is_refused_in_one_line(process: Process) -> None:
    process.start()
    wait_until(lambda: process.status().get("state") == "idle")
    second = process.start()
    _, log = second.communicate(timeout=10)
    assert second.returncode == 2
    assert log.startswith("darkroom sync: another sync already works with the journal j.sqlite")
    assert log.count("\n") == 1


def test_once_ends_with_a_summary_and_with_2_when_the_folder_is_not_there(process: Process) -> None:
    (process.folder / "cat.jpg").write_bytes(b"x")
    good = process.start("--once")
    _, log = good.communicate(timeout=10)
    assert good.returncode == 0
    assert "1 uploaded (1 bytes), 0 already there, 0 unchanged" in log
    (process.folder / "cat.jpg").unlink()
    process.folder.rmdir()
    bad = process.start("--once")
    _, log = bad.communicate(timeout=10)
    assert bad.returncode == 2
    assert log == "darkroom sync: the folder inbox does not exist\n"
