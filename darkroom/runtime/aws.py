"""The seams to AWS over boto3: blocking calls in a few threads, clients made when first needed.

What reaches the rest of this package: values of `model`, ResourceNotFoundError, and SystemFaultError for
everything else.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from darkroom.runtime.errors import ResourceNotFoundError, SystemFaultError
from darkroom.runtime.model import (
    LATEST,
    Credentials,
    Delivery,
    FunctionConfig,
    InvokeSettings,
    LogEvent,
    LogFormat,
)
from darkroom.runtime.trimming import StreamSize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Result = TypeVar("Result")
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=8,
)
_THREADS = 4
_log = logging.getLogger(__name__)
_DESTINATION_CLIENTS_KEPT = 16


class Calls:
    """Runs boto3 calls in threads and turns their errors into ours."""

    def __init__(self) -> None:
        self._session: Any = boto3.Session()  # typed stubs want literal service names
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def region(self) -> str:
        """The region of this environment."""
        return str(self._session.region_name or "us-east-1")

    def client(self, service: str) -> Any:
        """A client of this process' own credentials. Belongs to a thread of `run`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, config=_CONFIG)
            return self._clients[service]

    def client_as(self, service: str, credentials: Credentials) -> Any:
        """A client of a role session."""
        with self._lock:
            return self._session.client(
                service,
                config=_CONFIG,
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token,
            )

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run one call in a thread.

        Raises:
            ResourceNotFoundError: the service says so.
            SystemFaultError: any other refusal, or no answer.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            details = error.response.get("Error", {})  # absent when what answered was no AWS service
            code, message = details.get("Code", "Unknown"), details.get("Message", "")
            if code == "ResourceNotFoundException":
                raise ResourceNotFoundError(message) from error
            raise SystemFaultError(f"{error.operation_name} was refused: {code}: {message}") from error
        except (BotoCoreError, OSError) as error:
            raise SystemFaultError(f"the local AWS does not answer: {error}") from error

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class EngineFunctions:
    """Functions as the engine knows them; code over its own socket."""

    def __init__(self, calls: Calls, engine_socket: str) -> None:
        self._calls = calls
        self._engine_socket = engine_socket

    async def function(self, name: str, qualifier: str) -> FunctionConfig:
        """GetFunction. The engine resolves an alias to its version here."""

        def call() -> Any:
            qualified = {"Qualifier": qualifier} if qualifier else {}
            return self._calls.client("lambda").get_function(FunctionName=name, **qualified)

        return function_config(await self._calls.run(call))

    async def invoke_settings(self, name: str) -> Mapping[str, InvokeSettings]:
        """ListFunctionEventInvokeConfigs: all qualifiers in one call."""

        def call() -> list[Any]:
            pages = self._calls.client("lambda").get_paginator("list_function_event_invoke_configs")
            return [
                each
                for page in pages.paginate(FunctionName=name)
                for each in page["FunctionEventInvokeConfigs"]
            ]

        try:
            found = await self._calls.run(call)
        except ResourceNotFoundError:
            return {}
        return dict(invoke_settings(each) for each in found)

    async def code(self, config: FunctionConfig) -> bytes:
        """The package behind Code.Location, asked of the engine directly: its address is not reachable otherwise."""
        _, _, rest = config.code_location.partition("://")
        path = "/" + rest.partition("/")[2]
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.UnixConnector(self._engine_socket),
                    timeout=aiohttp.ClientTimeout(total=60),
                ) as session,
                session.get(f"http://engine{path}") as response,
            ):
                if response.status != 200:
                    raise SystemFaultError(
                        f"the engine does not give out the code of {config.name}: HTTP {response.status}"
                    )
                return await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SystemFaultError(
                f"the code of {config.name} could not be fetched from the engine: {error}"
            ) from error


@functools.cache
def _say_once(message: str) -> None:
    _log.warning(message)


def function_config(answer: Mapping[str, Any]) -> FunctionConfig:
    """Read GetFunction's answer."""
    found = answer["Configuration"]
    if found.get("PackageType") == "Image":
        raise SystemFaultError(f"{found['FunctionName']} is a container image; only zip packages run here")
    if found.get("Layers"):
        _say_once(f"{found['FunctionName']} names layers; here the functions' environment takes their place")
    name, version = found["FunctionName"], found.get("Version") or LATEST
    arn = ":".join(found["FunctionArn"].split(":")[:7])
    log_settings = found.get("LoggingConfig") or {}
    return FunctionConfig(
        name=name,
        arn=arn,
        version=version,
        handler=found.get("Handler", ""),
        runtime=found.get("Runtime", ""),
        role_arn=found["Role"],
        timeout_s=float(found.get("Timeout") or 3),
        memory_mb=int(found.get("MemorySize") or 128),
        code_sha256=found["CodeSha256"],
        code_location=answer["Code"].get("Location", ""),
        environment=dict((found.get("Environment") or {}).get("Variables") or {}),
        log_group=log_settings.get("LogGroup", ""),
        log_format=LogFormat(log_settings.get("LogFormat") or LogFormat.TEXT),
        log_level=log_settings.get("ApplicationLogLevel", ""),
        dead_letter_arn=(found.get("DeadLetterConfig") or {}).get("TargetArn", ""),
        reserved_concurrency=(answer.get("Concurrency") or {}).get("ReservedConcurrentExecutions"),
        modified=found.get("LastModified", ""),
    )


def invoke_settings(found: Mapping[str, Any]) -> tuple[str, InvokeSettings]:
    """Read one FunctionEventInvokeConfig: its qualifier and its rules."""
    parts = found["FunctionArn"].split(":")
    qualifier = parts[7] if len(parts) > 7 else LATEST
    targets = found.get("DestinationConfig") or {}
    defaults = InvokeSettings()
    retries, age = found.get("MaximumRetryAttempts"), found.get("MaximumEventAgeInSeconds")
    return qualifier, InvokeSettings(
        maximum_retries=defaults.maximum_retries if retries is None else int(retries),
        maximum_age_s=defaults.maximum_age_s if age is None else float(age),
        on_success_arn=(targets.get("OnSuccess") or {}).get("Destination", ""),
        on_failure_arn=(targets.get("OnFailure") or {}).get("Destination", ""),
    )


class RoleCredentials:
    """sts:AssumeRole."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def assume(self, role_arn: str, session_name: str) -> Credentials:
        """A session of one hour."""

        def call() -> Any:
            return self._calls.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=session_name[:64])

        try:
            found = (await self._calls.run(call))["Credentials"]
        except ResourceNotFoundError as error:
            raise SystemFaultError(f"the role {role_arn} cannot be assumed: {error}") from error
        return Credentials(
            found["AccessKeyId"],
            found["SecretAccessKey"],
            found["SessionToken"],
            time.time(),
            found["Expiration"].timestamp(),
        )


class CloudWatchLogs:
    """PutLogEvents, where streams and missing groups are made when first written to; and what trimming needs."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._streams: set[tuple[str, str]] = set()

    async def put(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        """Write one batch."""
        await self._calls.run(functools.partial(self._put, group, stream, events))

    def _put(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        client = self._calls.client("logs")
        if (group, stream) not in self._streams:
            self._make(client, group, stream)
        batch = [{"timestamp": event.timestamp_ms, "message": event.message} for event in events]
        try:
            client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)
        except client.exceptions.ResourceNotFoundException:  # removed since, or the engine began anew
            self._make(client, group, stream)
            client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)

    def _make(self, client: Any, group: str, stream: str) -> None:
        exists = client.exceptions.ResourceAlreadyExistsException
        try:
            _unless(exists, client.create_log_stream, logGroupName=group, logStreamName=stream)
        except client.exceptions.ResourceNotFoundException:
            _unless(exists, client.create_log_group, logGroupName=group)
            _unless(exists, client.create_log_stream, logGroupName=group, logStreamName=stream)
        self._streams.add((group, stream))

    async def streams(self, group: str) -> Sequence[StreamSize]:
        """Every stream of a group; none where there is no such group."""

        def call() -> list[StreamSize]:
            client = self._calls.client("logs")
            try:
                return [
                    StreamSize(
                        each["logStreamName"], each.get("lastEventTimestamp", 0), each.get("storedBytes", 0)
                    )
                    for page in client.get_paginator("describe_log_streams").paginate(logGroupName=group)
                    for each in page["logStreams"]
                ]
            except client.exceptions.ResourceNotFoundException:
                return []

        return await self._calls.run(call)

    async def text(self, group: str, stream: str) -> str:
        """The first lines of a stream."""

        def call() -> str:
            answer = self._calls.client("logs").get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, limit=10
            )
            return "\n".join(event["message"] for event in answer["events"])

        return await self._calls.run(call)

    async def delete(self, group: str, stream: str) -> None:
        """Delete a stream, or do nothing where it is gone."""

        def call() -> None:
            client = self._calls.client("logs")
            gone = client.exceptions.ResourceNotFoundException
            _unless(gone, client.delete_log_stream, logGroupName=group, logStreamName=stream)

        self._streams.discard((group, stream))
        await self._calls.run(call)


def _unless(harmless: type[Exception], call: Callable[..., Any], **arguments: str) -> None:
    try:
        call(**arguments)
    except harmless:
        return


class Destinations:
    """SQS, SNS, EventBridge and S3, each with the function's role."""

    def __init__(self, calls: Calls, sessions: Callable[[str, str], Any]) -> None:
        self._calls = calls
        self._sessions = sessions
        self._clients: dict[tuple[str, str], Any] = {}

    async def deliver(self, delivery: Delivery) -> None:
        """Send one record."""
        service = delivery.target_arn.split(":")[2]
        senders = {"sqs": _to_sqs, "sns": _to_sns, "events": _to_bus, "s3": _to_bucket}
        if service not in senders:
            raise SystemFaultError(f"{delivery.target_arn} is no destination that Lambda supports")
        credentials: Credentials = await self._sessions(delivery.role_arn, delivery.session_name)
        key = (service, credentials.access_key_id)

        def call() -> None:
            client = self._clients.get(key)
            if client is None:
                if len(self._clients) >= _DESTINATION_CLIENTS_KEPT:
                    self._clients.clear()
                client = self._clients[key] = self._calls.client_as(service, credentials)
            senders[service](client, delivery)

        try:
            await self._calls.run(call)
        except ResourceNotFoundError as error:
            raise SystemFaultError(f"{delivery.target_arn} does not exist: {error}") from error


def _attributes(delivery: Delivery) -> dict[str, Any]:
    return {
        name: {"DataType": kind, "StringValue": value} for name, (kind, value) in delivery.attributes.items()
    }


def _to_sqs(client: Any, delivery: Delivery) -> None:
    account, queue = delivery.target_arn.split(":")[4:6]
    # asking for the URL would need sqs:GetQueueUrl, which Lambda does not ask of a function's role:
    # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    url = f"{client.meta.endpoint_url}/{account}/{queue}"
    client.send_message(QueueUrl=url, MessageBody=delivery.body, MessageAttributes=_attributes(delivery))


def _to_sns(client: Any, delivery: Delivery) -> None:
    client.publish(
        TopicArn=delivery.target_arn, Message=delivery.body, MessageAttributes=_attributes(delivery)
    )


def _to_bus(client: Any, delivery: Delivery) -> None:
    entry = {
        "Source": "lambda",
        "DetailType": delivery.detail_type,
        "Detail": delivery.body,
        "Resources": [delivery.target_arn, delivery.source_arn],
        "EventBusName": delivery.target_arn,
    }
    answer = client.put_events(Entries=[entry])
    if answer.get("FailedEntryCount"):
        raise SystemFaultError(
            f"{delivery.target_arn} refused the record: {answer['Entries'][0].get('ErrorMessage')}"
        )


def _to_bucket(client: Any, delivery: Delivery) -> None:
    import uuid

    now = datetime.now(UTC)
    key = f"aws/lambda/async/{delivery.session_name}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    bucket = delivery.target_arn.removeprefix("arn:aws:s3:::")
    client.put_object(Bucket=bucket, Key=key, Body=delivery.body.encode(), ContentType="application/json")
