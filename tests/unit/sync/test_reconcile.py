from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from darkroom.sync.journal import Journal
from darkroom.sync.reconcile import StoppedError, list_bucket, survey
from darkroom.sync.store import AwayError, KeysRefusedError, ObjectStore, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .memory_store import Box


@pytest.fixture
def journal(box: Box) -> Iterator[Journal]:
    journal = Journal(box.options.journal, folder=str(box.folder), bucket="photos", prefix="uploads/")
    yield journal
    journal.close()


def test_every_reason_for_waiting_is_told_until_the_bucket_answers(box: Box) -> None:
    reasons = iter([AwayError("no connection"), RefusedError("AccessDenied"), AwayError("no bucket")])
    told: list[str] = []

    def fail(operation: str, key: str) -> None:
        if error := next(reasons, None):
            raise error

    box.store.before = fail
    box.store.objects.clear()
    listing = list_bucket(box.connect, box.options, stop=threading.Event(), on_wait=told.append)
    assert listing.etags == {}
    assert told == ["no connection", "AccessDenied; listing it needs s3:ListBucket", "no bucket"]


def test_refused_keys_are_read_anew(box: Box) -> None:
    connections: list[int] = []

    def connect() -> ObjectStore:
        connections.append(1)
        if len(connections) < 3:
            raise KeysRefusedError("no profile")
        return box.store

    list_bucket(connect, box.options, stop=threading.Event(), on_wait=lambda _reason: None)
    assert len(connections) == 3


def test_waiting_ends_when_it_is_told_to_stop_or_its_time_is_over(box: Box) -> None:
    box.store.away = True
    stop = threading.Event()
    with pytest.raises(StoppedError):
        list_bucket(box.connect, box.options, stop=stop, on_wait=lambda _reason: stop.set())
    limited = replace(box.options, engine_wait_s=0.05)
    with pytest.raises(AwayError):
        list_bucket(box.connect, limited, stop=threading.Event(), on_wait=lambda _reason: None)


def test_a_survey_tells_new_changed_missing_and_lost_files_apart(box: Box, journal: Journal) -> None:
    for name in ("same.jpg", "changed.jpg", "album/missing.jpg", "lost.jpg"):
        box.write(name)
    box.once()
    box.write("changed.jpg", b"other content")
    box.write("new.jpg")
    for name in ("album/missing.jpg", "lost.jpg"):
        (box.folder / name).unlink()
    (box.folder / "album").rmdir()
    remote = dict(box.store.list("uploads/"))
    del remote["uploads/lost.jpg"]
    found = survey(str(box.folder), "", box.options, journal, remote)
    assert sorted(item.path for item in found.differing) == ["changed.jpg", "new.jpg"]
    assert [row.path for row in found.missing] == ["album/missing.jpg"]
    assert found.lost == ["lost.jpg"]
    assert (found.unchanged, found.files) == (1, 3)


def test_a_survey_of_one_folder_says_nothing_about_the_others(box: Box, journal: Journal) -> None:
    box.write("a/1.jpg")
    box.write("b/2.jpg")
    box.once()
    (box.folder / "b/2.jpg").unlink()
    found = survey(str(box.folder), "a", box.options, journal, None)
    assert (found.missing, found.unchanged, found.whole) == ([], 1, False)
