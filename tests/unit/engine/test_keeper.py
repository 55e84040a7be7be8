"""The keeper's loop: what is saved is reloaded once it is quiet, and an engine that died is recovered."""

from __future__ import annotations

import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from darkroom.engine import keeper as module
from darkroom.engine.keeper import EngineMark, Keeper, run_recovery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class World:
    """What a keeper sees and does."""

    def __init__(self) -> None:
        self.reloads = 0
        self.fail_reloads = 0
        self.crashed = False
        self.recoveries = 0
        self.fail_recoveries = 0
        self.deployed = 1
        self.checks = 0
        self.keeper = Keeper(
            reload=self._reload,
            engine_restarted=lambda: self.crashed,
            recover=self._recover,
            deployed=lambda: self.deployed,
        )

    def check(self) -> None:
        self.checks += 1

    def stop(self) -> None:
        self.keeper.stop()

    def _reload(self) -> bool:
        self.reloads += 1
        self.fail_reloads -= 1
        return self.fail_reloads < 0

    def _recover(self) -> bool:
        self.recoveries += 1
        self.fail_recoveries -= 1
        self.crashed = self.fail_recoveries >= 0
        return not self.crashed

    def until(self, condition: Callable[[], bool], limit_s: float = 5.0) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.002)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(module, "TICK_S", 0.02)
    monkeypatch.setattr(module, "SETTLE_S", 0.01)
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.01)
    made = World()
    thread = threading.Thread(target=made.keeper.run, args=(made,))
    thread.start()
    made.until(lambda: made.reloads == 1)
    yield made
    made.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_it_looks_once_at_its_start_and_then_only_when_something_changed(world: World) -> None:
    world.until(lambda: world.checks > 3)
    assert world.reloads == 1


def test_many_changes_at_once_are_one_reload(world: World) -> None:
    for _ in range(50):
        world.keeper.changed()
    world.until(lambda: world.reloads == 2)
    checks = world.checks
    world.until(lambda: world.checks > checks + 3)
    assert world.reloads == 2


def test_a_reload_that_found_a_part_away_is_tried_again(world: World) -> None:
    world.fail_reloads = 3
    world.keeper.changed()
    world.until(lambda: world.reloads == 5)
    checks = world.checks
    world.until(lambda: world.checks > checks + 3)
    assert world.reloads == 5


def test_a_deployment_is_followed_by_a_look_at_what_it_brought(world: World) -> None:
    world.deployed = 2
    world.until(lambda: world.reloads == 2)


def test_an_engine_that_died_is_recovered_until_it_works_and_then_code_is_looked_at(world: World) -> None:
    world.fail_recoveries = 2
    world.crashed = True
    world.until(lambda: world.reloads == 2)
    assert world.recoveries == 3


def test_the_mark_tells_a_new_socket_from_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as first:
        first.bind(str(path))
        mark = EngineMark(path)
        assert not mark.is_another()
    path.unlink()
    assert not mark.is_another(), "there is no engine yet with which anything could be done"
    time.sleep(0.01)
    with socket.socket(socket.AF_UNIX) as second:
        second.bind(str(path))
        assert mark.is_another()
        assert EngineMark(path).is_another(), "also for a keeper that died with the engine"
        mark.note()
        assert not mark.is_another()


@pytest.mark.parametrize(("code", "worked"), [(0, True), (3, False)])
def test_only_a_recovery_that_ends_well_counts(tmp_path: Path, code: int, *, worked: bool) -> None:
    path = tmp_path / "engine.sock"
    mark = EngineMark(path)
    path.write_text("")
    assert mark.is_another()
    command = [sys.executable, "-S", "-c", f"raise SystemExit({code})"]
    assert run_recovery(command, mark, stopped=lambda: False) is worked
    assert mark.is_another() is not worked


def test_a_recovery_ends_with_its_keeper(tmp_path: Path) -> None:
    mark = EngineMark(tmp_path / "engine.sock")
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    began = time.monotonic()
    assert not run_recovery(command, mark, stopped=lambda: True)
    assert time.monotonic() - began < 5
