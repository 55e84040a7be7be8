"""Runs the gateway in the foreground until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from darkroom.engine.gateway.app import Gateway
from darkroom.engine.gateway.guard import Guard
from darkroom.engine.gateway.keyring import Keyring
from darkroom.engine.gateway.limits import BoundedServer
from darkroom.engine.gateway.objects import EngineObjects
from darkroom.engine.gateway.origins import PageOrigins
from darkroom.engine.gateway.permissions import Permissions
from darkroom.engine.gateway.sigv4 import Secret
from darkroom.engine.gateway.space import Space
from darkroom.engine.gateway.upstream import Upstream
from darkroom.engine.internal import EngineSocket
from darkroom.engine.keys import USER, Keys
from darkroom.engine.layout import Layout
from darkroom.engine.page.guard import PageGuard
from darkroom.engine.page.server import PageServer, serve_page
from darkroom.engine.parts import credentials_path, events_path
from darkroom.rekognition import Rekognition, Switch


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m darkroom.engine.gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--page-port", type=int, required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--engine-socket", type=Path, required=True)
    parser.add_argument("--runtime-socket", type=Path, required=True)
    parser.add_argument("--fixtures", type=Path, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(options))


async def _serve(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    layout = Layout(home=options.home, run=Path.cwd())
    keys = Keys.read(layout.instance)
    if keys is None:
        print(f"{layout.instance} is missing; `darkroom up` makes it.", file=sys.stderr)  # noqa: T201
        return 1
    keyring = Keyring(layout.keyring)
    if keys.access_key_id not in keyring:
        keyring.add(
            keys.access_key_id,
            Secret(keys.secret_access_key, "", f"arn:aws:iam::{options.account}:user/{USER}"),
        )
    switch = Switch(
        recorded=options.fixtures / "recorded",
        ledger=options.ledger,
        is_local_key=keyring.__contains__,
        state=layout.rekognition_mode,
    )
    objects = EngineObjects(options.engine_socket, root_key=keys.root_key, region=options.region)
    page_guard = PageGuard(options.page_port)
    gateway = Gateway(
        guard=Guard.for_port(options.port, origins=PageOrigins(page_guard.origin, layout.stack)),
        engine=Upstream(options.engine_socket),
        runtime=Upstream(options.runtime_socket),
        rekognition=Rekognition(fixtures=options.fixtures, source=objects, switch=switch),
        keyring=keyring,
        permissions=Permissions(
            EngineSocket(options.engine_socket, root_key=keys.root_key, region=options.region)
        ),
        events_path=events_path(keys),
        credentials_path=credentials_path(keys),
        control_token=keys.token,
        root_key=keys.root_key,
        account=options.account,
        region=options.region,
        space=Space(layout.home),
    )
    page = PageServer(page_guard, gateway.engine, layout.stack)
    runners = [web.ServerRunner(BoundedServer(gateway.handle, gateway.limits))]
    await runners[0].setup()
    try:
        await web.TCPSite(runners[0], "127.0.0.1", options.port, backlog=1024).start()
        runners.append(await serve_page(page))
        await stop.wait()
    except OSError as error:
        print(f"A port cannot be bound: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        for runner in runners:
            await runner.cleanup()
        for part in (gateway.engine, gateway.runtime, objects):
            await part.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
