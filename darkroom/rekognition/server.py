"""The service over HTTP, for a server that stands alone: by itself, or in a container.

Signatures are not checked here; in front of the embedded engine that is the gateway's work. What is refused
is every request that a web page could make somebody's browser send: a foreign Host, an Origin, a
Sec-Fetch-Site.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from darkroom.rekognition.control import CONTROL_HEADER, CONTROL_PREFIX
from darkroom.rekognition.wire import CONTENT_TYPE, Answer, encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from darkroom.rekognition.service import Rekognition

logger = logging.getLogger(__name__)

LOOPBACK_HOSTS = frozenset(("127.0.0.1", "localhost", "[::1]", "::1"))
_MOST_REQUEST_BYTES = 24 * 1024 * 1024
"""15 MB never come inline; 5 MB in Base64 with room to refuse somewhat larger ones in the service's words."""

Handler = "Callable[[web.Request], Awaitable[web.StreamResponse]]"


@dataclass(frozen=True, slots=True)
class Guard:
    """Which requests are answered at all.

    `allowed_hosts` are host names beside the loopback ones; ports do not matter.
    """

    allowed_hosts: frozenset[str] = frozenset()

    def refusal(self, request: web.BaseRequest) -> str:
        """Why a request is refused; empty when it is not."""
        host = _without_port(request.headers.get("Host", ""))
        if host.lower() not in LOOPBACK_HOSTS | self.allowed_hosts:
            return f"The host name {host!r} is not allowed. Allow it with --allow-host {host}."
        if "Origin" in request.headers:
            return "Requests of web pages are not answered."
        if request.headers.get("Sec-Fetch-Site", "none") != "none":
            return "Requests of web pages are not answered."
        return ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def make_app(rekognition: Rekognition, guard: Guard) -> web.Application:
    """The aiohttp application: ``POST /``, ``GET /health`` and the guarded control."""

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        reason = guard.refusal(request)
        if reason:
            return web.json_response({"message": reason}, status=403)
        return await handler(request)

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _response(_too_large())
        answer = await rekognition.answer(target=request.headers.get("X-Amz-Target", ""), body=body)
        if answer.disconnect and request.transport is not None:
            request.transport.abort()
        return _response(answer)

    async def control(request: web.Request) -> web.StreamResponse:
        # A header of one's own makes a browser ask first, and nobody answers that question.
        if CONTROL_HEADER not in request.headers:
            return web.json_response({"message": f"The header {CONTROL_HEADER} is missing."}, status=403)
        body = await request.read()
        return _response(await rekognition.control(path=request.path, method=request.method, body=body))

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "mode": rekognition.mode.value})

    app = web.Application(middlewares=[guarded], client_max_size=_MOST_REQUEST_BYTES)
    app.router.add_post("/", serve)
    app.router.add_get("/health", health)
    app.router.add_route("*", CONTROL_PREFIX + "{what}", control)
    app.on_response_prepare.append(_without_server_header)
    return app


async def _without_server_header(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def _too_large() -> Answer:
    body = encode({"__type": "RequestEntityTooLargeException", "message": "The request is too large"})
    return Answer(status=413, headers={"Content-Type": CONTENT_TYPE}, body=body)


async def run(rekognition: Rekognition, *, host: str, port: int, guard: Guard) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get up to a second to end.

    Raises:
        OSError: the port cannot be bound.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(rekognition, guard), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=512)
        await site.start()
        bound = runner.addresses[0][1] if port == 0 else port
        logger.info("%s", json.dumps({"ready": f"http://{host}:{bound}", "mode": rekognition.mode.value}))
        await stop.wait()
    finally:
        await runner.cleanup()
