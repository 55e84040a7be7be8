"""Streaming requests through to the engine, over its Unix socket.

What the client sent arrives unchanged, because its signature covers it; only hop-by-hop headers are dropped and
forwarding headers replaced. ``X-Forwarded-Proto: https`` is ours to say: the bucket's policy demands TLS as on AWS,
and loopback is as private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from darkroom.engine.gateway.forms import UploadForm
    from darkroom.engine.gateway.limits import Body

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
    )
)
"""RFC 9110 section 7.6.1; `Expect` is answered here."""
_FORWARDED = frozenset(
    ("forwarded", "x-forwarded-proto", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port")
)
_WHOLE_BYTES = 1_000_000
"""Bodies up to this are passed in one piece: cheaper than a stream."""
_SKIPPED = ("User-Agent", "Content-Type", "Accept", "Accept-Encoding")
"""Headers that aiohttp would add by itself."""


class UpstreamError(Exception):
    """The other end of a Unix socket does not answer."""


class Upstream:
    """An HTTP server behind a Unix socket, or at an address of this machine.

    Args:
        where: the socket, or an address such as `http://127.0.0.1:4566`.
        connections: how many at once.
    """

    def __init__(self, where: Path | str, *, connections: int = 64) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        connector: aiohttp.BaseConnector
        if isinstance(where, str):
            self._address = where.rstrip("/")
            connector = aiohttp.TCPConnector(limit=connections)
        else:
            self._address = "http://engine"
            connector = aiohttp.UnixConnector(str(where), limit=connections)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)

    async def close(self) -> None:
        await self._session.close()

    async def forward(
        self,
        request: web.BaseRequest,
        body: Body | UploadForm,
        *,
        path: str | None = None,
        added: Mapping[str, str] | None = None,
    ) -> web.StreamResponse:
        """Pass a request on and stream its answer back.

        Args:
            request: as it came.
            body: its body, not yet read.
            path: raw path and query to use instead of the request's own.
            added: headers for the answer, in the place of its own of these names.

        Raises:
            UpstreamError: nobody answers at the socket.
            BodyError: the body is too large, or stalled.
        """
        try:
            return await self._stream(request, path or request.raw_path, await _body_of(body), added or {})
        except UpstreamError:
            if body.error is not None:  # we broke off, the other end did not
                raise body.error from None
            raise

    async def _stream(
        self,
        request: web.BaseRequest,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        added: Mapping[str, str],
    ) -> web.StreamResponse:
        async with self._send(request, path, body) as answer:
            length = answer.content_length
            headers = _answer_headers(answer)
            for name, value in added.items():
                headers[name] = value
            if request.method == "HEAD" or (length is not None and length <= _WHOLE_BYTES):
                body = None if request.method == "HEAD" else await answer.read()
                return web.Response(status=answer.status, headers=headers, body=body)
            response = web.StreamResponse(status=answer.status, headers=headers)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def exchange(
        self,
        request: web.BaseRequest,
        body: bytes,
        *,
        path: str | None = None,
        authorization: str | None = None,
    ) -> tuple[web.Response, bytes]:
        """The same for a body that was read already. Returns the answer and its body.

        Args:
            request: as it came.
            body: its body.
            path: raw path and query to use instead of the request's own.
            authorization: to use instead of the request's own.

        Raises:
            UpstreamError: nobody answers at the socket.
        """
        async with self._send(request, path or request.raw_path, body or None, authorization) as answer:
            content = await answer.read()
            return web.Response(status=answer.status, headers=_answer_headers(answer), body=content), content

    def _send(
        self,
        request: web.BaseRequest,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        authorization: str | None = None,
    ) -> _Answer:
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in request.headers.items():
            if name.lower() not in _HOP_BY_HOP and name.lower() not in _FORWARDED:
                headers.add(name, value)
        headers["X-Forwarded-Proto"] = "https"
        headers.pop("Transfer-Encoding", None)
        if authorization is not None:
            headers["Authorization"] = authorization
        return _Answer(
            self._session.request(
                request.method,
                URL(self._address + path, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=_SKIPPED,
            )
        )


class _Answer:
    """An aiohttp request whose connection failures become one error of ours."""

    def __init__(self, manager: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> None:
        self._manager = manager

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            return await self._manager.__aenter__()
        except (aiohttp.ClientConnectionError, OSError, TimeoutError) as error:
            raise UpstreamError(str(error)) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._manager.__aexit__(kind, error, trace)


async def _body_of(body: Body | UploadForm) -> bytes | AsyncIterator[bytes] | None:
    if not body.exists:
        return None
    if body.length is not None and body.length <= _WHOLE_BYTES:
        return await body.read()
    return body.pieces()


def _answer_headers(answer: aiohttp.ClientResponse) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in answer.headers.items():
        if name.lower() not in _HOP_BY_HOP and name.lower() != "transfer-encoding":
            headers.add(name, value)
    return headers
