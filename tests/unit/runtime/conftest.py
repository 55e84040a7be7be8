"""A whole runtime in one process: real workers of awslambdaric over a fake AWS."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from darkroom.runtime.asynchronous import AsynchronousInvoker
from darkroom.runtime.code import CodeStore
from darkroom.runtime.environment import Endpoints, Interpreter
from darkroom.runtime.functions import Functions, RoleSessions
from darkroom.runtime.lanes import PoolLimits
from darkroom.runtime.logs import LogShipper
from darkroom.runtime.pool import Pool
from darkroom.runtime.queue import DurableQueue
from darkroom.runtime.server import RuntimeServer
from darkroom.runtime.worker import Surroundings
from tests.unit.runtime.world import OWN, FakeAws, Running, Starter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from darkroom.runtime.engine_life import EngineLife


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


@pytest.fixture
def running(tmp_path: Path, aws: FakeAws) -> Starter:
    """`async with running(workers=2) as runtime:` starts one; more arguments are limits of the pool."""

    @asynccontextmanager
    async def start(
        *,
        retry_base_s: float = 0.02,
        kernel_binds: bool = sys.platform == "linux",
        interpreter: Interpreter = OWN,
        engine: EngineLife | None = None,
        **limits: Any,
    ) -> AsyncIterator[Running]:
        logs = LogShipper(aws, flush_s=0.01)
        endpoints = Endpoints("us-east-1", "http://127.0.0.1:4566", "http://127.0.0.1:4567")
        sessions = RoleSessions(aws, engine=engine)
        functions = Functions(aws, ttl_s=0.2)
        pool = Pool(
            Surroundings(interpreter, endpoints, tmp_path / "workers", logs, kernel_binds=kernel_binds),
            CodeStore(tmp_path / "code", aws.code),
            sessions,
            limits=PoolLimits(**limits),
            in_use=functions.code_in_use,
        )
        queue = DurableQueue(tmp_path / "queue.sqlite3")
        invoker = AsynchronousInvoker(queue, functions, pool, aws, retry_base_s=retry_base_s, engine=engine)
        server = RuntimeServer(functions, pool, invoker, queue, logs)
        logs.start()
        pool.start()
        await invoker.recover()
        async with TestClient(TestServer(server.application())) as client:
            try:
                yield Running(aws, pool, queue, invoker, logs, client)
            finally:
                invoker.begin_stop()
                await pool.stop()
                await invoker.stop()
        await logs.stop()
        await queue.close()

    return start
