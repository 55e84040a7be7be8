"""How the engine delivers events to a function that runs elsewhere: the documented proxy seam that our runtime uses."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest

from darkroom.runtime import aws
from darkroom.runtime.model import LogEvent
from darkroom.runtime.trimming import LogTrimmer
from tests.contract.conftest import ACCOUNT, REGION, create_function

if TYPE_CHECKING:
    from tests.contract.conftest import Engine

FUNCTION = "darkroom-tagger"
"""The one that the engine's environment names."""
_bucket_numbers = itertools.count()


@pytest.fixture(scope="module")
def function(engine: Engine) -> str:
    return create_function(engine, FUNCTION)


def notifying_bucket(engine: Engine, target: str) -> str:
    name = f"notifying-{next(_bucket_numbers)}"
    s3 = engine.client("s3")
    s3.create_bucket(Bucket=name)
    configured = {"LambdaFunctionArn": target, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"LambdaFunctionConfigurations": [configured]}
    )
    return name


def records(engine: Engine, bucket: str, *, count: int) -> list[dict[str, Any]]:
    """The S3 records that arrived for a bucket, without S3's test events."""
    deadline = time.monotonic() + 5
    while True:
        found = [
            record
            for delivery in engine.receiver.at(f'"{bucket}"', count=0)
            for record in delivery.event.get("Records", [])
        ]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def test_an_invocation_is_posted_to_the_address_in_the_engines_environment(
    engine: Engine, function: str
) -> None:
    event = {"who": "posted", "text": "Grüße"}
    engine.client("lambda").invoke(FunctionName=FUNCTION, InvocationType="Event", Payload=json.dumps(event))
    (delivery,) = engine.receiver.at('"posted"', count=1)
    assert delivery.path == engine.events_path
    assert delivery.event == event
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    assert headers["x-amzn-lambda-function-name"] == FUNCTION
    assert headers["x-amzn-lambda-function-version"] == "$LATEST"
    assert headers["x-amzn-lambda-function-arn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}"
    assert len(headers["x-amzn-lambda-request-id"]) == 36
    remaining_s = int(headers["x-amzn-lambda-deadline-ms"]) / 1000 - time.time()
    assert 20 < remaining_s <= 30


def test_a_2xx_answer_ends_an_event(engine: Engine, function: str) -> None:
    engine.client("lambda").invoke(FunctionName=FUNCTION, InvocationType="Event", Payload=b'{"who": "once"}')
    time.sleep(0.5)
    assert len(engine.receiver.at('"once"', count=1)) == 1


def test_an_event_is_tried_again_after_two_seconds_when_nobody_answers_or_the_answer_is_503(
    engine: Engine,
) -> None:
    ways = {"refused": [503], "broken-off": [0]}
    for way, statuses in ways.items():
        path = f"/{way}"
        engine.receiver.statuses[path] = list(statuses)
        address = f"http://127.0.0.1:{engine.receiver.port}{path}"
        create_function(engine, way, variables={"MINISTACK_LAMBDA_PROXY_URL": address})
        engine.client("lambda").invoke(FunctionName=way, InvocationType="Event", Payload=b"{}")
    for way in ways:
        assert len(engine.receiver.at(f"/{way}", count=2, timeout_s=6)) == 2, way


def test_the_alias_of_a_notification_is_delivered_as_the_version_behind_it(
    engine: Engine, function: str
) -> None:
    client = engine.client("lambda")
    alias = client.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="$LATEST")["AliasArn"]
    bucket = notifying_bucket(engine, alias)
    engine.client("s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    (record,) = records(engine, bucket, count=1)
    (delivery,) = [each for each in engine.receiver.at(f'"{bucket}"', count=1) if "Records" in each.event]
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    assert record["s3"]["bucket"]["name"] == bucket
    assert headers["x-amzn-lambda-function-version"] == "$LATEST"


def test_an_s3_event_has_the_shape_of_version_2(engine: Engine, function: str) -> None:
    bucket = notifying_bucket(engine, function)
    answer = engine.client("s3").put_object(Bucket=bucket, Key="uploads/a.jpg", Body=b"hello")
    (record,) = records(engine, bucket, count=1)
    assert record["eventVersion"].startswith("2.")
    assert record["eventSource"] == "aws:s3"
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["awsRegion"] == REGION
    described = record["s3"]["object"]
    assert described["key"] == "uploads/a.jpg"
    assert described["size"] == 5
    assert described["eTag"] == answer["ETag"].strip('"')
    assert int(described["sequencer"], 16) > 0


def test_sequencers_of_a_key_grow(engine: Engine, function: str) -> None:
    bucket = notifying_bucket(engine, function)
    for number in range(20):
        engine.client("s3").put_object(Bucket=bucket, Key="k", Body=str(number).encode())
    arrived = records(engine, bucket, count=20)
    sizes = {record["s3"]["object"]["eTag"]: record["s3"]["object"]["sequencer"] for record in arrived}
    assert len(sizes) == 20
    width = max(map(len, sizes.values()))
    ordered = sorted(arrived, key=lambda record: record["eventTime"])
    padded = [record["s3"]["object"]["sequencer"].ljust(width, "0") for record in ordered]
    assert len(set(padded)) == 20


@pytest.mark.parametrize("key", ["with space.jpg", "a+b.jpg", "50%.jpg", "ä/ö ü.jpg", "a%2Fb", "q?a=b&c#d"])
def test_keys_are_encoded_like_form_values(engine: Engine, function: str, key: str) -> None:
    bucket = notifying_bucket(engine, function)
    engine.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    (record,) = records(engine, bucket, count=1)
    encoded = record["s3"]["object"]["key"]
    assert unquote_plus(encoded) == key
    assert " " not in encoded


def test_a_folder_marker_fires_too(engine: Engine, function: str) -> None:
    bucket = notifying_bucket(engine, function)
    engine.client("s3").put_object(Bucket=bucket, Key="uploads/", Body=b"")
    (record,) = records(engine, bucket, count=1)
    assert record["s3"]["object"]["key"] == "uploads/"


def test_a_prefix_of_the_notification_is_respected(engine: Engine, function: str) -> None:
    s3 = engine.client("s3")
    s3.create_bucket(Bucket="filtered")
    configured = {
        "LambdaFunctionArn": function,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "uploads/"}]}},
    }
    s3.put_bucket_notification_configuration(
        Bucket="filtered", NotificationConfiguration={"LambdaFunctionConfigurations": [configured]}
    )
    s3.put_object(Bucket="filtered", Key="metadata/a.json", Body=b"{}")
    s3.put_object(Bucket="filtered", Key="uploads/a.jpg", Body=b"x")
    records(engine, "filtered", count=1)
    time.sleep(0.2)
    assert [record["s3"]["object"]["key"] for record in records(engine, "filtered", count=1)] == [
        "uploads/a.jpg"
    ]


def test_no_permission_of_the_function_is_asked_for_while_aws_refuses_the_notification(
    engine: Engine,
) -> None:
    arn = create_function(engine, "without-permission")
    assert notifying_bucket(engine, arn)


def test_the_codes_location_serves_the_package_on_the_socket(engine: Engine, function: str) -> None:
    from darkroom.engine.unix_http import exchange
    from tests.contract.conftest import package

    location = engine.client("lambda").get_function(FunctionName=FUNCTION)["Code"]["Location"]
    assert f":{engine.settings.port}/_ministack/lambda-code/" in location, (
        "the guard refuses this path to others"
    )
    path = "/" + location.split("/", 3)[3]
    status, body = exchange(engine.socket, "GET", path)
    assert (status, body[:2]) == (200, b"PK")
    assert len(body) == len(package())


def proxied_streams(engine: Engine, *, count: int) -> set[str]:
    """Invoke so often, and return the names of the log streams that came of it."""
    logs = engine.client("logs")
    group = f"/aws/lambda/{FUNCTION}"

    def streams() -> set[str]:
        found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group) if found else ()
        return {stream["logStreamName"] for page in pages for stream in page["logStreams"]}

    before = streams()
    for number in range(count):
        payload = json.dumps({"who": f"stream-{number}"})
        engine.client("lambda").invoke(FunctionName=FUNCTION, InvocationType="Event", Payload=payload)
    deadline = time.monotonic() + 10
    while len(streams() - before) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return streams() - before


def test_each_proxied_invocation_leaves_a_log_stream_of_its_own(engine: Engine, function: str) -> None:
    assert len(proxied_streams(engine, count=5)) == 5


async def test_trimming_deletes_the_streams_that_the_engine_makes_up(
    engine: Engine, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = proxied_streams(engine, count=3)
    group = f"/aws/lambda/{FUNCTION}"
    ours = "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"
    lines = [
        "START RequestId: 1 Version: $LATEST",
        "REPORT RequestId: 1\tDuration: 5.00 ms\tBilled Duration: 5 ms",
    ]
    logs = engine.client("logs")
    calls = aws.Calls()
    monkeypatch.setattr(calls, "client", engine.client)
    cloudwatch = aws.CloudWatchLogs(calls)
    await cloudwatch.put(group, ours, [LogEvent(int(time.time() * 1000), line) for line in lines])
    trimmer = LogTrimmer(
        cloudwatch, groups=lambda: {group, "/aws/lambda/none"}, live=set, lines=lambda: 0, busy=lambda: False
    )
    assert await trimmer.trim() >= len(made_up)
    left = {stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]}
    assert ours in left
    assert not made_up & left
    assert await trimmer.trim() == 0
    calls.close()
