from __future__ import annotations

import importlib
import json
import sys
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pipeline.errors import BatchFailedError, ConfigurationError
from pipeline.events import Upload
from tests.unit.pipeline.world import BUCKET, CAT, INDEX, TABLE, World, event

if TYPE_CHECKING:
    from collections.abc import Callable

    Handle = Callable[[dict[str, Any]], dict[str, int]]


class Context:
    """Lambda's context object, as far as the handler and Powertools read it."""

    function_name = "darkroom-tagger"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:darkroom-tagger:live"
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "TABLE_NAME": TABLE,
        "INDEX_TABLE_NAME": INDEX.table,
        "INDEX_SHARDS": str(INDEX.shards),
        "TRIGGER_PREFIX": "uploads/",
        "MIN_CONFIDENCE": "75",
        "MAX_LABELS": "50",
        "POWERTOOLS_SERVICE_NAME": "tagger",
        "POWERTOOLS_METRICS_NAMESPACE": "darkroom",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "pipeline.tagger", raising=False)
    return monkeypatch


@pytest.fixture
def handle(world: World, environment: pytest.MonkeyPatch) -> Handle:
    module = importlib.import_module("pipeline.tagger")
    tagger = module._tagger
    world.rekognition.attach(tagger.analysis.client)

    def call(sent: dict[str, Any]) -> dict[str, int]:
        for output in module.logger.handlers:
            output.stream = sys.stdout  # the logger outlives a test, the test's output does not
        return dict(module.handler(sent, Context()))

    return call


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_handled_and_reported(
    world: World, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handle(event(world.upload())) == {"tagged": 1}
    log, metrics = lines(capsys)
    assert (log["message"], log["image"], log["labels"]) == ("tagged", "uploads/cat.png", 2)
    assert (log["function_request_id"], log["service"], log["source"]) == ("request-1", "tagger", "aws")
    assert (metrics["Images"], metrics["Tagged"]) == ([1.0], [1.0])
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "darkroom"
    assert (metrics["SuccessRate"], metrics["RekognitionCalls"]) == ([100.0], [1.0])
    assert (metrics["RekognitionThrottles"], metrics["RekognitionPriceUsd"]) == ([0.0], [0.001])
    assert 0 <= log["rekognition_ms"] <= log["duration_ms"] == pytest.approx(metrics["Duration"][0], abs=0.06)


def test_one_bad_image_stops_no_other(
    world: World, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads = [
        world.upload("uploads/a.png"),
        world.upload("uploads/empty.png", b""),
        world.upload("uploads/b.png"),
    ]
    assert handle(event(*uploads)) == {"tagged": 2, "failed": 1}
    failed = [line for line in lines(capsys) if line.get("message") == "failed"]
    assert [(line["image"], line["error_code"]) for line in failed] == [("uploads/empty.png", "EmptyObject")]


def test_one_image_that_may_succeed_later_raises_after_the_others_are_done(
    world: World, handle: Handle
) -> None:
    answers = iter([CAT, "AccessDeniedException", CAT])
    world.rekognition.answer = lambda: next(answers)
    sent = event(*(world.upload(f"uploads/{name}.png") for name in "abc"))
    with pytest.raises(BatchFailedError, match=r"1 of 3 images failed: uploads/b\.png.*AccessDenied"):
        handle(sent)
    assert [world.record(f"uploads/{name}.png") is not None for name in "abc"] == [True, False, True]
    world.rekognition.answer = CAT
    assert handle(sent) == {"duplicate": 2, "tagged": 1}
    assert len(world.rekognition.requests) == 4


def test_the_error_of_a_single_image_is_raised_as_it_is(world: World, handle: Handle) -> None:
    world.rekognition.answer = "AccessDeniedException"
    with pytest.raises(ClientError, match="AccessDenied"):
        handle(event(world.upload()))


def test_an_attempt_that_is_tried_again_is_logged_with_its_image_and_counts_against_the_success_rate(
    world: World, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    world.rekognition.answer = "ThrottlingException"
    with pytest.raises(ClientError):
        handle(event(world.upload()))
    log, metrics = lines(capsys)
    assert (log["level"], log["image"], log["function_request_id"]) == (
        "ERROR",
        "uploads/cat.png",
        "request-1",
    )
    assert "ThrottlingException" in log["exception"]
    assert (metrics["Errors"], metrics["SuccessRate"]) == ([1.0], [0.0])
    assert metrics["RekognitionThrottles"] == metrics["RekognitionCalls"]
    assert metrics["RekognitionPriceUsd"] == [0.0]


def test_a_duplicate_counts_neither_for_nor_against_the_success_rate(
    world: World, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = event(world.upload())
    handle(sent)
    handle(sent)
    metrics = lines(capsys)[-1]
    assert metrics["Skipped"] == [1.0]
    assert not {"SuccessRate", "RekognitionCalls", "Errors"} & metrics.keys()


def test_the_log_tells_how_long_the_image_waited_since_its_upload(
    world: World, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = event(world.upload())
    uploaded = datetime.now(UTC) - timedelta(seconds=5)
    sent["Records"][0]["eventTime"] = uploaded.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    handle(sent)
    log, metrics = lines(capsys)
    assert 5_000 <= log["delay_ms"] < 60_000
    assert metrics["Delay"] == [pytest.approx(log["delay_ms"], abs=0.06)]


def test_the_same_image_twice_in_one_event_is_analysed_once(world: World, handle: Handle) -> None:
    upload = world.upload()
    assert handle(event(upload, upload)) == {"tagged": 1, "duplicate": 1}


def test_what_the_tagger_writes_does_not_trigger_it(world: World, handle: Handle) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert handle(event(Upload(BUCKET, "metadata/cat.png.json"))) == {}
    assert world.documents() == []


def test_a_wrong_configuration_is_an_error_at_start(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MIN_CONFIDENCE", "high")
    environment.delenv("AWS_REGION")
    with pytest.raises(ConfigurationError, match=r"AWS_REGION is missing; MIN_CONFIDENCE must be a number"):
        importlib.import_module("pipeline.tagger")


def test_pydantic_is_not_loaded(world: World, handle: Handle) -> None:
    loaded = [name for name in sys.modules if name.startswith("aws_lambda_powertools")]
    assert not [name for name in loaded if "parser" in name.split(".")]
