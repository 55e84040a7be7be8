"""Figures of a function from its log: durations and memory of the REPORT lines, and the metrics of its images.

Lambda writes one REPORT line per invocation
(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html), the tagger its metrics as one JSON
line in CloudWatch's embedded metric format. Both are the same here and on AWS, so that these figures are, too.
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.errors import NotFoundError, UsageError
from darkroom.operations.logs import MADE_UP, log_group_of, log_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from darkroom.operations.target import Target

PERCENTILES = (50, 90, 95, 99, 100)
_PERIOD = re.compile(r"(\d+)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_REPORT = re.compile(r"REPORT RequestId: (?P<request>\S+)")
_FIELDS = {
    "duration_ms": re.compile(r"\tDuration: ([\d.]+) ms"),
    "billed_ms": re.compile(r"\tBilled Duration: ([\d.]+) ms"),
    "init_ms": re.compile(r"\tInit Duration: ([\d.]+) ms"),
    "memory_mb": re.compile(r"\tMax Memory Used: (\d+) MB"),
    "size_mb": re.compile(r"\tMemory Size: (\d+) MB"),
}
_STATUS = re.compile(r"\tStatus: (\w+)")
_ANALYSED, _REFUSED, _ERRORS = "Tagged", "Failures", "Errors"


@dataclass(frozen=True, slots=True)
class Spread:
    """How values are spread: percentile -> the value that so many per cent do not exceed (nearest rank)."""

    percentiles: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        ordered = sorted(values)
        return cls(
            tuple(
                (share, ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]) for share in PERCENTILES
            )
            if ordered
            else ()
        )

    def as_json(self) -> dict[str, float]:
        return {"max" if share == 100 else f"p{share}": value for share, value in self.percentiles}


@dataclass(slots=True)
class Figures:
    """The figures of one function over a period.

    Attributes:
        invocations: those whose REPORT line is in the log.
        failed: of them, those that raised, timed out or ran out of memory, where the log says so.
        values: `duration_ms`, `billed_ms`, `init_ms` (of cold starts), `memory_mb`: one value per invocation.
        size_mb: memory that the function has; None where the log does not say.
        metrics: sums of the metrics that the function wrote.
    """

    invocations: int = 0
    failed: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    size_mb: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def success_percent(self) -> float | None:
        """Share of the images and attempts that succeeded; None where there was none."""
        good = self.metrics.get(_ANALYSED, 0)
        all_ = good + self.metrics.get(_REFUSED, 0) + self.metrics.get(_ERRORS, 0)
        return good / all_ * 100 if all_ else None

    def spread(self, name: str) -> Spread:
        return Spread.of(self.values.get(name, ()))

    def as_json(self) -> dict[str, Any]:
        return {
            "invocations": self.invocations,
            "failed": self.failed,
            "cold_starts": len(self.values.get("init_ms", ())),
            "memory_size_mb": self.size_mb,
            **{
                name: self.spread(name).as_json()
                for name in ("duration_ms", "billed_ms", "init_ms", "memory_mb")
            },
            "success_percent": self.success_percent,
            "metrics": self.metrics,
        }


def collect(target: Target, function: str, *, period_s: float, now_s: float | None = None) -> Figures:
    """The figures of a function over the last `period_s` seconds.

    Raises:
        NotFoundError: the function has no log.
    """
    client = target.session.client("logs")
    since_ms = int(((time.time() if now_s is None else now_s) - period_s) * 1000)
    group = log_group_of(target.stack, function)
    try:
        # two small answers instead of the whole log: CloudWatch Logs filters, and quotes make a phrase of words
        reports = log_lines(client, group, since_ms, pattern='"REPORT RequestId"')
        embedded = log_lines(client, group, since_ms, pattern='"CloudWatchMetrics"')
        return summarise((*reports, *embedded))
    except client.exceptions.ResourceNotFoundException:
        raise NotFoundError(
            f"There is no log of a function {function!r}.",
            hint="The functions stand in template.yaml, for example tagger.",
        ) from None


def summarise(lines: Iterable[str]) -> Figures:
    """The figures that lines of a log tell; any other line is passed over."""
    figures = Figures()
    for line in lines:
        if line.startswith("{"):
            _add_metrics(figures, line)
        elif _REPORT.match(line) and not MADE_UP.search(line):
            _add_report(figures, line)
    return figures


def period_s(text: str) -> float:
    """Seconds of a period such as `15m`, `2h` or `7d`.

    Raises:
        UsageError: it is none.
    """
    found = _PERIOD.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{text!r} is no period.", hint="For example 30m, 12h or 7d.")
    return int(found[1]) * _SECONDS[found[2]]


def _add_report(figures: Figures, line: str) -> None:
    figures.invocations += 1
    status = _STATUS.search(line)
    figures.failed += status is not None and status[1] != "success"
    for name, pattern in _FIELDS.items():
        if found := pattern.search(line):
            figures.values.setdefault(name, []).append(float(found[1]))
    if sizes := figures.values.pop("size_mb", None):
        figures.size_mb = int(sizes[-1])


def _add_metrics(figures: Figures, line: str) -> None:
    try:
        entry = json.loads(line)
        described = [each for group in entry["_aws"]["CloudWatchMetrics"] for each in group["Metrics"]]
    except (ValueError, KeyError, TypeError):
        return
    for name in {each["Name"] for each in described} - {"SuccessRate", "Duration", "Delay"}:
        values = entry.get(name, ())
        total = sum(values) if isinstance(values, list) else float(values)
        figures.metrics[name] = figures.metrics.get(name, 0.0) + total
