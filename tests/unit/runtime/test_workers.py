"""Workers: what a function sees, how they come up, change, share places and end."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import sysconfig
import venv
from pathlib import Path

import aiohttp
import pytest

from darkroom.runtime.environment import Interpreter
from tests.unit.runtime.world import FakeAws, Starter, until

OK = "def handler(event, context):\n    return 'ok'\n"
SLEEP = "import time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    return event\n"


async def test_a_function_sees_lambdas_environment_and_nothing_of_the_host(
    running: Starter, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    monkeypatch.setenv("HOME", "/home/somebody")
    aws.deploy(
        code="import os\ndef handler(event, context):\n    return dict(os.environ)\n",
        environment={"TABLE": "t", "AWS_REGION": "mars", "LANG": "C"},
    )
    async with running() as runtime:
        _, seen, _ = await runtime.invoke()
    allowed = {
        "AWS_ACCESS_KEY_ID", "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_REKOGNITION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SHARED_CREDENTIALS_FILE", "AWS_XRAY_CONTEXT_MISSING",
        "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LANG", "PATH", "PYTHONPATH", "TABLE", "TMPDIR", "TZ", "_HANDLER",
        "LC_CTYPE",  # Python's own, where the host lacks the locale
    }  # fmt: skip
    assert set(seen) - allowed == set()
    assert seen["TABLE"] == "t"
    assert seen["AWS_REGION"] == "us-east-1"  # reserved
    assert seen["LANG"] == "C"  # a default that a function may replace
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "hello"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.12"
    assert seen["_HANDLER"] == "app.handler"
    assert seen["TZ"] == ":UTC"
    assert seen["AWS_ENDPOINT_URL_REKOGNITION"] == "http://127.0.0.1:4567"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["AWS_LAMBDA_LOG_STREAM_NAME"])


async def test_code_is_the_working_folder_and_first_on_the_path(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        files={
            "app.py": """
                import os, sys, tempfile, resource
                from inner.part import NAME
                def handler(event, context):
                    return [NAME, os.getcwd(), sys.path[0], os.environ["LAMBDA_TASK_ROOT"],
                            tempfile.gettempdir() == os.environ["TMPDIR"], os.getpgid(0) == os.getpid(),
                            resource.getrlimit(resource.RLIMIT_NOFILE)[0], sys.stdin.read()]
            """,
            "inner/__init__.py": "",
            "inner/part.py": "NAME = 'part'",
        }
    )
    async with running() as runtime:
        _, (name, cwd, first, root, own_tmp, own_group, descriptors, stdin), _ = await runtime.invoke()
    assert name == "part"
    assert cwd == first == root
    assert own_tmp
    assert own_group
    assert descriptors <= 1024
    assert stdin == ""


def small_environment(folder: Path) -> Path:
    """Make it; returns where its libraries lie."""
    venv.create(folder, with_pip=False, symlinks=True)
    libraries = next((folder / "lib").glob("python*")) / "site-packages"
    ours = Path(sysconfig.get_path("platlib"))
    for pattern in ("awslambdaric", "simplejson", "snapshot_restore_py.py", "runtime_client*"):
        for found in ours.glob(pattern):
            (libraries / found.name).symlink_to(found)
    return libraries


async def test_a_function_sees_the_functions_environment_only(
    running: Starter, aws: FakeAws, tmp_path: Path
) -> None:
    """A virtual environment with awslambdaric alone: neither darkroom nor what it is built on can be imported."""
    libraries = small_environment(tmp_path / "venv")
    aws.deploy(
        code="""
        import importlib.util
        def handler(event, context):
            return [name for name in event["names"] if importlib.util.find_spec(name)]
        """
    )
    interpreter = Interpreter(tmp_path / "venv" / "bin" / "python", libraries)
    async with running(interpreter=interpreter) as runtime:
        _, found, _ = await runtime.invoke(
            {"names": ["darkroom", "aiohttp", "click", "awslambdaric", "json"]}
        )
    assert found == ["awslambdaric", "json"]


@pytest.mark.parametrize(
    ("code", "handler", "error_type", "message"),
    [
        ("import nosuch", "app.handler", "Runtime.ImportModuleError",
         "Unable to import module 'app': No module named 'nosuch'"),
        ("def other(): pass", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def handler(:\n  pass", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': "),
        ("x = 1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
        ("import os; os._exit(7)", "app.handler", "Runtime.ExitError",
         "Error: Runtime exited with error: exit status 7"),
        ("", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
    ],
)  # fmt: skip
async def test_init_errors_are_worded_as_lambda_words_them(
    running: Starter, aws: FakeAws, code: str, handler: str, error_type: str, message: str
) -> None:
    aws.deploy(code=code, handler=handler)
    async with running() as runtime:
        status, body, headers = await runtime.invoke()
        shown = (await runtime.status())["functions"]["hello:$LATEST"]["lastInitError"]
        messages = await runtime.flush()
    assert (status, headers["X-Amz-Function-Error"]) == (200, "Unhandled")
    assert body["errorType"] == error_type
    assert body["errorMessage"].startswith(message)
    assert shown["errorType"] == error_type
    assert shown["errorMessage"].startswith(message)
    assert any(line.startswith("INIT_REPORT Init Duration: ") and error_type in line for line in messages)


async def test_a_syntax_error_names_file_and_line_in_the_status(running: Starter, aws: FakeAws) -> None:
    aws.deploy(files={"app.py": "import part\n", "part.py": "a = 1\ndef f(:\n    pass\n"})
    async with running() as runtime:
        await runtime.invoke()
        shown = (await runtime.status())["functions"]["hello:$LATEST"]["lastInitError"]
    assert any("part.py" in line and "Line 2" in line for line in shown["stackTrace"])


async def test_a_worker_that_failed_to_start_is_replaced_when_the_code_is_mended(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(code="import nosuch")
    async with running() as runtime:
        _, body, _ = await runtime.invoke()
        assert body["errorType"] == "Runtime.ImportModuleError"
        aws.deploy(code=OK)
        _, body, _ = await runtime.invoke()
        assert body == "ok"
        assert (await runtime.status())["functions"]["hello:$LATEST"]["lastInitError"] is None


async def test_new_code_is_used_at_once_and_the_old_code_finishes_what_it_runs(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(
        code="import time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    return 1\n"
    )
    async with running() as runtime:
        assert (await runtime.invoke())[1] == 1
        old = asyncio.create_task(runtime.invoke({"s": 3}))
        await asyncio.sleep(0.05)
        aws.deploy(code="def handler(event, context):\n    return 2\n")
        assert (await runtime.invoke())[1] == 2
        assert not old.done()
        assert (await old)[1] == 1


async def test_refresh_starts_the_new_code_before_anybody_asks(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=OK)
    async with running() as runtime:
        await runtime.invoke()
        aws.deploy(code="raise RuntimeError('broken by an edit')")
        async with runtime.client.post("/refresh") as answer:
            assert answer.status == 200

        def shown() -> str:
            error = runtime.pool.status()["hello:$LATEST"]["lastInitError"]
            return str(error["errorMessage"]) if error else ""

        await until(lambda: shown() == "broken by an edit")


async def test_refresh_can_warm_a_function_that_was_never_called(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=OK)
    async with running() as runtime:
        async with runtime.client.post("/refresh?warm=hello"):
            pass
        await until(lambda: [lane["idle"] for lane in runtime.pool.status().values()] == [1])


async def test_old_code_is_removed_from_disk(running: Starter, aws: FakeAws, tmp_path: Path) -> None:
    async with running() as runtime:
        for number in range(3):
            aws.deploy(code=f"def handler(event, context):\n    return {number}\n")
            assert (await runtime.invoke())[1] == number
        assert (
            len(list((tmp_path / "code").iterdir())) <= 2
        )  # the newest, and one that a dying worker may still have


async def test_workers_are_bounded_over_all_functions(running: Starter, aws: FakeAws) -> None:
    for name in ("one", "two", "three"):
        aws.deploy(name, code=SLEEP)
    async with running(workers=2, scale_after_s=0.02) as runtime:
        calls = [
            runtime.invoke({"n": n, "s": 0.01}, name) for n in range(5) for name in ("one", "two", "three")
        ]
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                functions = (await runtime.status())["functions"]
                most = max(most, sum(len(each["workers"]) for each in functions.values()))
                await asyncio.sleep(0.01)

        watcher = asyncio.create_task(watch())
        answers = await asyncio.gather(*calls)
        watcher.cancel()
    assert [status for status, _, _ in answers] == [200] * 15
    assert most == 2


async def test_another_function_takes_over_the_worker_that_was_idle_longest(
    running: Starter, aws: FakeAws
) -> None:
    for name in ("one", "two", "three"):
        aws.deploy(name, code=OK)
    async with running(workers=2) as runtime:
        for name in ("one", "two", "three"):
            await runtime.invoke({}, name)
            await asyncio.sleep(0.05)  # until it asks for more work
        functions = (await runtime.status())["functions"]
    assert {name: each["idle"] for name, each in functions.items()} == {
        "one:$LATEST": 0, "two:$LATEST": 1, "three:$LATEST": 1,
    }  # fmt: skip


async def test_a_worker_makes_room_for_a_new_one_after_many_invocations(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(code="import os\ndef handler(event, context):\n    return os.getpid()\n")
    async with running(workers=1, worker_invocations=3) as runtime:
        pids = [(await runtime.invoke())[1] for _ in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


async def test_a_burst_of_one_function_does_not_shut_out_another(running: Starter, aws: FakeAws) -> None:
    aws.deploy("busy", code=SLEEP)
    aws.deploy("quick", code=OK)
    async with running(workers=1) as runtime:
        burst = [asyncio.create_task(runtime.invoke({"s": 0.1}, "busy")) for _ in range(30)]
        await asyncio.sleep(0.4)
        _, body, _ = await runtime.invoke({}, "quick")
        assert body == "ok"
        assert sum(task.done() for task in burst) < 30
        await asyncio.gather(*burst)


async def test_waiting_calls_get_more_workers_and_surplus_ones_end(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=SLEEP)
    async with running(workers=3, scale_after_s=0.01, surplus_idle_s=0.2) as runtime:
        await asyncio.gather(*(runtime.invoke({"s": 0.3}) for _ in range(6)))
        assert len((await runtime.status())["functions"]["hello:$LATEST"]["workers"]) >= 2
        await until(lambda: len(runtime.pool.status()["hello:$LATEST"]["workers"]) == 1)
        await asyncio.sleep(0.3)
        assert len(runtime.pool.status()["hello:$LATEST"]["workers"]) == 1  # one stays warm


async def test_credentials_are_renewed_by_a_new_worker_before_they_end(
    running: Starter, aws: FakeAws
) -> None:
    aws.deploy(code="import os\ndef handler(event, context):\n    return os.environ['AWS_ACCESS_KEY_ID']\n")
    aws.session_s = 0.5
    async with running() as runtime:
        first = (await runtime.invoke())[1]
        aws.session_s = 3600.0
        await asyncio.sleep(0.3)
        second = (await runtime.invoke())[1]
        third = (await runtime.invoke())[1]
    assert first != second
    assert second == third


async def test_a_busy_worker_finds_its_own_temporary_folder_and_it_is_removed(
    running: Starter, aws: FakeAws, tmp_path: Path
) -> None:
    aws.deploy(
        code="""
        import os, tempfile
        def handler(event, context):
            with open(os.path.join(tempfile.gettempdir(), "kept"), "a") as f:
                f.write("x")
            return os.path.getsize(os.path.join(tempfile.gettempdir(), "kept"))
        """
    )
    async with running() as runtime:
        assert [(await runtime.invoke())[1] for _ in range(2)] == [1, 2]
        assert len(list((tmp_path / "workers").iterdir())) == 1
    assert list((tmp_path / "workers").iterdir()) == []


async def test_children_of_a_handler_end_with_its_worker(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="import subprocess\ndef handler(event, context):\n    return subprocess.Popen(['sleep', '60']).pid\n"
    )
    async with running() as runtime:
        pid = (await runtime.invoke())[1]
        os.kill(pid, 0)
    await until(lambda: not _alive(pid))


async def test_a_worker_killed_from_outside_fails_its_invocation_only(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=SLEEP)
    async with running() as runtime:
        await runtime.invoke()
        call = asyncio.create_task(runtime.invoke({"s": 5}))
        await asyncio.sleep(0.1)
        os.kill((await runtime.status())["functions"]["hello:$LATEST"]["workers"][0]["pid"], signal.SIGKILL)
        _, body, _ = await call
        assert body["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
        assert (await runtime.invoke({"s": 0}))[1] == {"s": 0}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:80"},
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "http://evil.example/"},
    ],
)
async def test_a_browser_cannot_reach_the_runtime_api(
    running: Starter, aws: FakeAws, headers: dict[str, str]
) -> None:
    aws.deploy(
        code="import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_RUNTIME_API']\n"
    )
    async with running() as runtime, aiohttp.ClientSession() as browser:
        address = (await runtime.invoke())[1]
        assert address.startswith("127.0.0.1:")
        for method, path in (
            ("GET", "invocation/next"),
            ("POST", "init/error"),
            ("POST", "invocation/1/response"),
        ):
            url = f"http://{address}/2018-06-01/runtime/{path}"
            async with browser.request(method, url, headers=headers) as answer:
                assert answer.status == 403
        assert (await runtime.invoke())[1] == address


async def test_without_the_kernels_help_a_guard_passes_the_end_on(running: Starter, aws: FakeAws) -> None:
    """The way of macOS, run here on any system."""
    aws.deploy(
        code="""
        import os
        def handler(event, context):
            return os._exit(event["code"]) if event else os.getpid()
        """
    )
    async with running(kernel_binds=False) as runtime:
        pid = (await runtime.invoke())[1]
        assert _alive(pid)
        _, body, _ = await runtime.invoke({"code": 9})
        assert body["errorMessage"].endswith("exit status 9")
        pid = (await runtime.invoke())[1]
    await until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


async def test_a_state_folder_that_cannot_be_written_is_said_and_costs_no_place(
    running: Starter, aws: FakeAws, tmp_path: Path
) -> None:
    aws.deploy(code=OK)
    (tmp_path / "workers").write_text("in the way")
    async with running(workers=1) as runtime:
        for _ in range(3):
            status, body, _ = await runtime.invoke()
            assert (status, body["Type"]) == (500, "Service")
            assert "a worker for hello could not be started" in body["Message"]
        (tmp_path / "workers").unlink()
        assert (await runtime.invoke())[1] == "ok"


async def test_a_call_whose_caller_has_given_up_is_not_run(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code="import time\ndef handler(event, context):\n    print('RUN')\n    time.sleep(0.4)\n")
    async with running(workers=1) as runtime:
        first = asyncio.create_task(runtime.invoke())
        await until(lambda: "RUN" in aws.messages())
        status, body = await runtime.event({"requestContext": {}}, deadline_s=0.1)
        assert status == 429
        assert "no worker was free" in body
        await first
        await asyncio.sleep(0.1)
        assert aws.messages().count("RUN") == 1


async def test_an_init_error_brings_its_log_with_it(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code="print('so far')\nimport nosuch\n")
    async with running() as runtime:
        _, _, headers = await runtime.invoke(X_Amz_Log_Type="Tail")
    log = base64.b64decode(headers["X-Amz-Log-Result"]).decode()
    assert "so far\n" in log
    assert "[ERROR] Runtime.ImportModuleError: Unable to import module 'app'" in log
