"""The Lambda function `tagger`: an S3 event comes in, every image that it names is analysed or removed.

Loaded once per worker: settings are checked and clients made here, in Lambda's init phase, so that a wrong
configuration is an error at start and not one per image.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics
from botocore.config import Config

from pipeline.alerts import Alerts
from pipeline.analysis import Analysis
from pipeline.deletes import Remover
from pipeline.errors import BatchFailedError
from pipeline.events import Removal, changes_in
from pipeline.metering import Meter
from pipeline.reporting import Reporter
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.tagging import Tagger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

_STEADY = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=2,
    read_timeout=10,
    # Over HTTPS a checksum of a file of a few kilobytes adds work and no safety.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
# Rekognition's rate is limited per account: the adaptive mode slows down by itself when it is told to.
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
_RATE_LIMITED = Config(
    retries={"mode": "adaptive", "total_max_attempts": 5}, connect_timeout=2, read_timeout=15
)

# Items are hundreds of nested values that are built with their types a moment before; botocore would walk
# through all of them once more, and DynamoDB checks them anyway.
_UNCHECKED = Config(parameter_validation=False)

logger = Logger(serialize_stacktrace=False)  # the trace as text is enough, and half as long
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or "darkroom")


def build_tagger(environment: Mapping[str, str]) -> tuple[Settings, Tagger]:
    """Settings and clients of the function.

    Raises:
        ConfigurationError: an environment variable is missing or wrong.
    """
    settings = Settings.from_environment(environment)
    session = boto3.Session(region_name=settings.region)
    dynamodb = session.client("dynamodb", config=_STEADY.merge(_UNCHECKED))
    tagger = Tagger(
        s3=session.client("s3", config=_STEADY),
        analysis=Analysis(session.client("rekognition", config=_RATE_LIMITED), settings),
        store=Store(
            dynamodb,
            table=settings.table_name,
            index=settings.index,
            settings=settings.fingerprint,
        ),
        settings=settings,
        alerts=Alerts(
            session.client("sns", config=_STEADY),
            dynamodb,
            settings.alert_topic,
            settings.index,
            settings.alert_rules,
        )
        if settings.alert_rules
        else None,
    )
    return settings, tagger


_settings, _tagger = build_tagger(os.environ)
_remover = Remover(_tagger)
_reporter = Reporter(logger, metrics, Meter(_tagger.analysis.client))


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Analyse or remove the images of one S3 event; one that fails does not stop the others.

    Returns:
        How many images came to which outcome, such as `{"tagged": 1}`.

    Raises:
        Exception: some image failed for a reason that may pass. Lambda tries the event again; the images that
            are done are recognised as duplicates then.
    """
    changes = changes_in(event, trigger_prefix=_settings.trigger_prefix)
    _reporter.received(len(changes))
    counts: dict[str, int] = {}
    failures: dict[str, Exception] = {}
    for change in changes:
        report = _reporter.begin(change)
        lease_ms = context.get_remaining_time_in_millis()
        try:
            if isinstance(change, Removal):
                result = _remover.remove(change, owner=context.aws_request_id, lease_ms=lease_ms)
            else:
                result = _tagger.tag(change, owner=context.aws_request_id, lease_ms=lease_ms)
        except Exception as error:  # noqa: BLE001 (it is logged, and raised when the others are done)
            report.raised(error)
            failures[change.key] = error
        else:
            counts[result.outcome] = counts.get(result.outcome, 0) + 1
            report.settled(result)
    if len(changes) == 1 and failures:
        raise failures[changes[0].key]
    if failures:
        raise BatchFailedError(failures, total=len(changes))
    return counts
