"""The Runtime API of one worker: what awslambdaric asks for work and gives results to.

Source: "Using the Lambda runtime API for custom runtimes"
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).

Each worker has a port of its own on the loopback device, which tells workers apart and lets go of one at
once. A web page could reach that port too (DNS rebinding, forms): a request whose Host is another or that a
browser marks is refused before its path is read.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.runtime.model import Invocation

PREFIX = "/2018-06-01/runtime/"
MAXIMUM_RESPONSE_BYTES = 6 * 1024 * 1024 + 100  # "Exceeded maximum allowed payload size (6291556 bytes)"
_ACCEPTED = b'{"status":"OK"}\n'
_BROWSER_HEADERS = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Referer")


class RuntimeSide(Protocol):
    """What the Runtime API needs of a worker."""

    async def next_invocation(self) -> tuple[Invocation, int]:
        """Wait for work: the invocation and its deadline in milliseconds since 1970."""

    def respond(self, request_id: str, payload: bytes) -> bool:
        """Take a result; False when nothing with this id runs here."""

    def fail(self, request_id: str, document: bytes) -> bool:
        """Take the error document of an invocation."""

    def fail_init(self, document: bytes) -> None:
        """Take the error document of the init phase."""

    def respond_too_large(self, request_id: str, size_bytes: int) -> bool:
        """A result was larger than Lambda passes on."""


class RuntimeApi:
    """Serves one worker on 127.0.0.1; `address` is the value of AWS_LAMBDA_RUNTIME_API."""

    def __init__(self, side: RuntimeSide) -> None:
        self._side = side
        self._web = web.Server(self._handle, access_log=None)
        self._server: asyncio.Server | None = None
        self.address = ""

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._web, "127.0.0.1", 0, backlog=16)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Let the port go and end what waits."""
        if self._server is not None:
            self._server.close()
            await self._web.shutdown(timeout=0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = request.headers
        if headers.get("Host") != self.address or any(name in headers for name in _BROWSER_HEADERS):
            return _error(HTTPStatus.FORBIDDEN, "Forbidden", "only the function's own runtime may ask here")
        parts = request.path.removeprefix(PREFIX).split("/")
        if request.method == "GET" and parts == ["invocation", "next"]:
            return await self._next()
        if request.method == "POST" and parts == ["init", "error"]:
            self._side.fail_init(await request.content.read())
            return _accepted()
        if request.method == "POST" and len(parts) == 3 and parts[0] == "invocation":
            return await self._result(request, parts[1], parts[2])
        return _error(
            HTTPStatus.NOT_FOUND, "NotFound", f"the Runtime API has no {request.method} {request.path}"
        )

    async def _next(self) -> web.StreamResponse:
        invocation, deadline_ms = await self._side.next_invocation()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
        }
        if invocation.trace_id:
            headers["Lambda-Runtime-Trace-Id"] = invocation.trace_id
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        if invocation.cognito_identity:
            headers["Lambda-Runtime-Cognito-Identity"] = invocation.cognito_identity
        return web.Response(body=invocation.payload, headers=headers, content_type="application/json")

    async def _result(self, request: web.BaseRequest, request_id: str, kind: str) -> web.StreamResponse:
        size_bytes = request.content_length or 0
        if kind == "response" and size_bytes > MAXIMUM_RESPONSE_BYTES:
            self._side.respond_too_large(request_id, size_bytes)
            async for _ in request.content.iter_chunked(1 << 20):
                pass
            return _error(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "RequestEntityTooLarge",
                "Exceeded maximum allowed payload size",
            )
        takers: dict[str, Callable[[str, bytes], bool]] = {
            "response": self._side.respond,
            "error": self._side.fail,
        }
        if kind not in takers:
            return _error(HTTPStatus.NOT_FOUND, "NotFound", f"the Runtime API has no {request.path}")
        if not takers[kind](request_id, await request.content.read()):
            return _error(HTTPStatus.BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
        return _accepted()


def _accepted() -> web.Response:
    return web.Response(status=HTTPStatus.ACCEPTED, body=_ACCEPTED, content_type="application/json")


def _error(status: HTTPStatus, kind: str, message: str) -> web.Response:
    body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
    return web.Response(status=status, body=body, content_type="application/json")
