"""What is counted of Rekognition, at a client that is asked for real but answered by the test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from pipeline.metering import Meter, Usage, price_usd
from tests.unit.pipeline.world import SESSION, FakeRekognition

if TYPE_CHECKING:
    from types_boto3_rekognition import RekognitionClient

IMAGE: Any = {"S3Object": {"Bucket": "photographs", "Name": "uploads/cat.png"}}


def client_of(fake: FakeRekognition, *, attempts: int) -> RekognitionClient:
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
    client = SESSION.client("rekognition", config=config)
    events: Any = client.meta.events
    events.register("before-send.rekognition.DetectLabels", fake._send)
    return client


def test_an_answered_call_counts_once_and_costs_its_list_price() -> None:
    client = FakeRekognition().client()
    meter = Meter(client)
    client.detect_labels(Image=IMAGE)
    used = meter.take()
    assert (used.calls, used.throttles, used.price_usd) == (1, 0, 0.001)
    assert used.busy_ms > 0
    assert meter.take() == Usage()


def test_each_try_of_the_client_counts_and_only_the_answered_one_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    fake = FakeRekognition()
    answers = iter(["ThrottlingException", "ProvisionedThroughputExceededException", {"Labels": []}])
    fake.answer = lambda: next(answers)
    client = client_of(fake, attempts=3)
    meter = Meter(client)
    client.detect_labels(Image=IMAGE)
    used = meter.take()
    assert (used.calls, used.throttles, used.price_usd) == (3, 2, 0.001)


def test_a_refused_call_costs_nothing() -> None:
    fake = FakeRekognition(answer="InvalidImageFormatException")
    client = fake.client()
    meter = Meter(client)
    with pytest.raises(ClientError):
        client.detect_labels(Image=IMAGE)
    used = meter.take()
    assert (used.calls, used.throttles, used.price_usd) == (1, 0, 0.0)


def test_calls_side_by_side_take_the_time_of_the_longest_and_not_the_sum() -> None:
    both = threading.Barrier(2, timeout=5)
    fake = FakeRekognition()

    def answer() -> dict[str, Any]:
        both.wait()
        return {"Labels": []}

    fake.answer = answer
    client = fake.client()
    ticks = iter(range(100))
    meter = Meter(client, clock_s=lambda: float(next(ticks)))
    calls = [threading.Thread(target=client.detect_labels, kwargs={"Image": IMAGE}) for _ in range(2)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    used = meter.take()
    assert used.calls == 2
    assert used.busy_ms == 1000.0, "the clock is asked when the first begins and when the last ends"


@pytest.mark.parametrize(
    ("operation", "parameters", "price"),
    [
        ("DetectLabels", {}, 0.001),
        ("DetectLabels", {"Features": ["GENERAL_LABELS"]}, 0.001),
        ("DetectLabels", {"Features": ["IMAGE_PROPERTIES"]}, 0.00075),
        ("DetectLabels", {"Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]}, 0.00175),
        ("DetectFaces", {"Attributes": ["ALL"]}, 0.001),
        ("RecognizeCelebrities", {}, 0.001),
    ],
)
def test_each_feature_has_its_price(operation: str, parameters: dict[str, Any], price: float) -> None:
    assert price_usd(operation, parameters) == pytest.approx(price)
