"""Processes that outlived their supervisord: found and ended, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from darkroom.engine import remains
from darkroom.engine.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SLEEP = "import time; print(flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(home=tmp_path / "home", run=tmp_path / "home" / "run")


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process that sleeps, with a TMPDIR and more words in its command line; returns when it runs."""
    started: list[subprocess.Popen[bytes]] = []

    def run(temporary: object, *words: str, code: str = SLEEP) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_parts_workers_and_supervisord_of_this_home_are_found_and_nobody_elses(
    layout: Layout, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    mine = {
        start(layout.run).pid,
        start(layout.runtime_state / "workers" / "1" / "tmp").pid,
        start("/tmp", str(layout.supervisor_conf)).pid,
    }
    start("/tmp")
    start(tmp_path / "home2" / "run")
    start(f"{layout.run}-of-another")
    start("/tmp", str(layout.home), "an editor with a file of it")
    assert {process.pid for process in remains.find(layout)} == mine


def test_this_process_and_what_it_runs_in_is_never_one_of_them(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "belongs", lambda *_: True)
    found = {process.pid for process in remains.find(layout)}
    assert os.getpid() not in found
    assert not found & {process.pid for process in psutil.Process().parents()}


def test_they_are_asked_to_end_supervisord_first_and_the_engine_last(
    layout: Layout, start: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, part = start(layout.run, "ministack.app:app"), start(layout.run)
    supervisor = start("/tmp", str(layout.supervisor_conf))
    order: list[int] = []
    ask = psutil.Process.terminate

    def terminate(process: psutil.Process) -> None:
        order.append(process.pid)
        ask(process)

    monkeypatch.setattr(psutil.Process, "terminate", terminate)
    assert len(remains.end(layout)) == 3
    assert order == [supervisor.pid, part.pid, engine.pid]
    assert not any(psutil.pid_exists(it.pid) for it in (supervisor, part, engine))
    assert remains.find(layout) == []
    assert remains.end(layout) == []


def test_one_that_does_not_listen_is_killed(
    layout: Layout, start: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "_GRACE_S", 0.2)
    stubborn = start(layout.run, code=STUBBORN)
    began = time.monotonic()
    remains.end(layout)
    assert not psutil.pid_exists(stubborn.pid)
    assert time.monotonic() - began < 3
