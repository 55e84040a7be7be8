"""The environment of a worker: what Lambda sets, the function's own variables, and nothing of this machine.

Source: "Defined runtime environment variables" in "Working with Lambda environment variables"
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html). `_X_AMZN_TRACE_ID` changes with
each invocation; awslambdaric sets it.

Left out, because it would break the host's own libraries: LD_LIBRARY_PATH. Also AWS_XRAY_DAEMON_ADDRESS:
there is no X-Ray daemon. Added, because the host is not Lambda:
  AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_REKOGNITION   the local environment instead of AWS
  AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE     empty: an SDK finds the user's ~/.aws even without HOME
  TMPDIR                                           a worker's own /tmp
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.runtime.model import Credentials, FunctionConfig, LogFormat

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that functions run on, and where its libraries lie."""

    python: Path
    libraries: Path  # stands for Lambda's /var/runtime


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a function's AWS calls go."""

    region: str
    endpoint_url: str
    rekognition_endpoint_url: str


@dataclass(frozen=True, slots=True)
class Place:
    """What belongs to one worker alone."""

    runtime_api: str  # host:port
    log_stream: str
    code: Path
    temporary: Path


def worker_environment(
    config: FunctionConfig,
    credentials: Credentials,
    place: Place,
    *,
    interpreter: Interpreter,
    endpoints: Endpoints,
) -> dict[str, str]:
    """All variables of a worker. A function's variables may replace the defaults, never the reserved ones."""
    environment = {
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LANG": "en_US.UTF-8",
        "PATH": f"{interpreter.python.parent}:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "PYTHONPATH": str(interpreter.libraries),
        "TZ": ":UTC",
        **config.environment,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_DEFAULT_REGION": endpoints.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": config.name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": config.log_group_name,
        "AWS_LAMBDA_LOG_STREAM_NAME": place.log_stream,
        "AWS_LAMBDA_RUNTIME_API": place.runtime_api,
        "AWS_REGION": endpoints.region,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "LAMBDA_RUNTIME_DIR": str(interpreter.libraries),
        "LAMBDA_TASK_ROOT": str(place.code),
        "_HANDLER": config.handler,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_ENDPOINT_URL": endpoints.endpoint_url,
        "AWS_ENDPOINT_URL_REKOGNITION": endpoints.rekognition_endpoint_url,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "TMPDIR": str(place.temporary),
    }
    if config.log_format is LogFormat.JSON:
        environment["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        environment["AWS_LAMBDA_LOG_LEVEL"] = config.log_level or "INFO"
    return environment
