from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from darkroom.sync.model import LeftOut, Row, Signature, State, SyncOptions, shown, size_text
from darkroom.sync.status import LISTED, Ledger, StatusFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(SyncOptions(folder="inbox", bucket="photos", journal="j"))


def uploaded(ledger: Ledger, path: str) -> None:
    ledger.note_uploaded(Row(path, Signature(240_000, 1, 1), "d", "e", None, 0.0), 0.0123)


def test_an_upload_is_logged_with_size_and_time(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "darkroom.sync")
    uploaded(ledger, "cat.jpg")
    assert caplog.messages == ["uploaded uploads/cat.jpg (240 KB, 12 ms)"]


def test_the_file_is_written_at_most_twice_a_second_but_at_once_when_asked(
    ledger: Ledger, tmp_path: Path
) -> None:
    clock = [100.0]
    file = tmp_path / "status.json"
    status = StatusFile(str(file), clock=lambda: clock[0])
    status.write(ledger, State.SYNCING, waiting=1, reason="", now=False)
    uploaded(ledger, "cat.jpg")
    assert not status.write(ledger, State.SYNCING, waiting=0, reason="", now=False)
    assert json.loads(file.read_text())["uploaded"] == 0
    clock[0] += 0.5
    assert status.write(ledger, State.SYNCING, waiting=0, reason="", now=False)
    assert json.loads(file.read_text())["uploaded"] == 1
    status.write(ledger, State.IDLE, waiting=0, reason="", now=True)
    assert json.loads(file.read_text())["state"] == "idle"
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]


def test_the_lists_are_bounded_the_counts_are_not(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(LISTED + 50):
        ledger.note_left_out(f"{number}.tmp", "a temporary file")
    StatusFile(str(tmp_path / "s")).write(ledger, State.IDLE, waiting=0, reason="", now=True)
    said = json.loads((tmp_path / "s").read_text())
    assert said["left_out"] == LISTED + 50
    assert len(said["left_out_files"]) == LISTED


def test_a_status_file_that_cannot_be_written_is_said_once_and_stops_nothing(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    status = StatusFile(str(tmp_path / "nowhere/status.json"))
    for waiting in range(3):
        status.write(ledger, State.SYNCING, waiting=waiting, reason="", now=True)
    assert caplog.text.count("cannot be written") == 1


def test_a_file_that_is_in_order_again_leaves_the_lists(ledger: Ledger) -> None:
    ledger.note_failed("a/1.jpg", "no")
    ledger.note_left_out("a/2.jpg", "no")
    ledger.note_left_out("ab.jpg", "no")
    ledger.clear_below("a")
    assert (ledger.failed, ledger.left_out) == ({}, {"ab.jpg": "no"})
    ledger.replace_left_out([LeftOut("c.tmp", "temporary")], keep=["ab.jpg"])
    assert ledger.left_out == {"ab.jpg": "no", "c.tmp": "temporary"}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 KB"),
        (240_000, "240 KB"),
        (15_300_000, "15 MB"),
        (5e9, "5.0 GB"),
    ],
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


def test_names_are_shown_without_what_a_terminal_would_obey() -> None:
    assert shown("ok é 😀.jpg") == "ok é 😀.jpg"
    assert shown("a\x1b[2J\n\udcff") == "a\\x1b[2J\\n\\udcff"
