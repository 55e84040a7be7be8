"""``python -m darkroom.rekognition --port 4567 --fixtures DIR --mode stub [--strict]``"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from darkroom.rekognition.s3 import S3Source
from darkroom.rekognition.server import Guard, run
from darkroom.rekognition.service import Mode, Rekognition


def main(arguments: list[str] | None = None) -> int:
    """Run the server; 0 after a clean stop, 2 for a wrong argument, 4 when it cannot start."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if options.quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    if not options.fixtures.is_dir():
        logger = logging.getLogger(__name__)
        logger.error("%s is not a folder. Make it, or name another with --fixtures.", options.fixtures)
        return 2
    guard = Guard(allowed_hosts=frozenset(host.lower() for host in options.allow_host))
    try:
        asyncio.run(_serve(options, guard))
    except OSError as error:
        logging.getLogger(__name__).error("Cannot listen on %s:%d: %s", options.host, options.port, error)  # noqa: TRY400 -- one clear line
        return 4
    return 0


async def _serve(options: argparse.Namespace, guard: Guard) -> None:
    source = S3Source()
    rekognition = Rekognition(
        fixtures=options.fixtures, source=source, strict=options.strict, mode=Mode(options.mode)
    )
    try:
        await run(rekognition, host=options.host, port=options.port, guard=guard)
    finally:
        rekognition.close()
        await source.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m darkroom.rekognition", description="A local Amazon Rekognition."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=4567, help="port to listen on (default 4567; 0 for any)")
    parser.add_argument("--fixtures", type=Path, required=True, help="folder with authored/ and recorded/")
    parser.add_argument("--mode", choices=[mode.value for mode in Mode], default=Mode.STUB.value)
    parser.add_argument("--strict", action="store_true", help="refuse pictures that nothing describes")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a Host to answer to"
    )
    parser.add_argument("--quiet", action="store_true", help="log warnings and errors only, not every answer")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
