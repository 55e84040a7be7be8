"""What the runtime does when the engine dies and comes back: its role sessions are void, and no retry is burnt."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.runtime.engine_life import EngineLife
from darkroom.runtime.functions import RoleSessions
from darkroom.runtime.model import InvokeSettings
from tests.unit.runtime.world import ACCOUNT, FakeAws, Starter, s3_event, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = """
    import os
    def handler(event, context):
        return os.environ["AWS_ACCESS_KEY_ID"]
"""
GATED = """
    import os, pathlib, time
    def handler(event, context):
        print("RUN", context.aws_request_id)
        gate = pathlib.Path(os.environ["GATE"])
        gate.with_suffix(".reached").touch()
        while not gate.exists():
            time.sleep(0.01)
        if gate.read_text() == "fail":
            raise RuntimeError("the engine does not answer")
"""


class Engine:
    """Something that listens at a Unix socket as the engine does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None
        self.start()

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()

    def kill(self) -> None:
        """The file stays, as after kill -9."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    started = Engine(tmp_path / "engine.sock")
    yield started
    started.kill()


def test_a_run_is_told_from_the_next_one_and_from_none(engine: Engine) -> None:
    life = EngineLife(str(engine.path))
    first = life.now()
    assert not life.ended_since(first)
    engine.kill()
    assert life.now() == first
    assert life.ended_since(first), "nobody listens"
    engine.start()
    assert life.ended_since(first), "another one listens"
    assert not life.ended_since(life.now())
    engine.kill()
    engine.path.unlink()
    assert life.now() is None


def test_an_engine_that_is_not_watched_never_ends() -> None:
    life = EngineLife()
    assert not life.ended_since(life.now())


async def test_sessions_of_a_dead_engine_are_forgotten(aws: FakeAws, engine: Engine) -> None:
    sessions = RoleSessions(aws, engine=EngineLife(str(engine.path)))
    first = await sessions.get("role", "hello")
    assert await sessions.get("role", "hello") is first
    engine.kill()
    assert not sessions.ends_soon(first), "it may come back with everything; nothing is gained before"
    engine.start()
    assert sessions.ends_soon(first)
    assert await sessions.get("role", "hello") is not first


async def test_a_session_that_was_made_while_the_engine_died_is_not_used(
    aws: FakeAws, engine: Engine
) -> None:
    class Dying(FakeAws):
        async def assume(self, role_arn: str, session_name: str) -> Any:
            made = await super().assume(role_arn, session_name)
            if self.sessions == 1:
                engine.kill()
                engine.start()
            return made

    sessions = RoleSessions(Dying(), engine=EngineLife(str(engine.path)))
    assert (await sessions.get("role", "hello")).access_key_id == "AKIA2"


async def test_a_worker_with_keys_of_a_dead_engine_is_replaced_before_it_runs_anything(
    running: Starter, aws: FakeAws, engine: Engine
) -> None:
    aws.deploy(code=KEY)
    async with running(engine=EngineLife(str(engine.path)), workers=1) as runtime:
        assert (await runtime.invoke())[1] == "AKIA1"
        assert (await runtime.invoke())[1] == "AKIA1"
        engine.kill()
        engine.start()
        assert (await runtime.invoke())[1] == "AKIA2"


async def test_a_refresh_can_drop_the_credentials(running: Starter, aws: FakeAws) -> None:
    aws.deploy(code=KEY)
    async with running(workers=1) as runtime:
        assert (await runtime.invoke())[1] == "AKIA1"
        async with runtime.client.post("/refresh") as answer:
            assert answer.status == 200
        assert (await runtime.invoke())[1] == "AKIA1"
        async with runtime.client.post("/refresh?credentials=drop") as answer:
            assert answer.status == 200
        assert (await runtime.invoke())[1] == "AKIA2"


async def test_an_event_that_failed_because_the_engine_died_keeps_its_retries(
    running: Starter, aws: FakeAws, engine: Engine, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    aws.deploy(code=GATED, environment={"GATE": str(gate)})
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:failed"
    aws.settings["hello"] = {"$LATEST": InvokeSettings(maximum_retries=0, on_failure_arn=queue)}
    async with running(engine=EngineLife(str(engine.path)), workers=1) as runtime:
        await runtime.event(s3_event())
        await until(gate.with_suffix(".reached").exists)
        engine.kill()
        gate.write_text("fail")
        await until(lambda: runtime.invoker.status()["running"] == 0)
        engine.start()
        gate.write_text("go on")
        await until(lambda: runtime.invoker.counters.succeeded == 1)
        await asyncio.sleep(0.05)
        assert (runtime.invoker.counters.retries, runtime.invoker.counters.given_up) == (0, 0)
    assert aws.delivered == []
    runs = [message.split()[1] for message in aws.messages() if message.startswith("RUN ")]
    assert len(runs) >= 2
    assert len(set(runs)) == 1
