from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkroom.errors import UsageError
from darkroom.sync.journal import Journal
from darkroom.sync.model import Row, Signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def row(path: str, inode: int = 7) -> Row:
    return Row(path, Signature(3, 1_700_000_000_123_456_789, inode), "digest", "etag", "v1", 1.5, racy=True)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "state/journal.sqlite")


@pytest.fixture
def journal(file: str) -> Iterator[Journal]:
    journal = Journal(file, folder="/inbox", bucket="b", prefix="uploads/")
    yield journal
    journal.close()


def test_what_was_written_is_read_back_by_another_connection(journal: Journal) -> None:
    written = row("album/a.jpg", inode=2**64 - 1)
    journal.write([written])
    other = journal.another()
    assert other.row("album/a.jpg") == written
    assert other.in_folder("album") == {"album/a.jpg": written}
    assert other.row("a.jpg") is None
    other.close()


def test_lines_of_another_bucket_or_folder_are_not_seen(journal: Journal, file: str) -> None:
    journal.write([row("a.jpg")])
    for folder, bucket in (("/inbox", "other"), ("/elsewhere", "b")):
        other = Journal(file, folder=folder, bucket=bucket, prefix="uploads/")
        assert other.row("a.jpg") is None
        assert other.anchor() is None
        other.close()


def test_below_gives_a_file_or_everything_in_a_folder_and_no_neighbour(journal: Journal) -> None:
    journal.write([row(path) for path in ("a/1.jpg", "a/b/2.jpg", "ab/3.jpg", "a.jpg")])
    assert sorted(found.path for found in journal.below("a")) == ["a/1.jpg", "a/b/2.jpg"]
    assert [found.path for found in journal.below("a.jpg")] == ["a.jpg"]


def test_the_key_stands_in_the_journal_for_people_to_read(journal: Journal, file: str) -> None:
    journal.write([row("a b/ü.jpg")])
    with sqlite3.connect(file) as plain:
        found = plain.execute("SELECT key, size FROM uploads").fetchall()
    plain.close()
    assert found == [("uploads/a b/ü.jpg", 3)]


def test_forgetting_and_writing_happen_together(journal: Journal) -> None:
    journal.write([row("a.jpg")])
    journal.write([row("b.jpg")], forget=["a.jpg"])
    assert journal.row("a.jpg") is None
    assert journal.row("b.jpg") is not None


def test_a_file_that_is_no_journal_is_a_users_error_that_names_it(tmp_path: Path) -> None:
    wrong = tmp_path / "journal.sqlite"
    wrong.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(UsageError, match=r"journal\.sqlite cannot be used"):
        Journal(str(wrong), folder="/inbox", bucket="b", prefix="uploads/")


def test_a_journal_of_a_newer_program_is_refused(file: str, journal: Journal) -> None:
    with sqlite3.connect(file) as plain:
        plain.execute("PRAGMA user_version=99")
    plain.close()
    with pytest.raises(UsageError, match="version 99"):
        Journal(file, folder="/inbox", bucket="b", prefix="uploads/")


_NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(_NAME, min_size=1, max_size=4))
def test_any_utf8_path_comes_back_as_it_was(journal: Journal, parts: list[str]) -> None:
    written = row("/".join(parts))
    journal.write([written])
    assert journal.row(written.path) == written
