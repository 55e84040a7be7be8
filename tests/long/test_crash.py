"""kill -9 at random moments of a burst, over every part: it heals, and every file has exactly one current record.

Twenty seeded points, each in a burst of a thousand photographs. An environment lives through five of them, one for each
part, so that what one crash leaves behind would show at the next. The local Rekognition is in the gateway's process and
dies with it. `DARKROOM_CRASH_PHOTOGRAPHS=150` makes a shorter run of it.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from darkroom.operations.environment import Environment
from tests.integration.conftest import quiet, settings_for
from tests.support.crash import Crashing, Target, processes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BURST = int(os.environ.get("DARKROOM_CRASH_PHOTOGRAPHS", "1000"))
POINTS = 20
LATEST_S = BURST / 70
"""About as long as a burst takes."""
FEW = 150
"""Photographs where the part that is killed matters and the length of the burst does not."""


@contextmanager
def environment_in(folder: Path) -> Iterator[Crashing]:
    """An environment of its own; at the end nothing of it may be left behind."""
    environment = Environment(settings_for(folder))
    environment.up(overrides=(), report=quiet)
    try:
        yield Crashing(environment)
    finally:
        environment.down()
    assert processes_of(environment) == []
    assert not environment.layout.run.exists()
    assert list((environment.layout.runtime_state / "workers").iterdir()) == []


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    with environment_in(tmp_path_factory.mktemp("crash")) as crashing:
        yield crashing


@pytest.fixture(scope="module")
def bursting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    """One for each round of points: with twenty thousand records every look at the table would take seconds."""
    with environment_in(tmp_path_factory.mktemp(f"burst-{request.param}")) as crashing:
        yield crashing


def point(seed: int) -> tuple[Target, float]:
    """What is killed and when, in seconds after the burst began; each part gets its turn."""
    return list(Target)[seed % len(Target)], random.Random(seed).uniform(0.05, LATEST_S)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("bursting", "seed"),
    [
        pytest.param(seed // len(Target), seed, id=f"{seed}-{point(seed)[0]}-{point(seed)[1]:.2f}s")
        for seed in range(POINTS)
    ],
    indirect=["bursting"],
)
def test_a_part_killed_in_a_burst_heals_by_itself(bursting: Crashing, seed: int) -> None:
    target, moment_s = point(seed)
    dropping = bursting.drop_in_background(f"{seed}-{target}", BURST, seed=seed)
    time.sleep(moment_s)
    before = bursting.documents_on_disk()
    bursting.kill(target)
    dropping.join()
    bursting.check(bursting.wait_until_whole(timeout_s=300), before)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(3))
def test_everything_killed_at_once_is_healed_by_the_next_up(crashing: Crashing, seed: int) -> None:
    """As after a power loss, but for what the file system had not written."""
    dropping = crashing.drop_in_background(f"{seed}-everything", FEW, seed=200 + seed)
    time.sleep(random.Random(200 + seed).uniform(0.05, 3))
    crashing.kill_everything()
    dropping.join()
    before = crashing.documents_on_disk()
    crashing.environment.up(overrides=(), report=quiet)
    crashing.check(crashing.wait_until_whole(timeout_s=90), before)


@pytest.mark.timeout(240)
def test_an_object_that_a_power_loss_cut_short_is_uploaded_and_analysed_again(crashing: Crashing) -> None:
    """The file system had not written all of it: what S3 would tell of it is put aside with it."""
    environment = crashing.environment
    crashing.drop("cut", 10, seed=400)
    before = crashing.wait_until_whole(timeout_s=60)
    crashing.kill_everything()
    bucket = environment.layout.objects / environment.settings.account / environment.engine.bucket()
    os.truncate(bucket / "uploads/cut/3.jpg", 100)
    told: list[str] = []
    environment.up(overrides=(), report=told.append)
    assert any("not whole" in line and "cut/3.jpg" in line for line in told), told
    crashing.wait_until_whole(timeout_s=60)
    client = environment.session().client("s3")
    body = client.get_object(Bucket=environment.engine.bucket(), Key="uploads/cut/3.jpg")["Body"].read()
    assert body == (crashing.inbox / "cut/3.jpg").read_bytes()
    after = crashing.wait_until_whole(timeout_s=60)
    assert {key for key, it in after.items() if it["TaggedAt"] != before[key]["TaggedAt"]} == {
        "uploads/cut/3.jpg"
    }


@pytest.mark.timeout(240)
def test_supervisord_killed_alone_leaves_orphans_that_the_next_up_ends(crashing: Crashing) -> None:
    environment = crashing.environment
    dropping = crashing.drop_in_background("orphans", FEW, seed=300)
    time.sleep(1)
    parts = crashing.kill_supervisor()
    dropping.join()
    before = crashing.documents_on_disk()
    told: list[str] = []
    environment.up(overrides=(), report=told.append)
    assert any("left of an earlier run" in line for line in told)
    assert not parts & {process.pid for process in crashing.processes()}
    crashing.check(crashing.wait_until_whole(timeout_s=90), before)
    crashing.kill_supervisor()
    assert environment.down(), "it says that something was stopped"
    assert processes_of(environment) == []
    environment.up(overrides=(), report=quiet)
