"""The Lambda function `tagger`: an S3 event comes in, every image that it names is analysed.

Loaded once per worker: settings are checked and clients made here, in Lambda's init phase, so that a wrong
configuration is an error at start and not one per image.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from botocore.config import Config

from pipeline.analysis import Analysis
from pipeline.errors import BatchFailedError
from pipeline.events import Upload, uploads_in
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.tagging import Outcome, Result, Tagger

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
    tagger = Tagger(
        s3=session.client("s3", config=_STEADY),
        analysis=Analysis(session.client("rekognition", config=_RATE_LIMITED), settings),
        store=Store(
            session.client("dynamodb", config=_STEADY.merge(_UNCHECKED)),
            table=settings.table_name,
            settings=settings.fingerprint,
        ),
        settings=settings,
    )
    return settings, tagger


_settings, _tagger = build_tagger(os.environ)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Analyse the images of one S3 event; one that fails does not stop the others.

    Returns:
        How many images came to which outcome, such as `{"tagged": 1}`.

    Raises:
        Exception: some image failed for a reason that may pass. Lambda tries the event again; the images that
            are done are recognised as duplicates then.
    """
    uploads = uploads_in(event, trigger_prefix=_settings.trigger_prefix)
    metrics.add_metric(name="Images", unit=MetricUnit.Count, value=len(uploads))
    counts: dict[str, int] = {}
    failures: dict[str, Exception] = {}
    for upload in uploads:
        started_s = time.perf_counter()
        try:
            result = _tagger.tag(
                upload, owner=context.aws_request_id, lease_ms=context.get_remaining_time_in_millis()
            )
        except Exception as error:
            logger.exception("not analysed, to be tried again", extra={"image": upload.key})
            metrics.add_metric(name="Errors", unit=MetricUnit.Count, value=1)
            failures[upload.key] = error
        else:
            counts[result.outcome] = counts.get(result.outcome, 0) + 1
            _report(upload, result, duration_ms=(time.perf_counter() - started_s) * 1000)
    if len(uploads) == 1 and failures:
        raise failures[uploads[0].key]
    if failures:
        raise BatchFailedError(failures, total=len(uploads))
    return counts


def _report(upload: Upload, result: Result, *, duration_ms: float) -> None:
    """One log line and the metrics of one image."""
    details: dict[str, Any] = {"image": upload.key, "duration_ms": round(duration_ms, 1)}
    record = result.record or {}
    if result.outcome is Outcome.FAILED:
        details |= {"error_code": record["ErrorCode"], "error_message": record["ErrorMessage"]}
        metrics.add_metric(name="Failures", unit=MetricUnit.Count, value=1)
    elif result.outcome in {Outcome.TAGGED, Outcome.PARTIAL}:
        details |= {"labels": len(record.get("LabelNames", ())), "source": record["Source"]}
        refused = [name for name, each in record["Analyzers"].items() if each["Status"] != "DONE"]
        details |= {"not_answered": refused} if refused else {}
        metrics.add_metric(name="Tagged", unit=MetricUnit.Count, value=1)
    else:
        metrics.add_metric(name="Skipped", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Duration", unit=MetricUnit.Milliseconds, value=duration_ms)
    logger.info(result.outcome.value, extra=details)
