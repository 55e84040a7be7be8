"""Figures out of a function's log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from darkroom.errors import UsageError
from darkroom.operations.figures import Spread, period_s, summarise

REPORT = (
    "REPORT RequestId: 8f17a59c\tDuration: {duration:.2f} ms\tBilled Duration: {billed} ms\t"
    "Memory Size: 256 MB\tMax Memory Used: {memory} MB\t"
)


def report(duration: float, *, memory: int = 60, more: str = "") -> str:
    return REPORT.format(duration=duration, billed=round(duration + 0.5), memory=memory) + more


def embedded(**values: list[float]) -> str:
    entry: dict[str, Any] = {
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "darkroom",
                    "Dimensions": [["service"]],
                    "Metrics": [{"Name": n} for n in values],
                }
            ]
        },
        "service": "tagger",
        **values,
    }
    return json.dumps(entry)


def test_percentiles_are_values_that_occurred() -> None:
    spread = dict(Spread.of([float(n) for n in range(1, 101)]).percentiles)
    assert spread == {50: 50.0, 90: 90.0, 95: 95.0, 99: 99.0, 100: 100.0}
    assert dict(Spread.of([7.0]).percentiles) == dict.fromkeys((50, 90, 95, 99, 100), 7.0)
    assert Spread.of([]).as_json() == {}


def test_durations_memory_and_cold_starts_come_from_the_report_lines() -> None:
    figures = summarise(
        [
            report(20.5),
            report(40.25, memory=64, more="Init Duration: 812.43 ms\t"),
            report(30_000, more="Status: timeout\t"),
            report(10, more="Status: error\tError Type: Runtime.ExitError\t"),
        ]
    )
    assert (figures.invocations, figures.failed, figures.size_mb) == (4, 2, 256)
    assert sorted(figures.values["duration_ms"]) == [10.0, 20.5, 40.25, 30_000.0]
    assert figures.values["init_ms"] == [812.43]
    assert figures.as_json()["cold_starts"] == 1
    assert figures.spread("memory_mb").as_json()["max"] == 64


def test_success_and_price_come_from_the_embedded_metrics() -> None:
    figures = summarise(
        [
            embedded(Images=[1.0], Tagged=[1.0], RekognitionCalls=[3.0], RekognitionPriceUsd=[0.003]),
            embedded(Images=[2.0], Tagged=[1.0, 1.0], Failures=[1.0], SuccessRate=[100.0, 100.0, 0.0]),
            embedded(Images=[1.0], Errors=[1.0], RekognitionCalls=[5.0], RekognitionThrottles=[5.0]),
        ]
    )
    assert figures.success_percent == 60.0
    assert figures.metrics["RekognitionCalls"] == 8.0
    assert figures.metrics["RekognitionThrottles"] == 5.0
    assert figures.metrics["RekognitionPriceUsd"] == pytest.approx(0.003)
    assert "SuccessRate" not in figures.metrics, "percentages are not to be summed"


def test_reports_that_the_engine_makes_up_do_not_count() -> None:
    made_up = "REPORT RequestId: 1\tDuration: 12 ms\tBilled Duration: 12 ms\tMemory Size: 256 MB\tMax Memory Used: 0 MB"
    assert summarise([made_up, report(5)]).invocations == 1


@pytest.mark.parametrize(
    "line", ["{", "{}", '{"_aws": 1}', '{"_aws": {"CloudWatchMetrics": [1]}}', "START x", ""]
)
def test_any_other_line_is_passed_over(line: str) -> None:
    figures = summarise([line])
    assert (figures.invocations, figures.metrics, figures.success_percent) == (0, {}, None)


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("30m", 1800), ("2h", 7200), ("7 d", 604_800)])
def test_a_period_is_read(text: str, seconds: int) -> None:
    assert period_s(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0m", "-1h", "1w", "1.5h"])
def test_what_is_no_period_is_a_users_error(text: str) -> None:
    with pytest.raises(UsageError, match="is no period"):
        period_s(text)
