"""The runtime's own HTTP interface, on a Unix socket.

    POST /invocations/{name}   Invoke (the gateway has checked who calls and whether they may)
    POST /events               an event of the engine's proxy seam
    POST /refresh              forget what is cached: something was deployed; `?warm=NAME` makes a worker ready
    POST /trials               a package in the body: does each `?function=NAME` come up with it? Nothing changes yet
    GET  /status               what `darkroom status` shows

Invoke follows https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import os
import re
import time
import uuid
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from darkroom.runtime import faults, memory, names, shapes
from darkroom.runtime.errors import (
    ApiError,
    InvalidParameterValueError,
    InvalidRequestContentError,
    QueueError,
    RequestTooLargeError,
    ResourceNotFoundError,
    RuntimeFaultError,
    ServiceFailureError,
    SystemFaultError,
)
from darkroom.runtime.model import FunctionConfig, Invocation, Outcome
from darkroom.runtime.queue import DurableQueue, QueuedEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.runtime.asynchronous import AsynchronousInvoker
    from darkroom.runtime.functions import Functions
    from darkroom.runtime.logs import LogShipper
    from darkroom.runtime.pool import Pool

_log = logging.getLogger(__name__)
MAXIMUM_SYNCHRONOUS_BYTES = 6 * 1024 * 1024
"""API_Invoke: "For synchronous invocations, the maximum payload size is 6 MB. For asynchronous invocations,
the maximum payload size is 1 MB" (256 KB until October 2025)."""
MAXIMUM_ASYNCHRONOUS_BYTES = 1024 * 1024
MAXIMUM_CLIENT_CONTEXT_BYTES = 3583
_JSON = "application/json"
_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}")  # part of a path of the Runtime API


class RuntimeServer:
    """The handlers of the interface."""

    def __init__(
        self,
        functions: Functions,
        pool: Pool,
        asynchronous: AsynchronousInvoker,
        queue: DurableQueue,
        logs: LogShipper,
    ) -> None:
        self._functions = functions
        self._pool = pool
        self._asynchronous = asynchronous
        self._queue = queue
        self._logs = logs
        self._background: set[asyncio.Task[None]] = set()

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=MAXIMUM_SYNCHRONOUS_BYTES + 1)
        application.router.add_post("/events", self._events)
        application.router.add_post("/invocations/{name}", self._invoke)
        application.router.add_post("/refresh", self._refresh)
        application.router.add_post("/trials", self._try)
        application.router.add_get("/status", self._status)
        return application

    # --- Invoke ---

    async def _invoke(self, request: web.Request) -> web.Response:
        request_id = str(uuid.uuid4())
        try:
            answer = await self._invoke_as(request, request_id)
        except ApiError as error:
            answer = _error_answer(error)
        except QueueError as error:
            answer = _error_answer(ServiceFailureError(str(error)))
        except SystemFaultError as error:
            _log.warning("an invocation could not be run: %s", error)
            answer = _error_answer(ServiceFailureError(str(error)))
        answer.headers["x-amzn-RequestId"] = request_id
        return answer

    async def _invoke_as(self, request: web.Request, request_id: str) -> web.Response:
        kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind not in ("RequestResponse", "Event", "DryRun"):
            raise InvalidParameterValueError(
                f"{kind!r} is no invocation type: RequestResponse, Event or DryRun"
            )
        target = names.parse(request.match_info["name"], request.query.get("Qualifier", ""))
        limit = MAXIMUM_ASYNCHRONOUS_BYTES if kind == "Event" else MAXIMUM_SYNCHRONOUS_BYTES
        payload = await _body(request, limit)
        config = await self._config(target)
        if kind == "DryRun":
            return web.Response(status=HTTPStatus.NO_CONTENT)
        _check_json(payload)
        trace_id = request.headers.get("X-Amzn-Trace-Id", "")
        if kind == "Event":
            event = QueuedEvent(request_id, config.name, target.qualifier, config.arn, payload, trace_id)
            await self._asynchronous.accept(event)
            return web.Response(status=HTTPStatus.ACCEPTED)
        context = _client_context(request.headers.get("X-Amz-Client-Context", ""))
        arn = names.qualified_arn(config.arn, target.qualifier)
        invocation = Invocation(request_id, payload, arn, trace_id, context)
        outcome = await self._pool.run(config, invocation, urgent=True)
        return _result(outcome, with_log=request.headers.get("X-Amz-Log-Type") == "Tail")

    async def _config(self, target: names.FunctionName) -> FunctionConfig:
        try:
            return await self._functions.config(target.name, target.qualifier, fresh=True)
        except ResourceNotFoundError as error:
            raise ResourceNotFoundError(str(error) or f"Function not found: {target.name}") from error

    # --- the engine's seam ---

    async def _events(self, request: web.Request) -> web.Response:
        headers = request.headers
        try:
            target = names.parse(
                headers.get("X-Amzn-Lambda-Function-Arn") or headers["X-Amzn-Lambda-Function-Name"]
            )
        except (KeyError, ApiError):
            return _seam_failure(HTTPStatus.BAD_REQUEST, "InvalidRequest", "the request names no function")
        payload = await request.read()
        try:
            event = json.loads(payload)
        except ValueError:
            return _seam_failure(
                HTTPStatus.BAD_REQUEST, "InvalidRequestContentException", "the event is not JSON"
            )
        given_id = headers.get("X-Amzn-Lambda-Request-Id", "")
        request_id = given_id if _REQUEST_ID.fullmatch(given_id) else str(uuid.uuid4())
        trace_id = headers.get("X-Amzn-Trace-Id", "")
        if shapes.is_asynchronous(event):
            return await self._accept(target, headers, request_id, payload, trace_id)
        deadline_ms = headers.get("X-Amzn-Lambda-Deadline-Ms", "")
        wait_s = float(deadline_ms) / 1000 - time.time() if deadline_ms.isdigit() else None
        return await self._answer(target, Invocation(request_id, payload, "", trace_id), wait_s)

    async def _accept(
        self,
        target: names.FunctionName,
        headers: Mapping[str, str],
        request_id: str,
        payload: bytes,
        trace_id: str,
    ) -> web.Response:
        arn = headers.get("X-Amzn-Lambda-Function-Arn", "").removesuffix(f":{target.qualifier}")
        event = QueuedEvent(
            request_id,
            target.name,
            target.qualifier,
            arn,
            payload,
            trace_id,
            guess_alias=not target.qualifier,
        )
        try:
            await self._asynchronous.accept(event)
        except QueueError as error:
            return _seam_failure(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceException", str(error))
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def _answer(
        self, target: names.FunctionName, invocation: Invocation, wait_limit_s: float | None
    ) -> web.Response:
        """Run it while the engine waits; after its deadline nobody listens, so a call that still waits is let go."""
        try:
            config = await self._functions.config(target.name, target.qualifier)
            arn = names.qualified_arn(config.arn, target.qualifier)
            invocation = replace(invocation, function_arn=arn)
            outcome = await self._pool.run(config, invocation, urgent=True, wait_limit_s=wait_limit_s)
        except ApiError as error:
            return _seam_failure(HTTPStatus(error.status), error.code, str(error))
        except RuntimeFaultError as error:
            return _seam_failure(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceException", str(error))
        status = HTTPStatus.INTERNAL_SERVER_ERROR if outcome.failed else HTTPStatus.OK
        return web.Response(status=status, body=outcome.payload, content_type=_JSON)

    # --- the environment's own ---

    async def _refresh(self, request: web.Request) -> web.Response:
        self._functions.refresh()
        if request.query.get("credentials") == "drop":
            self._pool.drop_credentials()
        for name in {*request.query.getall("warm", []), *(name for name, _ in self._pool.used_functions())}:
            task = asyncio.create_task(self._prepare(name))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return web.json_response({})

    async def _prepare(self, name: str) -> None:
        try:
            self._pool.prepare(await self._functions.config(name, ""))
        except RuntimeFaultError as error:
            _log.warning("%s could not be made ready: %s", name, error)

    async def _try(self, request: web.Request) -> web.Response:
        package = await request.content.read()
        try:
            configs = [
                await self._functions.config(name, "", fresh=True)
                for name in request.query.getall("function", [])
            ]
            failed = await self._pool.try_code(configs, package)
        except RuntimeFaultError as error:
            return _seam_failure(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceException", str(error))
        described = {name: faults.described(why.document, why.error_type) for name, why in failed.items()}
        return web.json_response({"failed": described})

    async def _status(self, _: web.Request) -> web.Response:
        queue: dict[str, Any] = {
            **self._asynchronous.status(),
            "dead": await self._queue.count_dead(),
            "lastDead": (await self._queue.dead())[:10],
            "commits": self._queue.commits,
        }
        lanes = self._pool.status()
        workers_bytes = sum(worker["memoryBytes"] for lane in lanes.values() for worker in lane["workers"])
        own_bytes = memory.resident_bytes(os.getpid())
        return web.json_response(
            {
                "pid": os.getpid(),
                "functions": lanes,
                "queue": queue,
                "memory": {"runtimeBytes": own_bytes, "workersBytes": workers_bytes},
                "logs": {"linesLost": self._logs.lost},
                "workers": self._pool.limits.workers,
            }
        )


async def _body(request: web.Request, limit: int) -> bytes:
    try:
        payload = await request.read()
    except web.HTTPRequestEntityTooLarge:
        payload = None
    if payload is None or len(payload) > limit:
        raise RequestTooLargeError(
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        )
    return payload or b"{}"


def _check_json(payload: bytes) -> None:
    try:
        json.loads(payload)
    except ValueError as error:
        raise InvalidRequestContentError(f"Could not parse request body into json: {error}") from error


def _client_context(header: str) -> str:
    """Base64 of JSON, at most 3,583 bytes; as ASCII JSON for a header of the Runtime API."""
    if not header:
        return ""
    if len(header) > MAXIMUM_CLIENT_CONTEXT_BYTES:
        raise InvalidRequestContentError(
            f"Client context must be no longer than {MAXIMUM_CLIENT_CONTEXT_BYTES} bytes"
        )
    try:
        return json.dumps(json.loads(base64.b64decode(header, validate=True)))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestContentError(
            "Client context must be a valid Base64-encoded JSON object."
        ) from error


def _result(outcome: Outcome, *, with_log: bool) -> web.Response:
    headers = {"X-Amz-Executed-Version": outcome.version}
    if outcome.failed:
        headers["X-Amz-Function-Error"] = "Unhandled"
    if with_log:
        headers["X-Amz-Log-Result"] = base64.b64encode(outcome.log_tail).decode()
    return web.Response(body=outcome.payload, headers=headers, content_type=_JSON)


def _error_answer(error: ApiError) -> web.Response:
    headers = {"X-Amzn-ErrorType": error.code}
    return web.Response(status=error.status, body=error.body(), headers=headers, content_type=_JSON)


def _seam_failure(status: HTTPStatus, kind: str, message: str) -> web.Response:
    body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
    return web.Response(status=status, body=body, content_type=_JSON)
