"""The Lambda function `rescan`: has everything analysed that has no current record.

A person's event asks for one step and gets the cursor of the next:

    {"cursor": null, "most": 50, "stale": false}  →  {"looked_at": 1000, "sent": 12, "cursor": "uploads/…"}

The schedule's event `{"schedule": true, "stale": false}` goes on by itself until the bucket's end, or until its time is
nearly up; the next run goes on from there. It sends at most `RESCAN_RATE` events a second.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from botocore.config import Config

from pipeline.errors import ConfigurationError
from pipeline.rescanning import Rescanner
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

_STEADY = Config(retries={"mode": "adaptive", "total_max_attempts": 6}, connect_timeout=2, read_timeout=20)
_MARGIN_MS = 20_000
"""A step is not begun when less than this is left."""

logger = Logger(serialize_stacktrace=False)


class Clients:
    """The clients of one worker, made once: each takes a tenth of a second."""

    def __init__(self, region: str) -> None:
        session = boto3.Session(region_name=region)
        self.s3 = session.client("s3", config=_STEADY)
        self.dynamodb = session.client("dynamodb", config=_STEADY)
        self.aws_lambda = session.client("lambda", config=_STEADY)


_clients = Clients(os.environ.get("AWS_REGION", ""))


def build_rescanner(clients: Clients, environment: Mapping[str, str]) -> tuple[Rescanner, float]:
    """The rescanner over the tagger's own settings, and the events per second of a scheduled run.

    Raises:
        ConfigurationError: an environment variable is missing or wrong, of this function or of the tagger.
    """
    try:
        bucket, tagger = environment["BUCKET_NAME"], environment["TAGGER"]
        rate = float(environment["RESCAN_RATE"])
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"BUCKET_NAME, TAGGER and RESCAN_RATE must be set: {error}") from error
    configured = clients.aws_lambda.get_function_configuration(FunctionName=tagger)
    variables = configured.get("Environment", {}).get("Variables", {})
    rescanner = Rescanner(
        s3=clients.s3,
        dynamodb=clients.dynamodb,
        aws_lambda=clients.aws_lambda,
        bucket=bucket,
        tagger=tagger,
        settings=Settings.from_environment({**variables, "AWS_REGION": environment["AWS_REGION"]}),
    )
    return rescanner, rate


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One step, or a scheduled run.

    Returns:
        `{"looked_at": objects, "sent": events, "cursor": where to go on, or None at the end}`
    """
    # for each invocation anew: the tagger's settings may have changed since this worker was started
    rescanner, rate = build_rescanner(_clients, os.environ)
    stale = bool(event.get("stale"))
    if not event.get("schedule"):
        step = rescanner.step(event.get("cursor"), most=int(event.get("most", 50)), stale=stale)
        return {"looked_at": step.looked_at, "sent": step.sent, "cursor": step.cursor}
    looked_at = sent = 0
    cursor = rescanner.place(stale=stale)
    began_s = time.monotonic()
    while context.get_remaining_time_in_millis() > _MARGIN_MS:
        step = rescanner.step(cursor, most=max(1, round(rate)), stale=stale)
        looked_at, sent, cursor = looked_at + step.looked_at, sent + step.sent, step.cursor
        rescanner.keep_place(cursor, stale=stale)
        if cursor is None:
            break
        time.sleep(max(0.0, began_s + sent / rate - time.monotonic()))
    logger.info("rescanned", extra={"looked_at": looked_at, "sent": sent, "stopped_at": cursor})
    return {"looked_at": looked_at, "sent": sent, "cursor": cursor}
