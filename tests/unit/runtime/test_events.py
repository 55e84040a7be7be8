"""Asynchronous events, by Lambda's rules."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.runtime import shapes
from darkroom.runtime.model import InvokeSettings
from tests.unit.runtime.world import ACCOUNT, FakeAws, Starter, s3_event, until

if TYPE_CHECKING:
    from pathlib import Path

RECORD = """
    import json
    seen = []
    def handler(event, context):
        print("RUN", context.aws_request_id, context.invoked_function_arn)
        if event.get("fail") or "fail" in json.dumps(event):
            raise RuntimeError("bad picture")
        return {"ok": True}
"""
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:failed"


def runs(aws: FakeAws) -> list[str]:
    """The request ids of all attempts, in order."""
    return [message.split()[1] for message in aws.messages() if message.startswith("RUN ")]


async def test_an_s3_event_is_acknowledged_and_then_run(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    async with running() as runtime:
        status, body = await runtime.event(s3_event())
        assert (status, body) == (202, "")
        await until(lambda: len(runs(aws)) == 1)
        await until(lambda: runtime.invoker.counters.succeeded == 1)
        queue = (await runtime.status())["queue"]
    assert (queue["waiting"], queue["running"], queue["dead"]) == (0, 0, 0)


async def test_an_event_invocation_is_the_same_path(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    async with running() as runtime:
        status, body, headers = await runtime.invoke({"any": "shape"}, X_Amz_Invocation_Type="Event")
        assert (status, body) == (202, None)
        await until(lambda: runs(aws) == [headers["x-amzn-RequestId"]])


async def test_a_failing_event_is_run_three_times_with_one_request_id_and_its_record_is_delivered(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(code=RECORD)
    aws.aliases["live"] = "$LATEST"
    aws.settings["hello"] = {
        "live": InvokeSettings(on_failure_arn=QUEUE),
        "$LATEST": InvokeSettings(maximum_retries=0),
    }
    async with running() as runtime:
        await runtime.event(s3_event("uploads/fail.jpg"), qualifier="live")
        await until(lambda: aws.delivered)
        await runtime.flush()
        await until(lambda: runtime.invoker.status()["undelivered"] == 0)
    attempts = runs(aws)
    assert len(attempts) == 3
    assert len(set(attempts)) == 1
    delivery = aws.delivered[0]
    assert (delivery.target_arn, delivery.role_arn) == (QUEUE, f"arn:aws:iam::{ACCOUNT}:role/hello-role")
    record = json.loads(delivery.body)
    assert record["version"] == "1.0"
    assert record["requestContext"] == {
        "requestId": attempts[0],
        "functionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:hello:live",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert record["requestPayload"] == s3_event("uploads/fail.jpg")
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorMessage"] == "bad picture"


async def test_retries_wait_one_base_and_then_two(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="import time\ndef handler(event, context):\n    print('AT', time.time())\n    raise RuntimeError('no')\n"
    )
    async with running(retry_base_s=0.2) as runtime:
        await runtime.event(s3_event())
        await until(lambda: runtime.invoker.counters.given_up == 1)
        await runtime.flush()
    at = [float(message.split()[1]) for message in aws.messages() if message.startswith("AT ")]
    assert 0.19 < at[1] - at[0] < 0.4
    assert 0.39 < at[2] - at[1] < 0.7


async def test_the_number_of_retries_is_the_configs(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0)}
    async with running() as runtime:
        await runtime.event(s3_event("fail"))
        await until(lambda: runtime.invoker.counters.given_up == 1)
        await runtime.flush()
        queue = (await runtime.status())["queue"]
    assert len(runs(aws)) == 1
    assert queue["dead"] == 1  # nowhere to send it: kept to be seen
    assert "bad picture" in queue["lastDead"][0]["reason"]


async def test_an_event_of_the_seam_whose_alias_was_resolved_follows_the_alias_config(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"live": InvokeSettings(maximum_retries=0, on_failure_arn=QUEUE)}
    async with running() as runtime:
        await runtime.event(s3_event("fail"))
        await until(lambda: aws.delivered)
        await runtime.invoke(
            {"fail": 1}, X_Amz_Invocation_Type="Event"
        )  # unqualified: another config, the default
        await until(lambda: runtime.invoker.counters.given_up == 2)
    assert len(aws.delivered) == 1


async def test_success_goes_to_its_destination_too(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(on_success_arn=QUEUE)}
    async with running() as runtime:
        await runtime.event(s3_event())
        await until(lambda: aws.delivered)
    record = json.loads(aws.delivered[0].body)
    assert record["requestContext"]["condition"] == "Success"
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert record["responsePayload"] == {"ok": True}


async def test_the_dead_letter_queue_gets_the_event_and_its_attributes(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(
        code="def handler(event, context):\n    raise RuntimeError('x' * 3000)\n", dead_letter_arn=QUEUE
    )
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0)}
    async with running() as runtime:
        await runtime.event(s3_event())
        await until(lambda: aws.delivered)
    delivery = aws.delivered[0]
    assert json.loads(delivery.body) == s3_event()
    assert delivery.attributes["RequestID"][0] == "String"
    assert delivery.attributes["ErrorCode"] == ("Number", "200")
    assert delivery.attributes["ErrorMessage"] == ("String", "x" * 1024)


async def test_a_destination_that_is_away_is_tried_until_it_takes_the_record(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0, on_failure_arn=QUEUE)}
    aws.refuse_deliveries = 3
    async with running() as runtime:
        await runtime.event(s3_event("fail"))
        await until(lambda: runtime.invoker.status()["deliveryErrors"] == ["the queue does not answer"])
        assert aws.delivered == []
        await until(lambda: aws.delivered)
        await until(lambda: runtime.invoker.status()["undelivered"] == 0)
    assert len(aws.delivered) == 1


async def test_a_function_can_be_the_destination(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    aws.deploy(
        "mourner",
        code="import json\ndef handler(event, context):\n    print('GOT', event['requestContext']['condition'])\n",
    )
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:mourner"
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0, on_failure_arn=arn)}
    async with running() as runtime:
        await runtime.event(s3_event("fail"))
        await until(lambda: "GOT RetriesExhausted" in aws.messages())


async def test_an_event_that_is_too_old_is_given_up_without_being_run(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_age_s=0.0, on_failure_arn=QUEUE)}
    async with running() as runtime:
        await runtime.event(s3_event())
        await until(lambda: aws.delivered)
        assert runs(aws) == []
    record = json.loads(aws.delivered[0].body)
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in record


async def test_retries_end_when_the_event_is_too_old(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_age_s=0.5, on_failure_arn=QUEUE)}
    async with running(retry_base_s=60) as runtime:
        await runtime.event(s3_event("fail"))
        await until(lambda: aws.delivered)
        await runtime.flush()
    assert json.loads(aws.delivered[0].body)["requestContext"]["condition"] == "EventAgeExceeded"
    assert len(runs(aws)) == 1


async def test_throttled_events_wait_and_burn_no_retry(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="import time\ndef handler(event, context):\n    time.sleep(0.05)\n",
        reserved_concurrency=1,
    )
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0, on_failure_arn=QUEUE)}
    async with running(scale_after_s=0.01) as runtime:
        await asyncio.gather(*(runtime.event(s3_event(str(n))) for n in range(12)))
        await until(lambda: runtime.invoker.counters.succeeded == 12)
        assert len((await runtime.status())["functions"]["hello:$LATEST"]["workers"]) == 1
    assert aws.delivered == []


async def test_reserved_concurrency_zero_sends_events_straight_to_the_destination(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(code=RECORD, reserved_concurrency=0)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(on_failure_arn=QUEUE)}
    async with running() as runtime:
        await runtime.event(s3_event())
        await until(lambda: aws.delivered)
        assert (await runtime.status())["functions"] == {}


async def test_an_engine_that_is_away_costs_no_retry(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0, on_failure_arn=QUEUE)}
    aws.away = True
    async with running() as runtime:
        status, _ = await runtime.event(s3_event())
        assert status == 202
        await asyncio.sleep(0.2)
        assert runs(aws) == []
        aws.away = False
        await until(lambda: runtime.invoker.counters.succeeded == 1)
    assert aws.delivered == []


async def test_a_retry_waits_while_the_engine_is_away(running: Starter, aws: FakeAws) -> None:
    """A function that failed because the engine died is not run again, and again, into the same wall."""
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=1, on_failure_arn=QUEUE)}
    async with running(retry_base_s=0.3) as runtime:
        await runtime.event(s3_event("fail"))
        await until(lambda: runtime.invoker.counters.retries == 1)
        aws.away = True
        await asyncio.sleep(1.0)
        assert aws.delivered == []
        aws.deploy(code="def handler(event, context):\n    return 'mended'\n")
        aws.away = False
        await until(lambda: runtime.invoker.counters.succeeded == 1)
    assert aws.delivered == []


async def test_an_event_waits_for_a_function_that_is_deployed_later(running: Starter, aws: FakeAws) -> None:
    async with running() as runtime:
        status, _ = await runtime.event(s3_event())
        assert status == 202
        await asyncio.sleep(0.1)
        aws.deploy(code=RECORD)
        await until(lambda: runtime.invoker.counters.succeeded == 1)


async def test_what_a_stopped_runtime_accepted_is_run_by_the_next(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="import time\ndef handler(event, context):\n    time.sleep(event.get('s', 0.3))\n    print('DONE')\n"
    )
    async with running(workers=1) as runtime:
        for number in range(5):
            await runtime.event(s3_event(str(number)))
        await asyncio.sleep(0.2)
    before = aws.messages().count("DONE")
    async with running() as runtime:
        await until(lambda: runtime.invoker.counters.succeeded == 5 - before)
    assert before < 5
    assert aws.messages().count("DONE") == 5


async def test_undelivered_records_are_sent_by_the_next_run(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=RECORD)
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0, on_failure_arn=QUEUE)}
    aws.refuse_deliveries = 1000
    async with running() as runtime:
        await runtime.event(s3_event("fail"))
        await until(lambda: runtime.invoker.status()["deliveryErrors"])
    aws.refuse_deliveries = 0
    async with running() as runtime:
        await until(lambda: len(aws.delivered) == 1)
    assert len(runs(aws)) == 1


async def test_a_burst_is_gathered_into_few_syncs(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code="def handler(event, context):\n    return 1\n")
    async with running() as runtime:
        await runtime.invoke()
        before = runtime.queue.commits
        answers = await asyncio.gather(*(runtime.event(s3_event(str(n))) for n in range(300)))
        assert {status for status, _ in answers} == {202}
        await until(lambda: runtime.invoker.counters.succeeded == 300)
        assert runtime.queue.commits - before < 200


async def test_an_event_that_cannot_be_written_is_refused(
    running: Starter, aws: FakeAws, tmp_path: Path
) -> None:
    aws.deploy(code=RECORD)
    async with running() as runtime:
        runtime.queue._connection.execute("PRAGMA max_page_count = 8")  # a full disk, for SQLite
        event = {**s3_event(), "padding": "x" * 200_000}
        status, text = await runtime.event(event)
        assert status == 503
        assert str(tmp_path / "queue.sqlite3") in json.loads(text)["errorMessage"]
        assert "full" in (await runtime.status())["queue"]["diskTrouble"]
        runtime.queue._connection.execute("PRAGMA max_page_count = 1000000")
        assert (await runtime.event(event))[0] == 202
        await until(lambda: runtime.invoker.counters.succeeded == 1)


async def test_who_waits_for_an_answer_gets_the_result(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="def handler(event, context):\n    return {'statusCode': 200} if event.get('ok') else 1 / 0\n"
    )
    async with running() as runtime:
        status, text = await runtime.event({"requestContext": {}, "httpMethod": "GET", "ok": 1})
        assert (status, json.loads(text)) == (200, {"statusCode": 200})
        status, text = await runtime.event({"requestContext": {}, "httpMethod": "GET"})
        assert (status, json.loads(text)["errorType"]) == (500, "ZeroDivisionError")
        status, text = await runtime.event({"requestContext": {}}, "nobody")
        assert (status, json.loads(text)["errorType"]) == (404, "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (s3_event(), True),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, True),
        ({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}, True),
        ({"awslogs": {"data": ""}}, True),
        ({"RequestType": "Create", "ResponseURL": "http://x", "StackId": "s"}, True),
        ({"Records": [{"eventSource": "aws:sqs"}]}, False),
        ({"Records": [{"eventSource": "aws:dynamodb"}]}, False),
        ({"requestContext": {}, "httpMethod": "GET"}, False),
        ({"version": "2.0", "routeKey": "$default", "requestContext": {"http": {}}}, False),
        ({"triggerSource": "PreSignUp_SignUp", "userPoolId": "p"}, False),
        ({"type": "TOKEN", "methodArn": "arn:…"}, False),
        ({"any": "thing"}, False),
        ({"Records": []}, False),
        ({"Records": "text"}, False),
        (["a list"], False),
        ("text", False),
        (None, False),
    ],
)
def test_the_shape_of_an_event_tells_whether_its_sender_waits(event: Any, expected: bool) -> None:
    assert shapes.is_asynchronous(event) is expected
