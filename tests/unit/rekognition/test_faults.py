"""Faults: codes, rates, counts, latencies, dropped connections, the token bucket, and their determinism."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.rekognition import Rekognition
from darkroom.rekognition.faults import KINDS, FaultInjector, Latency, read_plan

from .helpers import FIXTURES, Caller, MemorySource, in_s3

if TYPE_CHECKING:
    from collections.abc import Iterator

COFFEE = in_s3("coffee.png")


class Waits:
    """A clock and a sleep of the test's own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def faulty(source: MemorySource, waits: Waits) -> Iterator[Caller]:
    rekognition = Rekognition(fixtures=FIXTURES, source=source, clock=lambda: waits.now, sleep=waits.sleep)
    yield Caller(rekognition)
    rekognition.close()


def start(caller: Caller, **plan: Any) -> None:
    caller.rekognition.faults.use(read_plan(plan))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_named_error_has_the_services_code_status_and_words(faulty: Caller, kind: str) -> None:
    start(faulty, faults=[{"kind": kind, "count": 1}])
    expected = KINDS[kind]
    assert await faulty.error("DetectLabels", Image=COFFEE) == (
        expected.status,
        expected.code,
        expected.message.replace("<Operation>", "DetectLabels"),
    )
    answer = await faulty("DetectLabels", Image=COFFEE)
    assert answer.status == 200
    assert "x-darkroom-fault" not in answer.headers


def test_throttling_is_400_and_only_an_overload_and_an_internal_error_are_500() -> None:
    statuses = {kind: error.status for kind, error in KINDS.items()}
    assert {kind for kind, status in statuses.items() if status == 500} == {"overload", "internal"}
    assert KINDS["throughput"].code == "ProvisionedThroughputExceededException"


async def test_an_injected_error_says_so_in_a_header(faulty: Caller) -> None:
    start(faulty, faults=[{"kind": "internal"}])
    assert (await faulty("DetectLabels", Image=COFFEE)).headers["x-darkroom-fault"] == "injected"


async def test_only_the_named_operations_fail(faulty: Caller) -> None:
    start(faulty, faults=[{"kind": "internal", "operations": ["DetectFaces"]}])
    assert (await faulty("DetectLabels", Image=COFFEE)).status == 200
    assert (await faulty("DetectFaces", Image=COFFEE)).status == 500


async def test_a_count_begins_after_so_many_calls(faulty: Caller) -> None:
    start(faulty, faults=[{"kind": "throttling", "after": 2, "count": 3}])
    statuses = [(await faulty("DetectLabels", Image=COFFEE)).status for _ in range(7)]
    assert statuses == [200, 200, 400, 400, 400, 200, 200]


def fates(seed: int, calls: int, interleaved: bool = False) -> list[bool]:
    injector = FaultInjector(clock=lambda: 0.0)
    injector.use(read_plan({"seed": seed, "faults": [{"kind": "throttling", "rate": 0.3}]}))
    found = []
    for _ in range(calls):
        if interleaved:
            injector.fate("DetectFaces")
        found.append(injector.fate("DetectLabels").error is not None)
    return found


def test_the_same_seed_means_the_same_fate_whatever_runs_beside_it() -> None:
    assert fates(1, 300) == fates(1, 300) == fates(1, 300, interleaved=True)
    assert fates(1, 300) != fates(2, 300)


def test_a_rate_is_kept_in_the_long_run() -> None:
    assert 0.28 < sum(fates(3, 5000)) / 5000 < 0.32


async def test_a_fixed_latency_waits_and_then_answers(faulty: Caller, waits: Waits) -> None:
    start(faulty, faults=[{"kind": "latency", "latency_ms": 250}])
    assert (await faulty("DetectLabels", Image=COFFEE)).status == 200
    assert waits.slept == [0.25]


async def test_latency_and_an_error_come_together(faulty: Caller, waits: Waits) -> None:
    start(faulty, faults=[{"kind": "latency", "latency_ms": 100}, {"kind": "overload", "latency_ms": 50}])
    assert (await faulty.error("DetectLabels", Image=COFFEE))[2] == "Service Unavailable"
    assert sum(waits.slept) == pytest.approx(0.15)


def test_a_log_normal_latency_has_its_median_and_its_95th_percentile() -> None:
    latency = Latency(median_ms=80, p95_ms=400)
    assert latency.pick(0.5) == pytest.approx(80)
    assert latency.pick(0.95) == pytest.approx(400)
    assert Latency(low_ms=10, high_ms=30).pick(0.25) == 15


async def test_a_dropped_connection_is_asked_of_the_server(faulty: Caller) -> None:
    start(faulty, faults=[{"kind": "drop", "count": 1}])
    assert (await faulty("DetectLabels", Image=COFFEE)).disconnect
    assert not (await faulty("DetectLabels", Image=COFFEE)).disconnect


async def test_the_token_bucket_behaves_like_an_accounts_rate_limit(faulty: Caller, waits: Waits) -> None:
    start(faulty, tps=5, burst=10)

    async def passed(calls: int, operation: str = "DetectLabels") -> int:
        return sum([(await faulty(operation, Image=COFFEE)).status == 200 for _ in range(calls)])

    assert await passed(30) == 10
    waits.now += 1
    assert await passed(30) == 5
    waits.now += 60
    assert await passed(30) == 10
    assert await passed(5, "DetectFaces") == 5
    assert (await faulty.error("DetectLabels", Image=COFFEE))[1:] == (
        "ProvisionedThroughputExceededException",
        "Provisioned Rate exceeded.",
    )


async def test_the_control_shows_starts_and_ends_a_plan(faulty: Caller) -> None:
    async def control(method: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        answer = await faulty.rekognition.control(method=method, body=body)
        return answer.status, json.loads(answer.body)

    plan = {"seed": 7, "faults": [{"kind": "throttling", "rate": 0.5, "latency_ms": {"median": 5, "p95": 9}}]}
    status, shown = await control("PUT", json.dumps(plan).encode())
    assert status == 200
    assert shown["plan"]["seed"] == 7
    assert shown["plan"]["faults"][0]["latency_ms"] == {"median": 5, "p95": 9}
    for _ in range(20):
        await faulty("DetectLabels", Image=COFFEE)
    assert 3 < (await control("GET"))[1]["fired"]["throttling"] < 17
    assert (await control("DELETE"))[1]["plan"]["faults"] == []
    assert (await faulty("DetectLabels", Image=COFFEE)).status == 200
    assert (await control("POST"))[0] == 405


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ("[]", "the plan: must be a mapping"),
        ("{", "Not a fault plan"),
        ('{"fault": []}', "'fault' is not known here; known are seed, faults, tps, burst"),
        ('{"faults": [{}]}', "faults[0]: 'kind' is missing"),
        ('{"faults": [{"kind": "dragons"}]}', "must be one of throughput, s3-throughput, throttling"),
        ('{"faults": [{"kind": "drop", "rate": 2}]}', "faults[0].rate: is 2; it must be from 0 to 1"),
        ('{"faults": [{"kind": "drop", "operations": ["X"]}]}', "must be one of CompareFaces"),
        ('{"tps": -1}', "tps: is -1"),
    ],
)
async def test_a_wrong_plan_is_refused_with_its_place_and_the_old_one_stays(
    faulty: Caller, plan: str, sentence: str
) -> None:
    start(faulty, faults=[{"kind": "internal"}])
    answer = await faulty.rekognition.control(method="PUT", body=plan.encode())
    assert answer.status == 400
    assert sentence in json.loads(answer.body)["message"]
    assert len(faulty.rekognition.faults.plan.faults) == 1
