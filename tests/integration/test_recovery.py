"""kill -9 in the middle of a burst: it heals by itself, and nothing is lost, doubled or analysed again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from darkroom.engine.embedded import EmbeddedEngine
from darkroom.operations.environment import Environment
from darkroom.operations.recovery import Recovery
from tests.integration.conftest import quiet, settings_for
from tests.support.crash import Crashing, Target, processes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Crashing]:
    environment = Environment(settings_for(tmp_path))
    environment.up(overrides=(), report=quiet)
    yield Crashing(environment)
    environment.down()


def test_it_heals_after_kills_and_after_the_loss_of_everything(crashing: Crashing) -> None:
    """One environment for the whole story, since each start takes seconds."""
    environment = crashing.environment
    for seed, target in enumerate((Target.ENGINE, Target.RUNTIME)):
        dropping = crashing.drop_in_background(target, 30, seed=seed)
        time.sleep(0.5)
        before = crashing.documents_on_disk()
        crashing.kill(target)
        dropping.join()
        crashing.check(crashing.wait_until_whole(timeout_s=40), before)

    dropping = crashing.drop_in_background("power", 30, seed=9)
    time.sleep(0.4)
    crashing.kill_everything()
    dropping.join()
    before = crashing.documents_on_disk()
    assert processes_of(environment) == []
    told: list[str] = []
    result = environment.up(overrides=(), report=told.append)
    assert any("recovered from a crash" in change for change in result.changes), result.changes
    crashing.check(crashing.wait_until_whole(timeout_s=40), before)
    assert isinstance(environment.engine, EmbeddedEngine)
    assert Recovery(environment.settings, environment.engine, told.append).run() is None

    environment.down()
    assert processes_of(environment) == []
    assert not environment.layout.run.exists()
    assert list((environment.layout.runtime_state / "workers").iterdir()) == []
    assert environment.up(overrides=(), report=quiet).changes == (), "a clean stop needs no recovery"
    assert set(crashing.wait_until_whole(timeout_s=5)) == crashing.keys()
