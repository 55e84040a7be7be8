"""Passes the page's requests on to the engine's API Gateway.

Which API that is stands in ``stack.json``, which every deployment writes anew; so nothing is restarted by one.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from darkroom.engine.gateway.limits import Body, BodyError, BoundedServer, Limits
from darkroom.engine.gateway.refusals import Refusals
from darkroom.engine.gateway.upstream import UpstreamError
from darkroom.engine.page.guard import API, PageGuard

if TYPE_CHECKING:
    from pathlib import Path

    from multidict import CIMultiDict

    from darkroom.engine.gateway.guard import Refusal
    from darkroom.engine.gateway.upstream import Upstream

log = logging.getLogger("darkroom.page")

STAGE = "live"
"""The stage's name in the template."""
_API_ID = re.compile(r"[a-z0-9]{4,20}")
_BODY_BYTES = 10_000_000
"""API Gateway's limit for a request: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""
_KEPT_FILES = 100
_SIGN_IN = ("/oauth2/authorize", "/oauth2/token", "/oauth2/login", "/login", "/logout")
"""Cognito's sign-in pages: on AWS a host of their own, here under the page's."""
_STARTING = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
    "<title>Darkroom is starting</title><body><h1>Darkroom is starting</h1>"
    "<p>The stack is not deployed yet, or the engine is restarting. This page tries again by itself; "
    "<code>darkroom status</code> tells more.</p></body></html>"
)


@dataclass(frozen=True, slots=True)
class _Stack:
    """What a deployment says of its API."""

    api: str
    sign_in: bool


@dataclass(slots=True)
class PageServer:
    """The handler of the page's port.

    Attributes:
        guard: who may speak.
        engine: where API Gateway answers.
        stack: the file that names the API.
        limits: how much and how slowly a client may send.
        refusals: where a refusal is noted.
    """

    guard: PageGuard
    engine: Upstream
    stack: Path
    limits: Limits = field(default_factory=Limits)
    refusals: Refusals = field(default_factory=Refusals)
    _known: tuple[int, _Stack | None] = (0, None)
    _kept: dict[str, tuple[CIMultiDict[str], bytes]] = field(default_factory=dict)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, _, _ = request.raw_path.partition("?")
        if self.guard.wants_our_name(method=request.method, headers=request.headers):
            location = self.guard.origin + request.raw_path
            return web.Response(status=308, headers={"Location": location})
        refused = self.guard.refusal(method=request.method, path=path, headers=request.headers)
        if refused is not None:
            self.refusals.note(request, refused)
            return _problem(refused)
        stack = self._stack()
        if stack is None:
            return _starting(path)
        target = request.raw_path
        if request.method == "GET" and (kept := self._kept.get(target)):
            return web.Response(headers=kept[0], body=kept[1])
        if not (stack.sign_in and path in _SIGN_IN):
            target = f"/_aws/execute-api/{stack.api}/{STAGE}{target}"
        try:
            body = Body(request, limit_bytes=_BODY_BYTES, silence_s=self.limits.body_s)
            return self._keep(request, await self.engine.forward(request, body, path=target))
        except BodyError as error:
            return _answer(error.status, error.code, str(error))
        except UpstreamError as error:
            log.warning("%s %s: no answer: %s", request.method, path, error)
            return _starting(path)

    def _keep(self, request: web.BaseRequest, answer: web.StreamResponse) -> web.StreamResponse:
        """Keep what the function calls immutable, as a browser or a content delivery network does.

        A page asks for fourteen files at once; without this each would be an invocation.
        """
        if not isinstance(answer, web.Response) or (request.method, answer.status) != ("GET", 200):
            return answer
        if "immutable" not in answer.headers.get("Cache-Control", ""):
            return answer
        if isinstance(answer.body, bytes) and len(self._kept) < _KEPT_FILES:
            self._kept[request.raw_path] = (answer.headers.copy(), answer.body)
        return answer

    def _stack(self) -> _Stack | None:
        """The deployed API; None while there is none. The file is read again when it has changed."""
        try:
            changed_ns = self.stack.stat().st_mtime_ns
            if changed_ns != self._known[0]:
                found = json.loads(self.stack.read_text())
                api = str(found.get("api", ""))
                known = _Stack(api, bool(found.get("sign_in"))) if _API_ID.fullmatch(api) else None
                self._known = (changed_ns, known)
                self._kept.clear()  # the headers of the same files may be others now
        except (OSError, ValueError):
            return None
        return self._known[1]


async def serve_page(server: PageServer) -> web.ServerRunner:
    """Listen on the page's port of 127.0.0.1, until the runner is cleaned up.

    Raises:
        OSError: the port is taken.
    """
    runner = web.ServerRunner(BoundedServer(server.handle, server.limits))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", server.guard.port, backlog=256).start()
    return runner


def _starting(path: str) -> web.Response:
    if path.startswith(API + "/"):
        return _answer(503, "ServiceUnavailable", "The environment is starting; try again in a moment.")
    headers = {"Cache-Control": "no-store", "Retry-After": "2"}
    return web.Response(status=503, text=_STARTING, content_type="text/html", headers=headers)


def _problem(refused: Refusal) -> web.Response:
    return _answer(refused.status, refused.code, refused.message)


def _answer(status: int, code: str, message: str) -> web.Response:
    body = {"type": "about:blank", "title": message, "status": status, "code": code}
    return web.json_response(body, status=status, content_type="application/problem+json")
