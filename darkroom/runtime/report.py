"""The platform's own log lines: START, END, REPORT, INIT_REPORT, in text and in JSON.

Source: "Viewing CloudWatch logs for Lambda functions"
(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html) and the `platform.*` events
of the "Lambda Telemetry API Event schema reference"
(https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html). Since August 2025 the billed
duration holds the init phase too ("AWS Lambda standardizes billing for INIT Phase", AWS Compute Blog).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from darkroom.runtime.model import LogFormat


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one invocation."""

    request_id: str
    duration_ms: float
    memory_mb: int
    used_mb: int
    init_ms: float | None = None
    status: str = "success"  # success, error, timeout
    error_type: str = ""

    @property
    def billed_ms(self) -> int:
        """Rounded up to the next millisecond, init included."""
        return math.ceil(self.duration_ms + (self.init_ms or 0.0))


def start_line(log_format: LogFormat, request_id: str, version: str) -> str:
    """The first line of an invocation."""
    if log_format is LogFormat.JSON:
        return _platform("start", {"requestId": request_id, "version": version})
    return f"START RequestId: {request_id} Version: {version}"


def closing_lines(log_format: LogFormat, report: Report) -> list[str]:
    """The last lines of an invocation."""
    if log_format is LogFormat.JSON:
        return [_platform("report", _record(report))]
    line = (
        f"REPORT RequestId: {report.request_id}\tDuration: {report.duration_ms:.2f} ms\t"
        f"Billed Duration: {report.billed_ms} ms\tMemory Size: {report.memory_mb} MB\t"
        f"Max Memory Used: {report.used_mb} MB\t"
    )
    if report.init_ms is not None:
        line += f"Init Duration: {report.init_ms:.2f} ms\t"
    if report.status != "success":
        line += f"Status: {report.status}\t"
    if report.error_type and report.status == "error":
        line += f"Error Type: {report.error_type}\t"
    return [f"END RequestId: {report.request_id}", line]


def init_line(log_format: LogFormat, init_ms: float, error_type: str) -> str:
    """The line of an init phase that failed."""
    if log_format is LogFormat.JSON:
        record = {
            "initializationType": "on-demand", "phase": "init", "status": "error", "errorType": error_type,
            "metrics": {"durationMs": round(init_ms, 3)},
        }  # fmt: skip
        return _platform("initReport", record)
    return (
        f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: init\tStatus: error\tError Type: {error_type}"
    )


def timeout_line(request_id: str, timeout_s: float) -> str:
    """What Lambda logs when it ends an invocation for its time."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return f"{now}Z {request_id} Task timed out after {timeout_s:.2f} seconds"


def _record(report: Report) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "durationMs": round(report.duration_ms, 3),
        "billedDurationMs": report.billed_ms,
        "memorySizeMB": report.memory_mb,
        "maxMemoryUsedMB": report.used_mb,
    }
    if report.init_ms is not None:
        metrics["initDurationMs"] = round(report.init_ms, 3)
    record: dict[str, Any] = {"requestId": report.request_id, "metrics": metrics, "status": report.status}
    if report.error_type:
        record["errorType"] = report.error_type
    return record


def _platform(kind: str, record: dict[str, Any]) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return json.dumps({"time": f"{now}Z", "type": f"platform.{kind}", "record": record})
