"""New code is tried beside the old one, and takes over only when it comes up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.unit.runtime.world import package, until

if TYPE_CHECKING:
    from tests.unit.runtime.world import FakeAws, Running, Starter

OLD = "def handler(event, context): return 'old'"
NEW = "import os\ndef handler(event, context): return ['new', os.getpid()]"


async def try_code(runtime: Running, code: str, *names: str, zipped: bytes = b"") -> tuple[int, Any]:
    functions = [("function", name) for name in names or ("hello",)]
    body = io.BytesIO(zipped or package({"app.py": code}))
    async with runtime.client.post("/trials", params=functions, data=body) as answer:
        return answer.status, await answer.json()


def workers(status: Any, name: str = "hello") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = status["functions"][f"{name}:$LATEST"]["workers"]
    return found


async def test_a_candidate_that_comes_up_answers_the_first_call_after_the_update(
    aws: FakeAws, running: Starter
) -> None:
    aws.deploy(code=OLD)
    async with running() as runtime:
        assert (await runtime.invoke())[1] == "old"
        zipped = package({"app.py": NEW})  # once, because it holds the time
        assert await try_code(runtime, NEW, zipped=zipped) == (200, {"failed": {}})
        assert (await runtime.invoke())[1] == "old", "nothing has changed yet"

        sha = base64.b64encode(hashlib.sha256(zipped).digest()).decode()
        aws.functions["hello"] = replace(aws.functions["hello"], code_sha256=sha)
        await (await runtime.client.post("/refresh", params={"warm": "hello"})).release()
        _, answer, _ = await runtime.invoke()
        assert answer[0] == "new"
        await until(lambda: len(runtime.pool._lanes["hello", "$LATEST"].workers) == 1)
        assert [worker["pid"] for worker in workers(await runtime.status())] == [answer[1]]
        assert aws.calls.count("code hello") == 1, "the new package was not fetched a second time"
        assert len(list(runtime.pool._code._folder.iterdir())) == 1, "the old one is gone"


async def test_code_that_does_not_come_up_changes_nothing(aws: FakeAws, running: Starter) -> None:
    aws.deploy(code=OLD)
    async with running() as runtime:
        await runtime.invoke()
        before = workers(await runtime.status())
        status, answer = await try_code(runtime, "import nowhere_to_be_found\n")
        assert status == 200
        failed = answer["failed"]["hello"]
        assert failed["errorType"] == "Runtime.ImportModuleError"
        assert "nowhere_to_be_found" in failed["errorMessage"]
        assert (await runtime.invoke())[1] == "old"
        after = await runtime.status()
        assert [worker["pid"] for worker in workers(after)] == [worker["pid"] for worker in before]
        assert after["functions"]["hello:$LATEST"]["lastInitError"] is None


async def test_one_function_that_fails_takes_all_candidates_with_it(aws: FakeAws, running: Starter) -> None:
    aws.deploy("hello", code=OLD)
    aws.deploy("other", code=OLD, handler="app.missing")
    async with running() as runtime:
        _, answer = await try_code(runtime, NEW, "hello", "other")
        assert list(answer["failed"]) == ["other"]
        await until(lambda: not runtime.pool._trials.code_in_use())


async def test_an_invocation_in_flight_ends_on_the_old_code(aws: FakeAws, running: Starter) -> None:
    slow = "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return 'old'"
    aws.deploy(code=slow)
    async with running() as runtime:
        await runtime.invoke({"s": 0})
        in_flight = asyncio.create_task(runtime.invoke({"s": 0.8}))
        await asyncio.sleep(0.1)
        assert await try_code(runtime, NEW) == (200, {"failed": {}})
        aws.deploy(code=NEW)
        await (await runtime.client.post("/refresh", params={"warm": "hello"})).release()
        assert (await runtime.invoke())[1][0] == "new"
        assert not in_flight.done()
        assert (await in_flight)[1] == "old"


async def test_a_configuration_read_before_the_change_does_not_bring_the_old_code_back(
    aws: FakeAws, running: Starter
) -> None:
    aws.deploy(code=OLD, modified="2026-01-01T00:00:00.000+0000")
    before = aws.functions["hello"]
    async with running() as runtime:
        await runtime.invoke()
        aws.deploy(code=NEW, modified="2026-01-01T00:00:01.000+0000")
        assert (await runtime.invoke())[1][0] == "new"
        aws.functions["hello"] = replace(before, timeout_s=11)
        assert (await runtime.invoke())[1][0] == "new"


async def test_something_that_is_no_package_is_refused(aws: FakeAws, running: Starter) -> None:
    aws.deploy(code=OLD)
    async with running() as runtime:
        async with runtime.client.post("/trials", params={"function": "hello"}, data=b"no zip") as answer:
            assert answer.status == 503
            assert "unpacked" in (await answer.json())["errorMessage"]
        assert (await try_code(runtime, NEW, "nobody"))[0] == 503
        assert (await runtime.invoke())[1] == "old"
