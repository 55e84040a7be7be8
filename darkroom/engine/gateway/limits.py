"""How much a client may send, how slowly, and over how many connections.

::

    what                             limit                   answer
    request line, one header field   16 KiB                  400, before anything is read on
    header fields                    128                     400
    bodies that the gateway reads    16 MiB                  413, also while a chunked body is still coming
    other API calls                  256 MiB                 413, the same
    an S3 upload                     5 GiB, S3's own limit   413, the same
    silence before a whole header    75 s                    closed
    silence within a body            60 s                    408
    open connections                 512                     the next one is closed at once
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp.web_protocol import RequestHandler

_MIB = 1024 * 1024
_PIECE_BYTES = 256 * 1024
_LINGER_S = 2.0
"""How long a refused body is still read, so that its sender sees the answer and not a broken connection."""


@dataclass(frozen=True, slots=True)
class Limits:
    """See the module's table.

    Attributes:
        line_bytes: request line, or one header field; a presigned URL with a session token has about 2 KB.
        headers: number of header fields.
        read_bytes: body that the gateway reads whole: two images of 5 MB in base64 are 14 MB.
        call_bytes: body of any other API call; a Lambda package is at most 50 MB.
        upload_bytes: body of an S3 call, as S3 limits one PUT.
        header_s: until a request's header is complete; also how long an idle connection is kept.
        body_s: until the next piece of a body.
        connections: open at once.
    """

    line_bytes: int = 16 * 1024
    headers: int = 128
    read_bytes: int = 16 * _MIB
    call_bytes: int = 256 * _MIB
    upload_bytes: int = 5 * 1024 * _MIB
    header_s: float = 75.0
    body_s: float = 60.0
    connections: int = 512

    def body_bytes(self, service: str) -> int:
        """Largest body of a call to a service."""
        return self.upload_bytes if service == "s3" else self.call_bytes


class BodyError(Exception):
    """A body that is not taken.

    Attributes:
        status: HTTP status of the answer.
        code: AWS's error code.
    """

    status = 413
    code = "RequestEntityTooLarge"


class BodyTooLargeError(BodyError):
    """It has more bytes than the limit, whatever its header said."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body of this request is limited to {limit_bytes} bytes.")


class BodyStalledError(BodyError):
    """Nothing of it came for too long."""

    status = 408
    code = "RequestTimeout"

    def __init__(self, silence_s: float) -> None:
        super().__init__(f"Nothing of the request's body came for {silence_s:g} s.")


class Body:
    """A request's body, counted while it is read.

    Attributes:
        error: why reading it ended early. What reads it may only see that the other end of a stream broke.
    """

    def __init__(self, request: web.BaseRequest, *, limit_bytes: int, silence_s: float) -> None:
        """
        Raises:
            BodyTooLargeError: its header already says so.
        """
        if (request.content_length or 0) > limit_bytes:
            raise BodyTooLargeError(limit_bytes)
        self._request = request
        self._limit_bytes = limit_bytes
        self._silence_s = silence_s
        self.error: BodyError | None = None

    @property
    def exists(self) -> bool:
        return self._request.body_exists

    @property
    def length(self) -> int | None:
        """What the header says, None for a chunked body."""
        return self._request.content_length

    async def read(self) -> bytes:
        """All of it.

        Raises:
            BodyError: it is too large, or stalled.
        """
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Piece by piece, as it comes.

        Raises:
            BodyError: it is too large, or stalled.
        """
        count = 0
        content = self._request.content
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    piece = await content.readany()
            except TimeoutError:
                self.error = BodyStalledError(self._silence_s)
                raise self.error from None
            if not piece:
                return
            count += len(piece)
            if count > self._limit_bytes:
                self.error = BodyTooLargeError(self._limit_bytes)
                raise self.error
            yield piece


class BoundedServer(web.Server):
    """aiohttp's low-level server with our limits."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], limits: Limits
    ) -> None:
        super().__init__(
            handler,
            access_log=None,
            max_line_size=limits.line_bytes,
            max_field_size=limits.line_bytes,
            max_headers=limits.headers,
            keepalive_timeout=limits.header_s,
            lingering_time=_LINGER_S,
            read_bufsize=_PIECE_BYTES,
            auto_decompress=False,  # a body passes as it is signed, `Content-Encoding: gzip` or not
        )
        self._limit = limits.connections

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > self._limit:
            transport.abort()
