"""When a recovery counts as done, with an engine that a test lets die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from darkroom.engine.truth import EngineRun
from darkroom.errors import EngineError
from darkroom.operations import recovery
from darkroom.operations.recovery import Recovered, Recovery
from darkroom.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DONE = Recovered(False, 3, 0, 0, 0.1)


class FakeEngine:
    """An engine by its process id; each recovery may kill it."""

    def __init__(self) -> None:
        self.pid = 1
        self.noted: EngineRun | None = None
        self.queues: list[dict[str, Any]] = []
        self.asked = 0

    def engine_run(self) -> EngineRun:
        return EngineRun(self.pid, float(self.pid))

    def is_complete(self) -> bool:
        return self.noted == self.engine_run()

    def note_complete(self, run: EngineRun) -> None:
        self.noted = run

    def wait_ready(self) -> None:
        """Always."""

    def runtime_status(self) -> dict[str, Any]:
        self.asked += 1
        return {"queue": self.queues.pop(0)} if self.queues else {}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens in each round of a recovery; a fresh list counts those that were run."""
    happens: list[Callable[[], None]] = []

    def once(_: Recovery) -> Recovered:
        if happens:
            happens.pop(0)()
        return DONE

    monkeypatch.setattr(Recovery, "_once", once)
    return happens


def make(engine: FakeEngine, home: Path) -> Recovery:
    return Recovery(Settings(home=home), engine, lambda _: None)  # type: ignore[arg-type]


def test_an_engine_that_holds_everything_is_not_touched(
    engine: FakeEngine, tmp_path: Path, rounds: list[Callable[[], None]]
) -> None:
    rounds.append(lambda: pytest.fail("it was recovered"))
    engine.note_complete(engine.engine_run())
    assert make(engine, tmp_path).run() is None


def test_a_recovery_is_noted_and_not_repeated(
    engine: FakeEngine, tmp_path: Path, rounds: list[Callable[[], None]]
) -> None:
    assert make(engine, tmp_path).run() == DONE
    assert engine.is_complete()
    assert make(engine, tmp_path).run() is None


def test_an_engine_that_dies_meanwhile_is_recovered_again(
    engine: FakeEngine, tmp_path: Path, rounds: list[Callable[[], None]]
) -> None:
    def die() -> None:
        engine.pid += 1

    rounds += [die, die]
    assert make(engine, tmp_path).run() == DONE
    assert engine.noted == EngineRun(3, 3.0)


def test_an_engine_that_dies_again_and_again_is_an_error_that_names_its_log(
    engine: FakeEngine, tmp_path: Path, rounds: list[Callable[[], None]]
) -> None:
    def die() -> None:
        engine.pid += 1

    rounds += [die] * 20
    with pytest.raises(EngineError, match="again and again") as error:
        make(engine, tmp_path).run()
    assert "logs engine" in error.value.hint
    assert not engine.is_complete()


def test_a_recovery_that_fails_is_not_noted(
    engine: FakeEngine, tmp_path: Path, rounds: list[Callable[[], None]]
) -> None:
    def fail() -> None:
        raise EngineError("the disk is full")

    rounds.append(fail)
    with pytest.raises(EngineError, match="disk is full"):
        make(engine, tmp_path).run()
    assert engine.noted is None
    assert make(engine, tmp_path).run() == DONE


def test_it_waits_for_events_from_before_and_not_for_those_that_come_now(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_POLL_S", 0.01)
    old = {"waiting": 5, "running": 2, "oldestAgeSeconds": 9.0}
    engine.queues = [old, {}, old, {"waiting": 5, "running": 2, "oldestAgeSeconds": 0.001}]
    make(engine, tmp_path)._let_events_finish()
    assert engine.asked == 4
    engine.queues = [{"waiting": 0, "running": 0, "oldestAgeSeconds": 0.0}]
    make(engine, tmp_path)._let_events_finish()
    assert engine.asked == 5


def test_it_does_not_wait_for_ever(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_POLL_S", 0.01)
    monkeypatch.setattr(recovery, "_UNDER_WAY_S", 0.05)
    make(engine, tmp_path)._let_events_finish()
    assert engine.asked > 1
