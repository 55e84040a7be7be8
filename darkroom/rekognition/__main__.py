"""``python -m darkroom.rekognition --port 4567 --fixtures DIR [--mode replay] [--strict]``"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from darkroom.rekognition.credentials import CredentialsError, own_access
from darkroom.rekognition.modes import (
    DEFAULT_BUDGET_DOLLARS,
    DEFAULT_TOLERANCE,
    Choices,
    Mode,
    budget_of,
)
from darkroom.rekognition.s3 import S3Source
from darkroom.rekognition.server import Guard, run
from darkroom.rekognition.service import Rekognition
from darkroom.rekognition.switch import Switch
from darkroom.rekognition.upstream import UpstreamError


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
        switch = _switch(options)
    except (CredentialsError, UpstreamError) as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 -- one clear line
        return 2
    try:
        asyncio.run(_serve(options, guard, switch))
    except OSError as error:
        logging.getLogger(__name__).error("Cannot listen on %s:%d: %s", options.host, options.port, error)  # noqa: TRY400 -- one clear line
        return 4
    return 0


def _switch(options: argparse.Namespace) -> Switch:
    """The switch in the mode of the options; one that asks AWS has said who asks.

    Raises:
        CredentialsError, UpstreamError: AWS cannot be asked so.
    """
    mode = Mode(options.mode)
    access = own_access(profile=options.aws_profile) if mode.asks_aws else None
    region = options.aws_region or (access.region if access else None) or "us-east-1"
    choices = Choices(
        mode=mode,
        region=region,
        endpoint=options.aws_endpoint_url or None,
        widest=options.widest,
        with_faces=options.with_faces,
        downscale=options.downscale,
        tolerance=options.tolerance,
        budget_dollars=options.budget,
        max_calls=options.max_calls,
    )
    switch = Switch(recorded=options.fixtures / "recorded", choices=choices, ledger=options.ledger)
    if access is not None:
        switch.use(choices, access)
    return switch


async def _serve(options: argparse.Namespace, guard: Guard, switch: Switch) -> None:
    source = S3Source()
    rekognition = Rekognition(fixtures=options.fixtures, source=source, strict=options.strict, switch=switch)
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
    parser.add_argument(
        "--mode",
        choices=[mode.value for mode in Mode],
        default=Mode.STUB.value,
        help="where answers come from at the start (default stub)",
    )
    parser.add_argument("--strict", action="store_true", help="refuse pictures that nothing describes")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a Host to answer to"
    )
    _add_aws_options(parser.add_argument_group("modes that ask real AWS"))
    parser.add_argument("--quiet", action="store_true", help="log warnings and errors only, not every answer")
    return parser


def _add_aws_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--aws-profile", help="profile of your AWS files (default: the credential chain)")
    group.add_argument("--aws-region", help="region to ask (default: the profile's, else us-east-1)")
    group.add_argument(
        "--aws-endpoint-url", metavar="URL", help="ask this address instead of the region's own"
    )
    group.add_argument(
        "--budget",
        type=budget_of,
        default=DEFAULT_BUDGET_DOLLARS,
        metavar="DOLLARS",
        help="most to spend in a calendar month (default 1.00; none for no limit)",
    )
    group.add_argument("--max-calls", type=int, metavar="N", help="most calls to pay in a calendar month")
    group.add_argument("--ledger", type=Path, metavar="FILE", help="where spending is written down")
    group.add_argument("--widest", action="store_true", help="record the widest answers, derive the narrower")
    group.add_argument("--with-faces", action="store_true", help="record details of faces too")
    group.add_argument("--downscale", action="store_true", help="send a smaller copy of what is over 5 MB")
    group.add_argument(
        "--tolerance",
        type=float,
        default=DEFAULT_TOLERANCE,
        metavar="POINTS",
        help="how far a confidence may move in verify (default 1)",
    )


if __name__ == "__main__":
    raise SystemExit(main())
