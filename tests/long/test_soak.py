"""Many invocations on one running environment: memory and descriptors of every part stay flat.

`DARKROOM_SOAK_INVOCATIONS=3000` makes a shorter run of it; the default is 20,000. Figures are printed (`pytest -s`).
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest
from botocore.config import Config

from darkroom.operations.environment import Environment
from tests.integration.conftest import quiet, settings_for
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_lambda import LambdaClient

INVOCATIONS = int(os.environ.get("DARKROOM_SOAK_INVOCATIONS", "20000"))
WARM_UP = 600
"""Invocations before anything is measured: pools, caches and allocators have their size then."""
SAMPLES = 8
CALLERS = 4
EVERY_NTH_BY_EVENT = 4
"""So many of the invocations come as S3 events, through engine, gateway and queue; the others are synchronous."""
GROWTH_MIB_PER_1000 = {"gateway": 1.0, "runtime": 1.5, "workers": 1.0, "engine": 14.0}
"""Bounds. The engine keeps metrics and the changes of the tables in memory, see docs/engines.md; its bound only says
that nothing else comes to it."""
GROWTH_DESCRIPTORS = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident memory (MiB) and open descriptors of the parts after some invocations."""

    invocations: int
    memory_mib: dict[str, float]
    descriptors: dict[str, int]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(settings_for(tmp_path_factory.mktemp("soak")))
    environment.up(overrides=(), report=quiet)
    try:
        yield environment
    finally:
        environment.down()


def measure(environment: Environment, invocations: int) -> Sample:
    memory: dict[str, float] = {}
    descriptors: dict[str, int] = {}
    for part in environment.engine.statuses():
        process = psutil.Process(part.pid)
        children = process.children(recursive=True)
        memory[part.name] = process.memory_info().rss / 2**20
        descriptors[part.name] = process.num_fds()
        if part.name == "runtime":
            memory["workers"] = sum(child.memory_info().rss for child in children) / 2**20
            descriptors["workers"] = sum(child.num_fds() for child in children)
    return Sample(invocations, memory, descriptors)


def invoke(client: LambdaClient, function: str, event: bytes) -> None:
    """A synchronous invocation; that another one has the image in hand at the moment is an answer, too."""
    answer = client.invoke(FunctionName=function, Payload=event)
    payload = answer["Payload"].read()
    assert not answer.get("FunctionError") or b"ImageBusyError" in payload, payload


def wait_for_events(environment: Environment) -> None:
    """Until the runtime's queue is empty."""
    deadline = time.monotonic() + 60
    queue: dict[str, int] = {}
    while time.monotonic() < deadline:
        queue = environment.engine.runtime_status().get("queue", {})
        if queue.get("waiting") == queue.get("running") == 0:
            return
        time.sleep(0.05)
    pytest.fail(f"events are still on their way: {queue}")


def slope_per_1000(samples: list[Sample], part: str) -> float:
    """Growth per 1,000 invocations by least squares: a single sample may catch a garbage collection."""
    points = [(sample.invocations / 1000, sample.memory_mib[part]) for sample in samples]
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


@pytest.mark.timeout(3600)
def test_memory_and_descriptors_of_every_part_stay_flat(environment: Environment) -> None:
    session = environment.session()
    bucket, function = environment.engine.bucket(), f"{environment.settings.stack}-tagger"
    keys = [f"uploads/soak-{number}.jpg" for number in range(50)]
    s3 = session.client("s3", config=Config(max_pool_connections=CALLERS))
    for number, key in enumerate(keys):
        s3.put_object(Bucket=bucket, Key=key, Body=pictures.jpeg(number, size=(64, 48)))
    wait_for_events(environment)
    table = session.client("dynamodb")
    events = [
        json.dumps(
            {
                "Records": [
                    {
                        "eventSource": "aws:s3",
                        "eventName": "ObjectCreated:Put",
                        "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
                    }
                ]
            }
        ).encode()
        for key in keys
    ]
    client = session.client("lambda", config=Config(max_pool_connections=CALLERS))
    samples: list[Sample] = []
    began = time.monotonic()
    done = 0
    with ThreadPoolExecutor(CALLERS) as pool:

        def one(number: int) -> None:
            if number % EVERY_NTH_BY_EVENT:
                invoke(client, function, events[number % len(events)])
            else:
                key = keys[number // EVERY_NTH_BY_EVENT % len(keys)]
                s3.put_object(Bucket=bucket, Key=key, Body=pictures.jpeg(number, size=(64, 48)))

        def run(until: int) -> None:
            nonlocal done
            list(pool.map(one, range(done, until)))
            done = until
            wait_for_events(environment)

        run(WARM_UP)
        for step in range(SAMPLES + 1):
            run(WARM_UP + INVOCATIONS * step // SAMPLES)
            samples.append(measure(environment, done))
    seconds = time.monotonic() - began
    growth = {part: slope_per_1000(samples, part) for part in samples[0].memory_mib}
    for sample in (samples[0], samples[-1]):
        rounded = {part: round(value, 1) for part, value in sample.memory_mib.items()}
        print(f"after {sample.invocations}: MiB {rounded}, descriptors {sample.descriptors}")
    print(f"{done} invocations in {seconds:.0f} s ({done / seconds:.0f}/s); MiB per 1,000: "
          f"{ {part: round(value, 2) for part, value in growth.items()} }")  # fmt: skip
    assert table.scan(TableName="ImageLabels", Select="COUNT")["Count"] == len(keys)
    for part, bound in GROWTH_MIB_PER_1000.items():
        assert growth[part] < bound, (part, growth)
    for part, first in samples[0].descriptors.items():
        assert samples[-1].descriptors[part] - first <= GROWTH_DESCRIPTORS, (part, samples)
