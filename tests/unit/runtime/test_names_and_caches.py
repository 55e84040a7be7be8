"""Function names, cached configurations, role sessions, and what is read from AWS's answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.runtime import aws as aws_module
from darkroom.runtime import names
from darkroom.runtime.destinations import from_text, to_text
from darkroom.runtime.errors import InvalidParameterValueError, SystemFaultError
from darkroom.runtime.functions import Functions, RoleSessions
from darkroom.runtime.model import Credentials, Delivery, InvokeSettings, LogFormat

if TYPE_CHECKING:
    from tests.unit.runtime.world import FakeAws


@pytest.mark.parametrize(
    ("reference", "name", "qualifier"),
    [
        ("tagger", "tagger", ""),
        ("tagger:live", "tagger", "live"),
        ("tagger:$LATEST", "tagger", "$LATEST"),
        ("123456789012:function:tagger", "tagger", ""),
        ("function:tagger:3", "tagger", "3"),
        (
            "arn:aws:lambda:eu-central-1:123456789012:function:my_stack-tagger-1:live",
            "my_stack-tagger-1",
            "live",
        ),
        ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:t", "t", ""),
    ],
)
def test_every_way_to_name_a_function_is_read(reference: str, name: str, qualifier: str) -> None:
    assert names.parse(reference) == names.FunctionName(name, qualifier)


@pytest.mark.parametrize("reference", ["", "a b", "../x", "f:", "f:a:b:c", "arn:aws:s3:::bucket/x", "f\n"])
def test_what_names_no_function_is_refused(reference: str) -> None:
    with pytest.raises(InvalidParameterValueError):
        names.parse(reference)


def test_two_different_qualifiers_are_refused() -> None:
    assert names.parse("f:live", "live").qualifier == "live"
    with pytest.raises(InvalidParameterValueError, match="does not match the specified qualifier"):
        names.parse("f:live", "2")


async def test_a_configuration_is_asked_for_once_in_its_time_whoever_asks(aws: FakeAws) -> None:
    now = [0.0]
    aws.deploy(code="")
    functions = Functions(aws, ttl_s=1.0, clock=lambda: now[0])
    await asyncio.gather(*(functions.config("hello", "") for _ in range(10)))
    now[0] = 0.9
    await functions.config("hello", "")
    assert aws.calls == ["function hello"]
    now[0] = 1.1
    await functions.config("hello", "")
    await functions.config("hello", "", fresh=True)
    assert aws.calls == ["function hello"] * 3


async def test_refresh_forgets_also_what_is_being_asked_for(aws: FakeAws) -> None:
    aws.deploy(code="old")
    functions = Functions(aws, ttl_s=100.0)
    under_way = asyncio.create_task(functions.config("hello", ""))
    await asyncio.sleep(0)
    functions.refresh()
    aws.deploy(code="new")
    new = (await functions.config("hello", "")).code_sha256
    await under_way
    assert (await functions.config("hello", "")).code_sha256 == new == aws.functions["hello"].code_sha256


async def test_what_was_known_does_not_serve_while_the_engine_is_away(aws: FakeAws) -> None:
    now = [0.0]
    aws.deploy(code="")
    functions = Functions(aws, ttl_s=1.0, clock=lambda: now[0])
    known = await functions.config("hello", "")
    now[0], aws.away = 50.0, True
    with pytest.raises(SystemFaultError):
        await functions.config("hello", "")
    aws.away = False
    assert await functions.config("hello", "") == known


async def test_one_role_session_serves_a_function_until_it_ends_soon(aws: FakeAws) -> None:
    now = [1000.0]
    sessions = RoleSessions(aws, clock=lambda: now[0])
    first = await sessions.get("role", "hello")
    aws_now = first.made_at
    now[0] = aws_now
    assert await sessions.get("role", "hello") == first
    assert not sessions.ends_soon(first)
    now[0] = aws_now + 3600 - 1100
    assert sessions.ends_soon(first)
    assert await sessions.get("role", "hello") != first
    assert Credentials("a", "secret-b", "token-c").__repr__().find("secret-b") == -1


def test_a_functions_description_is_read_whole() -> None:
    answer: dict[str, Any] = {
        "Configuration": {
            "FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:7", "Version": "7",
            "Runtime": "python3.13", "Handler": "a.b", "Role": "arn:role", "Timeout": 5, "MemorySize": 512,
            "CodeSha256": "sha", "Environment": {"Variables": {"A": "1"}}, "DeadLetterConfig": {"TargetArn": "arn:q"},
            "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "LogGroup": "/g"},
        },
        "Code": {"Location": "http://engine/code"},
        "Concurrency": {"ReservedConcurrentExecutions": 0},
    }  # fmt: skip
    config = aws_module.function_config(answer)
    assert config.arn == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert (config.version, config.timeout_s, config.memory_mb) == ("7", 5.0, 512)
    assert (config.log_group_name, config.log_format, config.log_level) == ("/g", LogFormat.JSON, "WARN")
    assert (config.dead_letter_arn, config.reserved_concurrency) == ("arn:q", 0)
    answer["Configuration"]["PackageType"] = "Image"
    with pytest.raises(SystemFaultError, match="only zip packages"):
        aws_module.function_config(answer)


def test_an_event_invoke_config_is_read_with_lambdas_defaults() -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert aws_module.invoke_settings({"FunctionArn": f"{arn}:live"}) == ("live", InvokeSettings(2, 21_600))
    found = {
        "FunctionArn": f"{arn}:$LATEST", "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnFailure": {"Destination": "arn:q"}, "OnSuccess": {}},
    }  # fmt: skip
    assert aws_module.invoke_settings(found) == ("$LATEST", InvokeSettings(0, 60, "", "arn:q"))


def test_records_come_back_from_the_disk_as_they_were() -> None:
    kept = [
        Delivery("arn:q", "{…}", "role", "f", {"RequestID": ("String", "1")}),
        Delivery("arn:t", "b", "r", "f"),
    ]
    assert from_text(to_text(kept)) == kept


class Recorder:
    """A boto3 client that notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.meta = SimpleNamespace(endpoint_url="http://engine")

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append((name, arguments))
            return {"FailedEntryCount": 0}

        return call


@pytest.mark.parametrize(
    ("arn", "operations"),
    [
        ("arn:aws:sqs:us-east-1:000000000000:failed", ["send_message"]),
        ("arn:aws:sns:us-east-1:000000000000:failed", ["publish"]),
        ("arn:aws:events:us-east-1:000000000000:event-bus/default", ["put_events"]),
        ("arn:aws:s3:::failed", ["put_object"]),
    ],
)
async def test_each_kind_of_destination_is_reached_with_the_functions_role(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, arn: str, operations: list[str]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    recorder, keys = Recorder(), []
    calls = aws_module.Calls()

    def client_as(service: str, credentials: Credentials) -> Recorder:
        keys.append((service, credentials.access_key_id))
        return recorder

    monkeypatch.setattr(calls, "client_as", client_as)
    destinations = aws_module.Destinations(calls, RoleSessions(aws).get)
    await destinations.deliver(
        Delivery(arn, '{"a": 1}', "role", "f", {"RequestID": ("String", "1")}, "Lambda … Failure", "arn:f")
    )
    assert [name for name, _ in recorder.calls] == operations
    assert keys == [(arn.split(":")[2], "AKIA1")]
    sent = recorder.calls[-1][1]
    assert '{"a": 1}' in str(sent)
    if "QueueUrl" in sent:
        assert sent["QueueUrl"] == "http://engine/000000000000/failed"
    calls.close()


async def test_a_destination_that_lambda_does_not_know_is_refused(aws: FakeAws) -> None:
    calls = aws_module.Calls()
    with pytest.raises(SystemFaultError, match="no destination that Lambda supports"):
        await aws_module.Destinations(calls, RoleSessions(aws).get).deliver(
            Delivery("arn:aws:dynamodb:::t", "", "r", "f")
        )
    calls.close()
