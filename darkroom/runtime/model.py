"""The values that the parts pass to each other, and the seams to AWS.

Times are seconds since 1970 (`float`) unless a name ends in `_ms`.
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LATEST = "$LATEST"


class LogFormat(enum.StrEnum):
    """How a function's log lines are written (LoggingConfig.LogFormat)."""

    TEXT = "Text"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """One function version as the engine describes it (GetFunction)."""

    name: str
    arn: str  # unqualified
    version: str
    handler: str
    runtime: str
    role_arn: str
    timeout_s: float
    memory_mb: int
    code_sha256: str  # base64, as Lambda gives it
    code_location: str
    environment: Mapping[str, str] = field(default_factory=dict)
    log_group: str = ""
    log_format: LogFormat = LogFormat.TEXT
    log_level: str = ""  # ApplicationLogLevel, only with JSON
    dead_letter_arn: str = ""
    reserved_concurrency: int | None = None
    modified: str = ""  # LastModified, ISO 8601 in UTC: text order is time order

    @property
    def log_group_name(self) -> str:
        """The CloudWatch Logs group: LoggingConfig's, or Lambda's default."""
        return self.log_group or f"/aws/lambda/{self.name}"

    @property
    def fingerprint(self) -> str:
        """Changes with anything a running worker was started with, so that it must be replaced."""
        parts = (
            self.version, self.handler, self.runtime, self.role_arn, self.timeout_s, self.memory_mb,
            self.code_sha256, sorted(self.environment.items()),
            self.log_group, self.log_format, self.log_level,
        )  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class InvokeSettings:
    """One event invoke config; the defaults are Lambda's.

    "Configuring error handling settings for Lambda asynchronous invocations"
    (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html): age up to 6 hours,
    0 to 2 retries.
    """

    maximum_retries: int = 2
    maximum_age_s: float = 21_600
    on_success_arn: str = ""
    on_failure_arn: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A role session, with the time it was made and ends."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    made_at: float = 0.0
    expires_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a handler, as the worker sees it."""

    request_id: str
    payload: bytes
    function_arn: str  # as the caller named it: with its version or alias
    trace_id: str = ""
    client_context: str = ""  # JSON, decoded from base64
    cognito_identity: str = ""  # JSON


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler answered: its result, or Lambda's error document with `error_type` set."""

    payload: bytes
    error_type: str = ""
    version: str = LATEST
    log_tail: bytes = b""
    duration_ms: float = 0.0

    @property
    def failed(self) -> bool:
        """True when the caller gets X-Amz-Function-Error."""
        return bool(self.error_type)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One CloudWatch Logs event."""

    timestamp_ms: int
    message: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to a destination or dead-letter queue, sent with the function's own role."""

    target_arn: str
    body: str
    role_arn: str
    session_name: str
    attributes: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name → (type, value)
    detail_type: str = ""  # only for an event bus
    source_arn: str = ""


class FunctionSource(Protocol):
    """Where functions are described and their code lies."""

    async def function(self, name: str, qualifier: str) -> FunctionConfig:
        """The version that `qualifier` ("" for none) names. Raises ResourceNotFoundError,
        SystemFaultError."""

    async def invoke_settings(self, name: str) -> Mapping[str, InvokeSettings]:
        """All event invoke configs of a function by qualifier ($LATEST for the unqualified one)."""

    async def code(self, config: FunctionConfig) -> bytes:
        """The deployment package (zip). Raises SystemFaultError."""


class CredentialsSource(Protocol):
    """Role sessions for functions."""

    async def assume(self, role_arn: str, session_name: str) -> Credentials:
        """A session that is valid for some minutes at least. Raises SystemFaultError."""


class LogSink(Protocol):
    """CloudWatch Logs, or a list in a test."""

    async def put(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        """Write one batch within PutLogEvents' limits, creating what is missing. Raises SystemFaultError."""


class DestinationSink(Protocol):
    """Queues, topics, buckets and buses that records go to."""

    async def deliver(self, delivery: Delivery) -> None:
        """Send one record. Raises SystemFaultError when it did not arrive."""
