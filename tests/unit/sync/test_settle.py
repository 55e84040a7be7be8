"""When a path is handed out; the clock and the file system are the test's."""

from __future__ import annotations

import pytest

from darkroom.sync.model import Signature, Timing
from darkroom.sync.settle import Ready, Settle

T = Timing(settle=1.0, quiet=3.0)


class World:
    def __init__(self) -> None:
        self.files: dict[str, Signature] = {}
        self.settle = Settle(T, self.files.get)

    def put(self, path: str, size: int = 5, mtime: int = 1) -> Signature:
        self.files[path] = Signature(size, mtime, 1)
        return self.files[path]

    def at(self, now: float) -> Ready | None:
        self.settle.pump(now)
        return self.settle.take()


@pytest.fixture
def world() -> World:
    return World()


def test_a_closed_file_is_ready_at_once_and_only_once(world: World) -> None:
    world.put("a")
    world.settle.complete("a", 0.0)
    world.settle.complete("a", 0.0)
    assert world.at(0.0) == Ready("a", written=True)
    assert world.at(0.0) is None


def test_a_changed_file_is_ready_when_it_stood_still(world: World) -> None:
    world.put("a")
    world.settle.changed("a", 0.0)
    assert world.at(0.9) is None
    assert world.settle.next_due() == 1.0
    assert world.at(1.0) == Ready("a", written=True)


def test_every_change_starts_the_wait_anew(world: World) -> None:
    world.put("a", size=1)
    world.settle.changed("a", 0.0)
    world.put("a", size=2)
    assert world.at(1.0) is None
    world.put("a", size=2, mtime=2)
    assert world.at(2.0) is None
    assert world.at(3.0) == Ready("a", written=True)


def test_a_close_ends_the_wait(world: World) -> None:
    world.put("a")
    world.settle.changed("a", 0.0)
    world.settle.complete("a", 0.2)
    assert world.at(0.2) == Ready("a", written=True)
    assert len(world.settle) == 0


def test_an_empty_file_waits_to_be_filled(world: World) -> None:
    world.put("a", size=0)
    world.settle.complete("a", 0.0)
    assert world.at(0.0) is None
    assert world.at(1.0) == Ready("a", written=True)


def test_a_file_closed_again_soon_after_its_upload_has_to_settle(world: World) -> None:
    world.put("a")
    world.settle.uploaded("a", 0.0)
    world.settle.complete("a", 2.0)
    assert world.at(2.0) is None
    assert world.at(3.0) == Ready("a", written=True)
    world.settle.complete("a", 3.5)
    assert world.at(3.5) == Ready("a", written=True)


def test_a_file_found_long_unchanged_is_ready_a_fresh_one_waits(world: World) -> None:
    old, new = world.put("old"), world.put("new")
    world.settle.found("old", old, 60.0, 0.0)
    world.settle.found("new", new, 0.1, 0.0)
    assert world.at(0.0) == Ready("old", written=False)
    assert world.at(0.0) is None
    assert world.at(1.0) == Ready("new", written=False)


def test_a_file_from_the_future_has_to_stand_still(world: World) -> None:
    world.settle.found("a", world.put("a"), -3600.0, 0.0)
    assert world.at(0.0) is None
    assert world.at(1.0) == Ready("a", written=False)


def test_a_vanished_file_is_forgotten(world: World) -> None:
    world.put("a")
    world.settle.changed("a", 0.0)
    del world.files["a"]
    assert world.at(1.0) is None
    assert len(world.settle) == 0


def test_a_fresh_file_goes_before_a_backlog(world: World) -> None:
    for number in range(3):
        world.settle.found(f"old{number}", world.put(f"old{number}"), 60.0, 0.0)
    world.put("new")
    world.settle.complete("new", 0.0)
    world.settle.complete("old2", 0.0)
    assert [world.at(0.0) for _ in range(5)] == [
        Ready("new", written=True),
        Ready("old2", written=True),
        Ready("old0", written=False),
        Ready("old1", written=False),
        None,
    ]


def test_a_walk_does_not_hurry_a_file_that_waits_after_a_failure(world: World) -> None:
    seen = world.put("a")
    world.settle.later("a", 0.0, 10.0)
    world.settle.found("a", seen, 60.0, 0.0)
    assert world.at(9.0) is None
    assert world.at(10.0) == Ready("a", written=False)
