from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from darkroom.errors import EngineError, UsageError
from darkroom.sync import Snapshot, State, sync_once
from darkroom.sync.lock import JournalLock
from darkroom.sync.store import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from .memory_store import Box


def test_the_result_tells_what_was_done(box: Box) -> None:
    box.write("a.jpg", b"12345")
    box.write(".hidden.jpg")
    result = sync_once(box.folder, "photos", journal=box.folder.parent / "j", connect=box.connect)
    assert (result.uploaded, result.bytes_uploaded, result.failed) == (1, 5, ())
    assert [item.path for item in result.left_out] == [".hidden.jpg"]
    again = sync_once(box.folder, "photos", journal=box.folder.parent / "j", connect=box.connect)
    assert (again.uploaded, again.unchanged) == (0, 1)


def test_progress_counts_to_the_end(box: Box) -> None:
    seen: list[Snapshot] = []

    class Watch:
        def update(self, snapshot: Snapshot) -> None:
            seen.append(snapshot)

    for number in range(20):
        box.write(f"{number}.jpg")
    box.let_settle()
    box.once(seams={"progress": Watch()})
    assert max(snapshot.total for snapshot in seen) == 20
    assert max(snapshot.done for snapshot in seen) >= 16
    assert any(snapshot.current.endswith(".jpg") for snapshot in seen)
    assert seen[0].state is State.WAITING
    assert all(snapshot.done <= snapshot.total for snapshot in seen)


def test_a_key_that_stays_refused_is_in_the_result_with_its_reason(box: Box) -> None:
    def refuse(operation: str, key: str) -> None:
        if operation == "put" and key.endswith("a.jpg"):
            raise RefusedError("not allowed")

    box.store.before = refuse
    box.write("a.jpg")
    box.write("b.jpg")
    result = box.once()
    assert [(item.path, item.reason) for item in result.failed] == [("a.jpg", "not allowed")]
    assert result.uploaded == 1


def test_a_file_that_is_written_all_the_time_is_given_up_and_said(box: Box) -> None:
    with (box.folder / "log.jpg").open("wb") as file:
        file.write(b"x")
        file.flush()
        result = box.once()
    assert [item.path for item in result.failed] == ["log.jpg"]
    assert "holds it open for writing" in result.failed[0].reason


def test_an_engine_that_does_not_answer_is_an_error_in_one_sentence(box: Box) -> None:
    box.store.away = True
    with pytest.raises(EngineError, match=r"the bucket photos cannot be used: no connection \(refused\)"):
        sync_once(
            box.folder, "photos", journal=box.folder.parent / "j", connect=box.connect, engine_wait_s=0.1
        )


def test_a_folder_that_does_not_exist_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        sync_once(tmp_path / "nowhere", "photos", journal=tmp_path / "j")


def test_two_syncs_with_one_journal_are_refused(box: Box) -> None:
    journal = box.folder.parent / "j"
    with JournalLock(str(journal)), pytest.raises(UsageError, match="another sync already works"):
        sync_once(box.folder, "photos", journal=journal, connect=box.connect)


def test_importing_the_package_loads_none_of_its_parts() -> None:
    code = (
        "import sys, darkroom.sync; "
        "print([m for m in sys.modules if m.startswith('darkroom.sync.') or m in ('botocore', 'watchdog', 'sqlite3')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
