"""What is said of each image: one structured log line, and metrics that CloudWatch reads from the log.

| metric                 | unit         | per                                                                     |
|------------------------|--------------|-------------------------------------------------------------------------|
| `Images`               | count        | image of an event                                                       |
| `Tagged`, `Failures`   | count        | image that was analysed at least in part, image that can never be       |
| `Skipped`              | count        | image with nothing to do: a duplicate, an older event, gone             |
| `Deleted`              | count        | image whose object was removed                                          |
| `Errors`               | count        | attempt that failed for a reason that may pass; Lambda tries again      |
| `SuccessRate`          | percent      | image or attempt: 100 or 0, so that its average is the rate             |
| `Duration`             | milliseconds | image, from the event in the handler to its record                      |
| `Delay`                | milliseconds | image, from the upload to the handler (S3's event tells the upload)     |
| `RekognitionCalls`     | count        | request, the client's own tries included                                |
| `RekognitionThrottles` | count        | request that was refused because of the account's rate                  |
| `RekognitionPriceUsd`  | none         | image: list price of the answered requests                              |

The namespace is the stack's name, the dimension `service` the function. Written in CloudWatch's embedded metric
format (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html).
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from pipeline.tagging import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.logging import Logger
    from aws_lambda_powertools.metrics import Metrics

    from pipeline.events import Removal, Upload
    from pipeline.metering import Meter, Usage
    from pipeline.tagging import Result

_ANALYSED = frozenset({Outcome.TAGGED, Outcome.PARTIAL})


@dataclass(slots=True)
class Reporter:
    """Reports the images of one function."""

    logger: Logger
    metrics: Metrics
    meter: Meter
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def received(self, images: int) -> None:
        """An event has come, with so many images to analyse; none is worth a number, too."""
        self._count("Images", images)

    def begin(self, upload: Upload | Removal) -> Report:
        """Start the clock of one image."""
        self.meter.take()  # what an attempt that was cut off left behind
        return Report(self, upload, time.perf_counter(), _delay_ms(upload, self.now()))

    def _count(self, name: str, value: float = 1) -> None:
        self.metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one image; it ends with `settled` or `raised`."""

    reporter: Reporter
    upload: Upload | Removal
    started_s: float
    delay_ms: float | None

    def settled(self, result: Result) -> None:
        """The image has an outcome."""
        record = result.record or {}
        details: dict[str, Any] = {}
        if result.outcome is Outcome.FAILED:
            details |= {"error_code": record["ErrorCode"], "error_message": record["ErrorMessage"]}
            self.reporter._count("Failures")
            self._success(reached=False)
        elif result.outcome in _ANALYSED:
            details |= {"labels": len(record.get("LabelNames", ())), "source": record["Source"]}
            refused = [name for name, each in record["Analyzers"].items() if each["Status"] != "DONE"]
            details |= {"not_answered": refused} if refused else {}
            self.reporter._count("Tagged")
            self._success(reached=True)
        else:
            self.reporter._count("Deleted" if result.outcome is Outcome.DELETED else "Skipped")
        self.reporter.logger.info(result.outcome.value, extra=self._times(details))

    def raised(self, error: Exception) -> None:
        """The attempt failed; Lambda tries it again."""
        self.reporter._count("Errors")
        self._success(reached=False)
        details = self._times({"error_code": type(error).__name__})
        self.reporter.logger.exception("not analysed, to be tried again", extra=details)

    def _success(self, *, reached: bool) -> None:
        self.reporter.metrics.add_metric(
            name="SuccessRate", unit=MetricUnit.Percent, value=100.0 if reached else 0.0
        )

    def _times(self, details: dict[str, Any]) -> dict[str, Any]:
        """The details with image and times; times and Rekognition's usage go into the metrics, too."""
        usage = self.reporter.meter.take()
        times = {
            "duration_ms": (time.perf_counter() - self.started_s) * 1000,
            "rekognition_ms": usage.busy_ms if usage.calls else None,
            "delay_ms": self.delay_ms,
        }
        add = self.reporter.metrics.add_metric
        for name, value in (("Duration", times["duration_ms"]), ("Delay", times["delay_ms"])):
            if value is not None:
                add(name=name, unit=MetricUnit.Milliseconds, value=value)
        self._add_usage(usage)
        known = {name: round(value, 1) for name, value in times.items() if value is not None}
        calls = {"rekognition_calls": usage.calls} if usage.calls else {}
        throttles = {"rekognition_throttles": usage.throttles} if usage.throttles else {}
        return {"image": self.upload.key, **known, **calls, **throttles, **details}

    def _add_usage(self, usage: Usage) -> None:
        if usage.calls:
            self.reporter._count("RekognitionCalls", usage.calls)
            self.reporter._count("RekognitionThrottles", usage.throttles)
            self.reporter.metrics.add_metric(
                name="RekognitionPriceUsd", unit=MetricUnit.NoUnit, value=usage.price_usd
            )


def _delay_ms(upload: Upload | Removal, now: datetime) -> float | None:
    """How long ago the upload was, by S3's clock and ours; None where the event does not say."""
    with suppress(ValueError):
        if upload.event_time:
            return max(0.0, (now - datetime.fromisoformat(upload.event_time)).total_seconds() * 1000)
    return None
