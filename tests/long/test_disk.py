"""A full disk and a read-only state folder: clear words, nothing lost or corrupted. Root makes the small disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from darkroom.errors import EngineError
from darkroom.operations.environment import Environment
from tests.integration.conftest import quiet, settings_for
from tests.support import pictures
from tests.support.crash import Crashing, Target, processes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root can make a small disk"),
]
DISK_MB = 160


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """One whose state folder is a disk of its own."""
    settings = settings_for(tmp_path)
    settings.home.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "darkroom-test", str(settings.home)], check=False
    )
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    environment = Environment(settings)
    try:
        yield environment
    finally:
        _mount(environment, "rw")
        environment.down()
        subprocess.run(["umount", str(settings.home)], check=True)


def _mount(environment: Environment, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(environment.settings.home)], check=True)


def _fill(environment: Environment, *, leave_mb: int) -> Path:
    """Take up all room but some."""
    ballast = environment.settings.home / "ballast"
    free = shutil.disk_usage(environment.settings.home).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leave_mb * 1_000_000)
    return ballast


def test_a_burst_on_a_full_disk_waits_and_loses_nothing(environment: Environment) -> None:
    environment.up(overrides=(), report=quiet)
    crashing = Crashing(environment)
    ballast = _fill(environment, leave_mb=70)
    for number in range(60):
        content = pictures.noisy_jpeg(number, size_bytes=400_000)
        (crashing.inbox / f"{number}.jpg").write_bytes(content)
    _until_it_is_said(environment, "nearly full")
    taken = len(dict(crashing.objects("uploads/")))
    assert 0 < taken < 60
    assert shutil.disk_usage(environment.settings.home).free > 50_000_000

    ballast.unlink()
    records = crashing.wait_until_whole(timeout_s=90)
    assert environment.engine.runtime_status()["queue"]["givenUp"] == 0
    crashing.check(records, {})
    before = crashing.documents_on_disk()
    crashing.kill(Target.ENGINE)
    crashing.check(crashing.wait_until_whole(timeout_s=60), before)


def _until_it_is_said(environment: Environment, words: str) -> None:
    deadline = time.monotonic() + 60
    log = environment.layout.logs / "sync.log"
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)


def test_up_on_a_full_disk_says_so_and_starts_nothing(environment: Environment) -> None:
    ballast = _fill(environment, leave_mb=20)
    with pytest.raises(EngineError, match=r"is full: \d+ MB are free") as refused:
        environment.up(overrides=(), report=quiet)
    assert "DARKROOM_HOME" in refused.value.hint
    assert processes_of(environment) == []
    ballast.unlink()
    environment.up(overrides=(), report=quiet)


def test_a_stop_whose_state_does_not_fit_is_made_good_by_the_next_up(environment: Environment) -> None:
    environment.up(overrides=(), report=quiet)
    crashing = Crashing(environment)
    crashing.drop("album", 40, seed=1)
    before = crashing.wait_until_whole(timeout_s=60)
    ballast = _fill(environment, leave_mb=0)
    environment.down()
    ballast.unlink()
    result = environment.up(overrides=(), report=quiet)
    assert any("recovered" in change for change in result.changes), result.changes
    assert crashing.wait_until_whole(timeout_s=30) == before


def test_a_read_only_state_folder_is_said_and_left_as_it_was(environment: Environment) -> None:
    environment.up(overrides=(), report=quiet)
    crashing = Crashing(environment)
    crashing.drop("album", 5, seed=2)
    before = crashing.wait_until_whole(timeout_s=60)
    environment.down()
    _mount(environment, "ro")
    with pytest.raises(EngineError, match="cannot be written") as refused:
        environment.up(overrides=(), report=quiet)
    assert str(environment.settings.home) in refused.value.message
    assert processes_of(environment) == []
    _mount(environment, "rw")
    assert environment.up(overrides=(), report=quiet).changes == ()
    assert crashing.wait_until_whole(timeout_s=30) == before
