from __future__ import annotations

import os
from pathlib import Path

import pytest

from darkroom.sync import scan
from darkroom.sync.model import LeftOut


@pytest.mark.parametrize(
    "name", ["cat.jpg", "4913", "part.jpg", "a~b.jpg", "tmp", "swp.png", "Thumbs.db.jpg", "#1.jpg"]
)
def test_ordinary_names_count(name: str) -> None:
    assert scan.why_name(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("film.mp4.part", "a download that is not finished"),
        ("x.CRDOWNLOAD", "a download that is not finished"),
        ("~$letter.docx", "an editor's working copy"),
        (".#lock", "an editor's working copy"),
        (".a.jpg.swp", "an editor's working copy"),
        ("a.jpg~", "an editor's working copy"),
        ("x.tmp", "a temporary file"),
        ("THUMBS.DB", "written by the operating system, not by you"),
        ("desktop.ini", "written by the operating system, not by you"),
        (".DS_Store", "written by the operating system, not by you"),
        (".goutputstream-ABC", "hidden: its name begins with a dot"),
    ],
)
def test_temporary_and_hidden_names_are_left_out_with_a_reason(name: str, reason: str) -> None:
    assert scan.why_name(name) == reason


def test_a_path_is_left_out_for_the_first_of_its_parts_that_is() -> None:
    assert scan.why_path("a/.git/config", "uploads/") == LeftOut(
        "a/.git", "hidden: its name begins with a dot"
    )
    assert scan.why_path("a/b/c.jpg", "uploads/") is None


def test_a_key_may_have_1024_bytes_and_no_more() -> None:
    assert scan.why_key("é" * 512) is None
    assert "1025 bytes" in (scan.why_key("é" * 512 + "x") or "")


def test_a_walk_names_files_and_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    (tmp_path / "album/1.jpg").write_bytes(b"1")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/2.jpg").write_bytes(b"2")
    (tmp_path / "loop").symlink_to(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).write_bytes(b"3")
    folders = list(scan.walk(str(tmp_path), "", "uploads/"))
    assert [found.path for folder in folders for found in folder.files] == ["album/1.jpg"]
    assert {item.path for folder in folders for item in folder.left_out} == {".hidden", "loop", "\udcff.jpg"}


def test_a_folder_that_cannot_be_listed_is_said_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open/1.jpg").write_bytes(b"1")
    real = os.scandir

    def guarded(path: str) -> object:  # the tests may run as root, whom permissions do not stop
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("darkroom.sync.scan.os.scandir", guarded)
    folders = list(scan.walk(str(tmp_path), "", "uploads/"))
    locked = next(folder for folder in folders if folder.path == "locked")
    assert not locked.readable
    assert locked.left_out[0].reason == "the folder cannot be read: Permission denied; it is tried again"
    assert [found.path for folder in folders for found in folder.files] == ["open/1.jpg"]
