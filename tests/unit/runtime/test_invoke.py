"""Invoke, as a caller of the Lambda API sees it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING

from tests.unit.runtime.world import until

if TYPE_CHECKING:
    from tests.unit.runtime.world import FakeAws, Starter

ECHO = """
    import os

    def handler(event, context):
        print("hello log")
        return {
            "event": event,
            "request": context.aws_request_id,
            "arn": context.invoked_function_arn,
            "left": context.get_remaining_time_in_millis(),
            "memory": context.memory_limit_in_mb,
            "client": context.client_context and context.client_context.custom,
            "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        }
"""


async def test_a_result_comes_back_with_version_request_id_and_log(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=ECHO)
    async with running() as runtime:
        status, body, headers = await runtime.invoke({"a": "ü"}, X_Amz_Log_Type="Tail")
    assert status == 200
    assert body["event"] == {"a": "ü"}
    assert body["request"] == headers["x-amzn-RequestId"]
    assert headers["X-Amz-Executed-Version"] == "$LATEST"
    assert "X-Amz-Function-Error" not in headers
    log = base64.b64decode(headers["X-Amz-Log-Result"]).decode()
    lines = log.splitlines()
    assert lines[0] == f"START RequestId: {body['request']} Version: $LATEST"
    assert lines[1:3] == ["hello log", f"END RequestId: {body['request']}"]
    assert lines[3].startswith(f"REPORT RequestId: {body['request']}\tDuration: ")
    assert "Memory Size: 256 MB\tMax Memory Used: " in lines[3]
    assert "Init Duration: " in lines[3]


async def test_the_context_is_complete(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=ECHO, timeout_s=7)
    aws.aliases["live"] = "$LATEST"
    context = base64.b64encode(json.dumps({"custom": {"who": "Zoë"}}).encode()).decode()
    async with running() as runtime:
        _, body, _ = await runtime.invoke(
            {}, "hello:live", X_Amz_Client_Context=context, X_Amzn_Trace_Id="Root=1-2-3;Sampled=1"
        )
    assert body["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:hello:live"
    assert 0 < body["left"] <= 7000
    assert body["memory"] == "256"
    assert body["client"] == {"who": "Zoë"}
    assert body["trace"] == "Root=1-2-3;Sampled=1"


async def test_a_function_may_be_named_in_every_way(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=ECHO)
    aws.aliases["live"] = "$LATEST"
    async with running() as runtime:
        for name in (
            "hello",
            "hello:live",
            "123456789012:function:hello",
            "arn:aws:lambda:us-east-1:123456789012:function:hello:$LATEST",
            "hello?Qualifier=live",
        ):
            status, _, _ = await runtime.invoke({}, name)
            assert status == 200, name


async def test_an_exception_is_a_function_error_with_its_document(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code="def handler(event, context):\n    raise ValueError('no cat')\n")
    async with running() as runtime:
        status, body, headers = await runtime.invoke({}, X_Amz_Log_Type="Tail")
        await until(lambda: runtime.pool.status()["hello:$LATEST"]["idle"] == 1)  # the worker lives on
    assert status == 200
    assert headers["X-Amz-Function-Error"] == "Unhandled"
    assert (body["errorType"], body["errorMessage"]) == ("ValueError", "no cat")
    assert body["requestId"] == headers["x-amzn-RequestId"]
    log = base64.b64decode(headers["X-Amz-Log-Result"]).decode()
    assert "[ERROR] ValueError: no cat" in log
    assert "Status: error\tError Type: ValueError" in log


async def test_globals_survive_between_invocations(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n"
    )
    async with running() as runtime:
        assert [(await runtime.invoke())[1] for _ in range(3)] == [1, 2, 3]


async def test_a_time_out_kills_the_worker_and_the_next_call_gets_a_new_one(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(
        code="import time\ndef handler(event, context):\n    time.sleep(event.get('sleep', 0))\n    return 'ok'\n",
        timeout_s=0.3,
    )
    async with running() as runtime:
        status, body, headers = await runtime.invoke({"sleep": 30}, X_Amz_Log_Type="Tail")
        _, after, _ = await runtime.invoke({})
        messages = await runtime.flush()
    request = headers["x-amzn-RequestId"]
    assert status == 200
    assert headers["X-Amz-Function-Error"] == "Unhandled"
    assert body == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request} Error: Task timed out after 0.30 seconds",
    }
    assert any(line.endswith(f"{request} Task timed out after 0.30 seconds") for line in messages)
    assert any(
        f"REPORT RequestId: {request}\tDuration: 300.00 ms\t" in line and "Status: timeout" in line
        for line in messages
    )
    assert after == "ok"


async def test_a_process_that_exits_is_reported_in_lambdas_words(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code="import os\ndef handler(event, context):\n    os._exit(event['code'])\n")
    async with running() as runtime:
        _, one, headers = await runtime.invoke({"code": 3})
        _, zero, _ = await runtime.invoke({"code": 0})
    request = headers["x-amzn-RequestId"]
    assert one == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request} Error: Runtime exited with error: exit status 3",
    }
    assert zero["errorMessage"].endswith("Error: Runtime exited without providing a reason")


async def test_more_memory_than_configured_ends_the_worker(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="""
        import time
        def handler(event, context):
            kept = [bytearray(b"x" * 2**20) for _ in range(event["mb"])]
            time.sleep(event["sleep"])
            return len(kept)
        """,
        memory_mb=128,
    )
    async with running() as runtime:
        _, fits, _ = await runtime.invoke({"mb": 20, "sleep": 0})
        _, sampled, headers = await runtime.invoke({"mb": 200, "sleep": 5})
        _, quick, _ = await runtime.invoke({"mb": 200, "sleep": 0})
        messages = await runtime.flush()
    assert fits == 20
    assert sampled == {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": f"RequestId: {headers['x-amzn-RequestId']} Error: Runtime exited with error: signal: killed",
    }
    assert quick["errorType"] == "Runtime.OutOfMemory"  # gone again before a sample, but its peak tells
    assert sum("Max Memory Used: 128 MB" in line and "Runtime.OutOfMemory" in line for line in messages) == 2


async def test_one_huge_allocation_is_refused_by_the_kernel(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code="def handler(event, context):\n    return len(bytearray(2**31))\n", memory_mb=128)
    async with running() as runtime:
        _, body, _ = await runtime.invoke({})
    assert body["errorType"] == "MemoryError"


async def test_wrong_calls_get_lambdas_errors(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=ECHO)
    async with running() as runtime:
        status, body, headers = await runtime.invoke({}, "nobody")
        assert (status, headers["X-Amzn-ErrorType"]) == (404, "ResourceNotFoundException")
        assert body["Type"] == "User"
        assert body["Message"].startswith("Function not found: arn:aws:lambda:")

        status, _, headers = await runtime.invoke({}, "hello:1?Qualifier=2")
        assert (status, headers["X-Amzn-ErrorType"]) == (400, "InvalidParameterValueException")

        status, _, headers = await runtime.invoke({}, X_Amz_Invocation_Type="Later")
        assert (status, headers["X-Amzn-ErrorType"]) == (400, "InvalidParameterValueException")

        status, _, headers = await runtime.invoke({}, X_Amz_Client_Context="%%%")
        assert (status, headers["X-Amzn-ErrorType"]) == (400, "InvalidRequestContentException")

        async with runtime.client.post("/invocations/hello", data=b"{not json") as answer:
            assert (answer.status, answer.headers["X-Amzn-ErrorType"]) == (
                400,
                "InvalidRequestContentException",
            )
            assert "Could not parse request body into json" in (await answer.json())["message"]


async def test_payload_limits_are_lambdas(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="def handler(event, context):\n    return 'x' * event['size'] if 'size' in event else len(event)\n"
    )
    async with running() as runtime:
        big = {"a": "x" * (1024 * 1024)}
        status, _, _ = await runtime.invoke(big)
        assert status == 200
        status, body, headers = await runtime.invoke(big, X_Amz_Invocation_Type="Event")
        assert (status, headers["X-Amzn-ErrorType"]) == (413, "RequestTooLargeException")
        assert (
            body["message"] == "Request must be smaller than 1048576 bytes for the InvokeFunction operation"
        )
        status, body, _ = await runtime.invoke({"a": "x" * (6 * 1024 * 1024)})
        assert status == 413
        assert (
            body["message"] == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
        )
        status, body, headers = await runtime.invoke({"size": 6 * 1024 * 1024 + 200})
        assert (status, headers["X-Amz-Function-Error"]) == (200, "Unhandled")
        assert body["errorType"] == "Function.ResponseSizeTooLarge"
        _, body, _ = await runtime.invoke({"size": 10})
        assert body == "x" * 10


async def test_a_dry_run_checks_and_runs_nothing(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=ECHO)
    async with running() as runtime:
        status, body, _ = await runtime.invoke({}, X_Amz_Invocation_Type="DryRun")
        assert (status, body) == (204, None)
        assert (await runtime.status())["functions"] == {}


async def test_reserved_concurrency_throttles_with_its_reason(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="import time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n",
        reserved_concurrency=1,
    )
    async with running() as runtime:
        first = asyncio.create_task(runtime.invoke({"s": 0.3}))
        await asyncio.sleep(0.05)
        status, body, headers = await runtime.invoke({})
        assert (status, headers["X-Amzn-ErrorType"]) == (429, "TooManyRequestsException")
        assert body["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert (await first)[0] == 200


async def test_a_caller_who_finds_no_worker_in_time_is_throttled(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code="import time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n")
    async with running(workers=1, synchronous_wait_s=0.2) as runtime:
        await runtime.invoke({})
        first = asyncio.create_task(runtime.invoke({"s": 0.6}))
        await asyncio.sleep(0.05)
        status, body, _ = await runtime.invoke({})
        assert (status, body["Reason"]) == (429, "ConcurrentInvocationLimitExceeded")
        assert (await first)[0] == 200


async def test_an_engine_that_is_away_is_a_service_error(running: Starter, aws: FakeAws) -> None:
    aws.away = True
    async with running() as runtime:
        status, body, headers = await runtime.invoke({})
    assert (status, headers["X-Amzn-ErrorType"]) == (500, "ServiceException")
    assert body["Message"] == "the engine is away"
