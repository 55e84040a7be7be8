"""`python -m darkroom.sync`: the sync as a foreground process.

Keys, region and endpoint come from boto's own environment. Exit codes: 0 stopped or done, 1 with --once some
files failed, otherwise the error's own.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from darkroom.errors import DarkroomError
from darkroom.sync.lock import JournalLock
from darkroom.sync.model import DEFAULT_PREFIX, SyncOptions, SyncResult, size_text
from darkroom.sync.service import Service

if TYPE_CHECKING:
    from types import FrameType


def options_from(arguments: list[str]) -> SyncOptions:
    """The command line as options; exits with argparse's own message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m darkroom.sync", description="Keep a folder in an S3 bucket."
    )
    parser.add_argument("--folder", required=True, help="the folder to watch, with everything in it")
    parser.add_argument("--bucket", required=True, help="the bucket; it may come later")
    parser.add_argument(
        "--prefix", default=DEFAULT_PREFIX, help="what keys begin with (default: %(default)s)"
    )
    parser.add_argument("--journal", required=True, help="SQLite file that remembers what was uploaded")
    parser.add_argument("--status", help="JSON file that always says how things are")
    parser.add_argument("--mirror", action="store_true", help="delete in the bucket what is deleted here")
    parser.add_argument(
        "--poll", action="store_true", help="look through the folder instead of waiting for events"
    )
    parser.add_argument("--once", action="store_true", help="end when folder and bucket agree")
    parser.add_argument(
        "--workers", type=int, default=4, help="uploads at the same time (default: %(default)s)"
    )
    parser.add_argument(
        "--engine-wait", type=float, help="with --once: seconds to wait for the bucket (default: 30)"
    )
    got = parser.parse_args(arguments)
    if got.workers < 1:
        parser.error("--workers must be at least 1")
    wait = got.engine_wait if got.engine_wait is not None else (30.0 if got.once else None)
    return SyncOptions(
        folder=got.folder,
        bucket=got.bucket,
        journal=got.journal,
        prefix=got.prefix,
        mirror=got.mirror,
        poll=got.poll,
        status=got.status,
        once=got.once,
        workers=got.workers,
        engine_wait_s=wait,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT, or with --once until done."""
    options = options_from(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("darkroom.sync").setLevel(logging.INFO)
    try:
        with JournalLock(options.journal):
            result = _run(Service(options))
    except DarkroomError as error:
        sys.stderr.write(f"darkroom sync: {' '.join(filter(None, (error.message, error.hint)))}\n")
        return error.exit_code
    if result.abandoned:
        # A thread in the middle of a request must not hold the process; the journal is closed already.
        logging.shutdown()
        os._exit(0)
    if options.once:
        _summary(result)
        return 1 if result.failed else 0
    return 0


def _run(service: Service) -> SyncResult:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return service.run()


def _summary(result: SyncResult) -> None:
    logging.getLogger("darkroom.sync").info(
        "done in %.1f s: %d uploaded (%s), %d already there, %d unchanged, %d deleted, "
        "%d left out, %d failed",
        result.seconds,
        result.uploaded,
        size_text(result.bytes_uploaded),
        result.already_there,
        result.unchanged,
        result.deleted,
        len(result.left_out),
        len(result.failed),
    )


if __name__ == "__main__":
    sys.exit(main())
