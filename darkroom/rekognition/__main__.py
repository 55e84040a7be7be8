"""``python -m darkroom.rekognition --port 4567 --fixtures DIR --mode stub [--strict]``"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from darkroom.rekognition.server import Guard, run
from darkroom.rekognition.service import Mode, Rekognition
from darkroom.rekognition.sources import Boto3Source


def main(arguments: list[str] | None = None) -> int:
    """Run the server; 0 after a clean stop, 2 for a wrong argument, 4 when it cannot start."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    if not options.fixtures.is_dir():
        logger = logging.getLogger(__name__)
        logger.error("%s is not a folder. Make it, or name another with --fixtures.", options.fixtures)
        return 2
    source = Boto3Source()
    rekognition = Rekognition(
        fixtures=options.fixtures, source=source, strict=options.strict, mode=Mode(options.mode)
    )
    guard = Guard(allowed_hosts=frozenset(host.lower() for host in options.allow_host))
    try:
        asyncio.run(run(rekognition, host=options.host, port=options.port, guard=guard))
    except OSError as error:
        logging.getLogger(__name__).error("Cannot listen on %s:%d: %s", options.host, options.port, error)  # noqa: TRY400 -- one clear line
        return 4
    finally:
        source.close()
    return 0


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
    parser.add_argument("--verbose", action="store_true", help="log details")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
