"""Whether the engine's state can be believed: after a clean stop, a crash, and a stop on a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from darkroom.engine.keys import write_private
from darkroom.engine.truth import EngineRun, Truth

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("cloudformation", "dynamodb", "iam", "lambda", "s3", "sqs")


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    (tmp_path / "engine").mkdir()
    return Truth(tmp_path / "truth.json", tmp_path / "engine")


def save(tmp_path: Path, *names: str) -> None:
    """Write state files as ministack does at its end."""
    for name in names:
        (tmp_path / "engine" / f"{name}.json").write_text("{}")


def this_run() -> EngineRun:
    run = EngineRun.of(os.getpid())
    assert run is not None
    return run


def test_of_a_new_folder_nothing_is_known(truth: Truth) -> None:
    assert not truth.is_saved()
    assert not truth.is_complete(this_run())
    assert not truth.is_complete(None)


def test_a_recovered_run_is_complete_and_no_other_one(truth: Truth) -> None:
    run = this_run()
    truth.complete(run)
    assert truth.is_complete(run)
    assert truth.is_complete(EngineRun(run.pid, run.started_at + 1)), "the clock was set a little"
    assert not truth.is_complete(EngineRun(run.pid + 1, run.started_at)), "supervisord restarted it"
    assert not truth.is_complete(EngineRun(run.pid, run.started_at + 3600)), "the number again after a reboot"


def test_a_clean_stop_with_new_files_is_believed_until_the_next_start(truth: Truth, tmp_path: Path) -> None:
    truth.complete(this_run())
    since = time.time()
    save(tmp_path, *FILES)
    assert truth.stopped(since=since)
    assert truth.is_saved()
    assert not truth.is_complete(this_run())
    truth.begin()
    assert not truth.is_saved()


@pytest.mark.parametrize("lost", FILES)
def test_a_stop_that_could_not_write_a_file_is_not_believed(truth: Truth, tmp_path: Path, lost: str) -> None:
    """ministack logs it and goes on, for example when the disk is full: the file of the last stop stays."""
    save(tmp_path, *FILES)
    long_ago = time.time() - 100
    os.utime(tmp_path / "engine" / f"{lost}.json", (long_ago, long_ago))
    truth.complete(this_run())
    assert not truth.stopped(since=time.time() - 1)
    assert not truth.is_saved()
    assert not truth.is_complete(this_run())


def test_a_stop_without_the_tables_is_not_believed(truth: Truth, tmp_path: Path) -> None:
    since = time.time()
    save(tmp_path, "iam", "s3", "lambda", "cloudformation")
    assert not truth.stopped(since=since)


def test_a_note_that_cannot_be_read_counts_as_none(truth: Truth, tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text('{"saved": tr')
    assert not truth.is_saved()


def test_a_process_that_is_gone_is_no_run() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert EngineRun.of(gone.pid) is None


def test_a_private_file_that_cannot_be_replaced_leaves_the_old_one_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.json"
    write_private(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("darkroom.engine.keys.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
