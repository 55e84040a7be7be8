"""Uploads are refused before the disk is full, and taken again when there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.engine.gateway.guard import Caller
from darkroom.engine.gateway.space import Space, free_bytes

PERSON, FUNCTION = Caller("AKIAEXAMPLE0000", "s3"), Caller("ASIAEXAMPLE0000", "s3")


class Disk:
    """Free space that a test decides, and a clock."""

    def __init__(self, free_mb: int) -> None:
        self.free_mb = free_mb
        self.now = 0.0
        self.looks = 0
        self.space = Space(Path("/state"), free=self.look, clock=lambda: self.now)

    def look(self, _: Path) -> int:
        self.looks += 1
        return self.free_mb * 1_000_000

    def takes(self, caller: Caller, *, method: str = "PUT", query: str = "", mb: int = 0) -> bool:
        return self.space.refusal(method, query, caller, mb * 1_000_000) is None


@pytest.mark.parametrize(
    ("free_mb", "person", "function"), [(1000, True, True), (63, False, True), (15, False, False)]
)
def test_uploads_stop_first_and_what_functions_write_last(free_mb: int, person: bool, function: bool) -> None:
    assert Disk(free_mb).takes(PERSON) is person
    assert Disk(free_mb).takes(FUNCTION) is function


def test_a_body_that_does_not_fit_is_refused_and_the_smaller_one_taken() -> None:
    disk = Disk(100)
    assert not disk.takes(PERSON, mb=40)
    assert disk.takes(PERSON, mb=30)


def test_many_uploads_between_two_looks_do_not_slip_through() -> None:
    disk = Disk(100)
    assert [disk.takes(PERSON, mb=10) for _ in range(5)] == [True, True, True, False, False]
    assert disk.looks == 1


def test_it_is_taken_again_when_there_is_room() -> None:
    disk = Disk(10)
    assert not disk.takes(PERSON)
    disk.free_mb, disk.now = 500, 0.3
    assert disk.takes(PERSON)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_reading_and_deleting_work_on_a_full_disk(method: str) -> None:
    assert Disk(0).takes(PERSON, method=method)
    assert Disk(0).takes(PERSON, method="POST", query="delete")


def test_other_services_are_not_asked_for() -> None:
    assert Disk(0).takes(Caller("AKIAEXAMPLE0000", "dynamodb"), method="POST")


def test_the_refusal_is_one_that_sdks_try_again_and_says_what_to_do() -> None:
    refused = Disk(5).space.refusal("PUT", "", PERSON, 1)
    assert refused is not None
    assert (refused.code, refused.status) == ("SlowDown", 503)
    assert "/state" in refused.message
    assert "5 MB are free" in refused.message


def test_a_real_disk_tells_its_room(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
