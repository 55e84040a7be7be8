"""``python -m darkroom.runtime``: put the parts together and serve until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

from darkroom.runtime import folders
from darkroom.runtime.asynchronous import AsynchronousInvoker
from darkroom.runtime.code import CodeStore
from darkroom.runtime.engine_life import EngineLife
from darkroom.runtime.environment import Endpoints, Interpreter
from darkroom.runtime.errors import StartError
from darkroom.runtime.functions import Functions, RoleSessions
from darkroom.runtime.lanes import PoolLimits
from darkroom.runtime.logs import LogShipper
from darkroom.runtime.pool import Pool
from darkroom.runtime.queue import DurableQueue
from darkroom.runtime.server import RuntimeServer
from darkroom.runtime.trimming import LogTrimmer
from darkroom.runtime.worker import Surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger("darkroom.runtime")
EXIT_CANNOT_START = 4


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="darkroom.runtime", description="A local AWS Lambda runtime.")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen (a Unix socket)")
    parser.add_argument(
        "--engine-socket", required=True, help="the engine's Unix socket, for functions' code"
    )
    parser.add_argument("--state", type=Path, required=True, help="folder of queue, code and workers")
    parser.add_argument(
        "--python", type=Path, required=True, help="the interpreter of the functions' environment"
    )
    parser.add_argument("--endpoint-url", required=True, help="AWS_ENDPOINT_URL of functions")
    parser.add_argument(
        "--rekognition-endpoint-url", required=True, help="AWS_ENDPOINT_URL_REKOGNITION of functions"
    )
    parser.add_argument("--workers", type=int, default=4, help="workers over all functions (default 4)")
    parser.add_argument(
        "--retry-base-seconds", type=float, default=1.0,
        help="pause before the first retry of an asynchronous event, then twice that; AWS: 60 (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--configuration-seconds", type=float, default=1.0, help="how long a configuration is believed"
    )
    parser.add_argument("--idle-seconds", type=float, default=120.0, help="after which surplus workers end")
    parser.add_argument(
        "--synchronous-wait-seconds", type=float, default=60.0, help="for a free worker, then a throttle"
    )
    return parser.parse_args(given)


def interpreter(python: Path) -> Interpreter:
    """Ask the functions' interpreter where its libraries lie, and that awslambdaric is among them."""
    question = "import sysconfig, awslambdaric; print(sysconfig.get_path('platlib'))"
    try:
        found = subprocess.run(
            [str(python), "-I", "-c", question], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(
            f"the functions' environment is broken: {python} cannot import awslambdaric; run `make up` again"
        ) from error
    return Interpreter(python.absolute(), Path(found.stdout.strip()))


async def serve(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT."""
    from darkroom.runtime import aws

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    state: Path = options.state.absolute()
    queue = DurableQueue(state / "queue.sqlite3")
    workers = state / "workers"
    if left := folders.clear(workers):
        _log.info("removed %d folders of workers of an earlier run", left)
    calls = aws.Calls()
    source = aws.EngineFunctions(calls, options.engine_socket)
    engine = EngineLife(options.engine_socket)
    sessions = RoleSessions(aws.RoleCredentials(calls), engine=engine)
    functions = Functions(source, ttl_s=options.configuration_seconds)
    cloudwatch = aws.CloudWatchLogs(calls)
    logs = LogShipper(cloudwatch)
    endpoints = Endpoints(calls.region, options.endpoint_url, options.rekognition_endpoint_url)
    pool = Pool(
        Surroundings(interpreter(options.python), endpoints, workers, logs),
        CodeStore(state / "code", source.code),
        sessions,
        limits=PoolLimits(
            workers=options.workers,
            surplus_idle_s=options.idle_seconds,
            synchronous_wait_s=options.synchronous_wait_seconds,
        ),
        in_use=functions.code_in_use,
    )
    invoker = AsynchronousInvoker(
        queue,
        functions,
        pool,
        aws.Destinations(calls, sessions.get),
        retry_base_s=options.retry_base_seconds,
        engine=engine,
    )
    server = web.AppRunner(
        RuntimeServer(functions, pool, invoker, queue, logs).application(),
        access_log=None,
        shutdown_timeout=0.2,
    )
    trimmer = LogTrimmer(
        cloudwatch,
        groups=lambda: logs.groups,
        live=pool.log_streams,
        lines=lambda: logs.written,
        busy=pool.is_busy,
    )
    logs.start()
    pool.start()
    trimmer.start()
    await server.setup()
    await _listen(server, options.socket)
    if recovered := await invoker.recover():
        _log.warning("%d events of an earlier run are taken up again", recovered)
    await stop.wait()
    await trimmer.stop()
    invoker.begin_stop()
    await pool.stop()
    await invoker.stop()
    await server.cleanup()
    await logs.stop()
    await queue.close()
    calls.close()
    options.socket.unlink(missing_ok=True)


async def _listen(server: web.AppRunner, socket: Path) -> None:
    await asyncio.to_thread(
        socket.unlink, missing_ok=True
    )  # a killed run's: the queue's lock proves it is dead
    before = os.umask(0o177)
    try:
        await web.UnixSite(server, str(socket)).start()
    except OSError as error:
        raise StartError(f"the runtime cannot listen on {socket}: {error}") from error
    finally:
        os.umask(before)


def main(given: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    for noisy in ("botocore", "boto3", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    options = arguments(sys.argv[1:] if given is None else given)
    try:
        with (
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(serve(options))
    except StartError as error:
        _log.error("%s", error)
        return EXIT_CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
