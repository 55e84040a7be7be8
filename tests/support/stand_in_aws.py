"""A second local Rekognition that stands in for AWS, so that whatever asks real AWS is tested over the wire.

It knows the secrets of a few keys and refuses every other signature, answers GetCallerIdentity, takes its answers from
fixtures of its own, and drifts, throttles, fails, hangs or answers something else when a test says so.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from darkroom.engine.gateway.sigv4 import Secret, SignatureError, verify
from darkroom.rekognition import Rekognition, SourceUnavailableError
from darkroom.rekognition.faults import read_plan
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCOUNT = "123456789012"
KEY = "AKIAREALDEVELOPERKEY"
SECRET = "real-secret-of-the-developer-0123456789"
SESSION_KEY = "ASIAREALSESSIONKEY01"
SESSION_SECRET = "real-secret-of-a-session-0123456789ab"
SESSION_TOKEN = "real-session-token-0123456789"
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/Developer/ada"
SECRETS = (KEY, SECRET, SESSION_KEY, SESSION_SECRET, SESSION_TOKEN)
"""What must never be written anywhere."""

_IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AROAEXAMPLE:ada</UserId><Account>{account}</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""

_STS_ERROR = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"""
_STS_CODES = {
    "ExpiredTokenException": "ExpiredToken",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "UnrecognizedClientException": "InvalidClientTokenId",
}


class _NoObjects:
    """AWS reads no object of this machine: an S3Object that reaches it is a mistake."""

    async def fetch(self, *, bucket: str, key: str, version: str | None, limit_bytes: int) -> bytes:
        raise SourceUnavailableError(
            f"s3://{bucket}/{key} ({version}, {limit_bytes}) was asked of the stand-in"
        )


@dataclass(slots=True)
class StandIn:
    """What a test sees of it, and tells it.

    Attributes:
        endpoint: where it answers.
        rekognition: the instance behind it; `faults` throttles.
        calls: the operation of each call that was answered with 200.
        seen: everything that came in: headers and body of each request, as text.
        drift: changes an answer before it is sent.
        error: (status, code, message) of an answer to everything.
        delay_s: how long an answer takes.
        is_hanging: a request is read and never answered.
        session_ends: when the session's token expires, seconds since 1970.
    """

    endpoint: str
    rekognition: Rekognition
    calls: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    drift: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None
    error: tuple[int, str, str] | None = None
    delay_s: float = 0.0
    is_hanging: bool = False
    session_ends: float = 0.0
    regions: set[str] = field(default_factory=set)

    def throttle(self, **fault: Any) -> None:
        """Let calls be refused as the account's rate limit does."""
        self.rekognition.faults.use(read_plan({"faults": [{"kind": "throughput", **fault}]}))

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = dict(request.headers)
        self.seen.append(f"{headers}\n{body.decode('latin-1')}")
        try:
            self._check(request, headers, body)
        except SignatureError as error:
            said = f"{error} ({ROLE})"
            if b"GetCallerIdentity" in body:
                text = _STS_ERROR.format(code=_STS_CODES.get(error.code, error.code), message=said)
                return web.Response(status=403, text=text, content_type="text/xml")
            return _json(400, {"__type": error.code, "message": said})
        if b"GetCallerIdentity" in body:
            text = _IDENTITY.format(arn=ROLE, account=ACCOUNT)
            return web.Response(text=text, content_type="text/xml")
        target = headers.get("X-Amz-Target", "")
        if self.is_hanging:
            await asyncio.sleep(3600)
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            status, code, message = self.error
            return _json(status, {"__type": code, "Code": code, "Message": message})
        return await self._rekognition(target, body)

    async def _rekognition(self, target: str, body: bytes) -> web.Response:
        operation = target.partition(".")[2]
        answer = await self.rekognition.answer(target=target, body=body)
        if answer.status != 200:
            return web.Response(
                status=answer.status, body=answer.body, content_type="application/x-amz-json-1.1"
            )
        self.calls.append(operation)
        document = json.loads(answer.body)
        return _json(200, self.drift(operation, document) if self.drift else document)

    def _check(self, request: web.Request, headers: dict[str, str], body: bytes) -> None:
        found = headers.get("Authorization", "").partition("/")[2].split("/")
        if len(found) > 1:
            self.regions.add(found[1])
        verify(
            method=request.method,
            url=f"http://{headers['Host']}{request.raw_path}",
            headers=headers,
            body=body,
            secrets={
                KEY: Secret(SECRET, "", ROLE),
                SESSION_KEY: Secret(
                    SESSION_SECRET, SESSION_TOKEN, ROLE, self.session_ends or time.time() + 900
                ),
            },
            now=datetime.now(UTC),
        )


def _json(status: int, document: dict[str, Any]) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(document).encode(), content_type="application/x-amz-json-1.1"
    )


def _app(aws: StandIn) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        return await aws.answer(request)

    app = web.Application(client_max_size=24 * 1024 * 1024)
    app.router.add_post("/", answer)
    return app


@contextmanager
def stand_in_aws(fixtures: Path) -> Iterator[StandIn]:
    """One that answers from these fixtures until the end of the block."""
    rekognition = Rekognition(fixtures=fixtures, source=_NoObjects())
    aws = StandIn("", rekognition)
    try:
        with serving(_app(aws)) as endpoint:
            aws.endpoint = endpoint
            yield aws
    finally:
        rekognition.close()


if __name__ == "__main__":  # in a container: python -m tests.support.stand_in_aws HOST PORT FIXTURES
    web.run_app(
        _app(StandIn("", Rekognition(fixtures=Path(sys.argv[3]), source=_NoObjects()))),
        host=sys.argv[1],
        port=int(sys.argv[2]),
    )
