"""The gateway's request path: guard, own answers, everything else through."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from aiohttp import web

from darkroom.engine.gateway import answers
from darkroom.engine.gateway.guard import MAX_BODY_BYTES, Caller, Guard, Refusal
from darkroom.engine.gateway.keyring import Keyring
from darkroom.engine.gateway.sigv4 import Secret, SignatureError, verify
from darkroom.engine.gateway.upstream import Upstream, UpstreamError
from darkroom.engine.internal import root_authorization
from darkroom.errors import EngineError

if TYPE_CHECKING:
    from darkroom.engine.gateway.permissions import Permissions
    from darkroom.rekognition import Rekognition

log = logging.getLogger("darkroom.gateway")

_REKOGNITION = "RekognitionService."
_INVOKE = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations$")
_POLICY_SERVICES = frozenset(("iam", "cloudformation", "sts"))
"""Calls to these may change what a principal may do."""
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything that a request may need.

    Attributes:
        guard: who may speak.
        engine: ministack.
        runtime: the Lambda runtime.
        rekognition: the local Rekognition.
        keyring: known keys.
        permissions: the engine's IAM, asked.
        events_path: where the engine delivers events; secret.
        credentials_path: where the runtime gets the credentials of functions' roles; secret.
        root_key: the engine's root; secret.
        account: the environment's account id.
        region: the environment's region.
    """

    guard: Guard
    engine: Upstream
    runtime: Upstream
    rekognition: Rekognition
    keyring: Keyring
    permissions: Permissions
    events_path: str
    credentials_path: str
    root_key: str
    account: str
    region: str

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever happens, the client gets an answer that it can read."""
        try:
            return await self._answer(request)
        except UpstreamError as error:
            log.warning("%s %s: no answer: %s", request.method, request.path, error)
            return answers.refusal(request, answers.unavailable("A part of the environment"))
        except ConnectionResetError:
            raise  # the client has gone; aiohttp knows what to do
        except EngineError as error:
            log.warning("%s %s: %s", request.method, request.path, error)
            return answers.refusal(request, answers.unavailable("The engine"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        refused = self.guard.from_browser(request.headers)
        if refused is not None:
            return answers.refusal(request, refused)
        if request.path.startswith("/_darkroom/"):
            return await self._internal(request)
        caller = self.guard.caller(path=request.path, query=request.query_string, headers=request.headers)
        if isinstance(caller, Refusal):
            return answers.refusal(request, caller)
        if caller.service != "s3" and (request.content_length or 0) > MAX_BODY_BYTES:
            too_large = Refusal("RequestEntityTooLarge", f"An API call of over {MAX_BODY_BYTES} bytes.", 413)
            return answers.refusal(request, too_large)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # an interim answer is none yet
        return await self._route(request, caller)

    async def _route(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        target = request.headers.get("X-Amz-Target", "")
        if target.startswith(_REKOGNITION):
            return await self._rekognition(request, target)
        if request.method == "POST" and (found := _INVOKE.match(request.path)):
            return await self._invoke(request, unquote(found.group(1)))
        if caller.service in _POLICY_SERVICES:
            return await self._policy_call(request)
        return await self.engine.forward(request)

    async def _internal(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/_darkroom/health":
            return web.json_response({"status": "ok"})
        if request.path == self.events_path and request.method == "POST":
            return await self.runtime.forward(request, path="/events")
        if request.path.rstrip("/") == self.credentials_path and request.method == "POST":
            return await self._role_credentials(request)
        return answers.refusal(request, Refusal("AccessDenied", "There is nothing here.", 404))

    async def _role_credentials(self, request: web.BaseRequest) -> web.Response:
        """AssumeRole for the runtime, which acts for the Lambda service: a role of a function trusts only that."""
        body = await request.read()
        if parse_qs(body.decode("ascii", "replace")).get("Action") != ["AssumeRole"]:
            return answers.refusal(request, Refusal("AccessDenied", "Only AssumeRole is answered here."))
        root = root_authorization(root_key=self.root_key, region=self.region, service="sts")
        answer, content = await self.engine.exchange(request, body, path="/", authorization=root)
        if answer.status == 200:
            self.keyring.learn(request=body, answer=content, account=self.account)
        return answer

    async def _policy_call(self, request: web.BaseRequest) -> web.Response:
        """IAM, STS and CloudFormation: read on the way through, for keys handed out and policies changed."""
        body = await request.read()
        answer, content = await self.engine.exchange(request, body)
        if answer.status == 200 and Keyring.hands_out(body):
            self.keyring.learn(request=body, answer=content, account=self.account)
        self.permissions.forget()
        return answer

    async def _rekognition(self, request: web.BaseRequest, target: str) -> web.Response:
        body = await request.read()
        operation = target.removeprefix(_REKOGNITION)
        try:
            await self._authorize(request, body, action=f"rekognition:{operation}", resource="*")
        except SignatureError as error:
            return answers.rekognition_error(error.code, str(error))
        answer = await self.rekognition.answer(target=target, body=body)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _invoke(self, request: web.BaseRequest, function: str) -> web.StreamResponse:
        body = await request.read()
        name = function.split(":function:")[-1].split(":")[0]
        resource = f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"
        try:
            await self._authorize(request, body, action="lambda:InvokeFunction", resource=resource)
        except SignatureError as error:
            return answers.refusal(request, Refusal(error.code, str(error)))
        query = f"?{request.query_string}" if request.query_string else ""
        raw_name = request.raw_path.split("/functions/", 1)[1].split("/invocations", 1)[0]
        answer, _ = await self.runtime.exchange(request, body, path=f"/invocations/{raw_name}{query}")
        return answer

    async def _authorize(
        self, request: web.BaseRequest, body: bytes, *, action: str, resource: str
    ) -> Secret:
        """Check signature and policy of a call that the gateway answers itself.

        Raises:
            SignatureError: also with AccessDeniedException, when the policies do not allow it.
        """
        headers = {name: value for name, value in request.headers.items()}  # noqa: C416 (a CIMultiDict is not a dict)
        url = f"http://{request.headers['Host']}{request.raw_path}"
        secret = verify(
            method=request.method,
            url=url,
            headers=headers,
            body=body,
            secrets=self.keyring,
            now=datetime.now(UTC),
        )
        if not await self.permissions.allows(principal=secret.principal, action=action, resource=resource):
            raise SignatureError(
                "AccessDeniedException",
                f"User: {secret.principal} is not authorized to perform: {action} because no identity-based policy "
                f"allows the {action} action",
            )
        return secret
