"""Counts over `down` and `up`, which the engine's streams do not survive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.operations.environment import Environment
from pipeline.catalogue import Catalogue
from tests.integration.conftest import Running, quiet, settings_for
from tests.integration.test_deletes import until
from tests.integration.test_statistics import counted
from tests.support import pictures

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def opened(environment: Environment, bucket: str) -> tuple[Running, Catalogue]:
    session = environment.session()
    running = Running(
        environment, environment.settings.inbox, bucket, environment.images(), session.client("s3")
    )
    catalogue = Catalogue(
        session.client("dynamodb"),
        images_table="ImageLabels",
        index_table="LabelIndex",
        statistics_table="Statistics",
        shards=4,
    )
    return running, catalogue


@pytest.mark.timeout(150)
def test_pictures_are_counted_after_a_restart_as_before(tmp_path: Path) -> None:
    environment = Environment(settings_for(tmp_path))
    try:
        bucket = environment.up(overrides=(), report=quiet).bucket
        running, catalogue = opened(environment, bucket)
        for number in range(6):
            running.record(running.drop(f"{number}.jpg", pictures.jpeg(number)))
        # at once, while the last one may not be counted yet
        environment.down()
        environment.up(overrides=(), report=quiet)
        running, catalogue = opened(environment, bucket)
        assert until(lambda: counted(running, catalogue)), catalogue.counts()
        running.record(running.drop("after.jpg", pictures.jpeg(100)))
        assert until(lambda: counted(running, catalogue)), catalogue.counts()
        assert catalogue.counts().images == 7
    finally:
        environment.down()
