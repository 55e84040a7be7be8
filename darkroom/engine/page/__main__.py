"""Serves the page's port in front of an engine that listens on a port of its own, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from darkroom.engine.gateway.upstream import Upstream
from darkroom.engine.page.guard import PageGuard
from darkroom.engine.page.server import PageServer, serve_page


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m darkroom.engine.page")
    parser.add_argument("--port", type=int, required=True, help="of the page, on 127.0.0.1")
    parser.add_argument("--endpoint", required=True, help="the engine's address, http://127.0.0.1:4566")
    parser.add_argument("--stack", type=Path, required=True, help="the file that names the deployed API")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(_serve(options))


async def _serve(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine = Upstream(options.endpoint)
    try:
        runner = await serve_page(PageServer(PageGuard(options.port), engine, options.stack))
    except OSError as error:
        print(f"127.0.0.1:{options.port} cannot be bound: {error}", file=sys.stderr)  # noqa: T201
        return 1
    else:
        await stop.wait()
        await runner.cleanup()
        return 0
    finally:
        await engine.close()


if __name__ == "__main__":
    sys.exit(main())
