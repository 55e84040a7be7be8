"""The gateway's request path: guard, own answers, everything else through."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from aiohttp import web

from darkroom.engine.gateway import answers
from darkroom.engine.gateway.forms import UploadForm
from darkroom.engine.gateway.guard import Caller, Guard, Refusal
from darkroom.engine.gateway.keyring import Keyring
from darkroom.engine.gateway.limits import Body, BodyError, Limits
from darkroom.engine.gateway.refusals import Refusals
from darkroom.engine.gateway.sigv4 import Secret, SignatureError, verify
from darkroom.engine.gateway.upstream import Upstream, UpstreamError
from darkroom.engine.internal import root_authorization
from darkroom.errors import EngineError
from darkroom.rekognition.control import CONTROL_HEADER, CONTROL_PREFIX

if TYPE_CHECKING:
    from darkroom.engine.gateway.permissions import Permissions
    from darkroom.engine.gateway.space import Space
    from darkroom.rekognition import Rekognition

log = logging.getLogger("darkroom.gateway")

_REKOGNITION = "RekognitionService."
_INVOKE = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations$")
_POLICY_SERVICES = frozenset(("iam", "cloudformation", "sts"))
"""Calls to these may change what a principal may do."""
_INERT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
"""On what presigned URLs show: bytes that somebody uploaded must not run as a page of this machine."""
_FORM = Caller("upload form", "s3")
"""Who uploads by a form, for the watch on the disk: a person, though the key is a function's."""
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _equal(given: str, secret: str) -> bool:
    """Compared in a time that tells nothing of the secret."""
    return compare_digest(given.encode(errors="replace"), secret.encode())


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
        control_token: what a header must hold to read or set Rekognition's faults and mode; secret.
        root_key: the engine's root; secret.
        account: the environment's account id.
        region: the environment's region.
        limits: how much and how slowly a client may send.
        refusals: where a refusal is noted.
        space: the disk, watched; None does not watch it.
    """

    guard: Guard
    engine: Upstream
    runtime: Upstream
    rekognition: Rekognition
    keyring: Keyring
    permissions: Permissions
    events_path: str
    credentials_path: str
    control_token: str
    root_key: str
    account: str
    region: str
    limits: Limits = field(default_factory=Limits)
    refusals: Refusals = field(default_factory=Refusals)
    space: Space | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever happens, the client gets an answer that it can read."""
        try:
            return await self._answer(request)
        except BodyError as error:
            return self._refuse(request, Refusal(error.code, str(error), error.status))
        except UpstreamError as error:
            log.warning("%s %s: no answer: %s", request.method, request.path, error)
            unavailable = answers.unavailable("A part of the environment")
            return self._for_page(request, answers.refusal(request, unavailable))
        except ConnectionResetError:
            raise  # the client has gone; aiohttp knows what to do
        except EngineError as error:
            log.warning("%s %s: %s", request.method, request.path, error)
            return answers.refusal(request, answers.unavailable("The engine"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        guard = self.guard
        refused = guard.form(method=request.method, target=request.raw_path, headers=request.headers.items())
        refused = refused or guard.from_browser(request.headers)
        if refused is not None:
            return self._refuse(request, refused)
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/_darkroom/"):
            return await self._internal(request)
        if (answer := await self._without_signature(request, path, query)) is not None:
            return answer
        caller = guard.caller(path=path, query=query, headers=request.headers)
        if isinstance(caller, Refusal):
            return self._refuse(request, caller)
        full = self.space and self.space.refusal(request.method, query, caller, request.content_length)
        if full:
            return answers.refusal(request, full)
        body = self._body(request, self.limits.body_bytes(caller.service))
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # an interim answer is none yet
        return await self._route(request, caller, body)

    async def _without_signature(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse | None:
        """The answer to what needs no signed header or URL, and to what the page may not send; None for the rest."""
        guard, method, headers = self.guard, request.method, request.headers
        if guard.is_public_keys(method=method, target=request.raw_path):
            return await self.engine.forward(request, self._body(request, 0))
        if guard.is_upload_form(method=method, path=path, query=query, headers=headers):
            return await self._upload_form(request)
        if not guard.is_page(headers):
            return None
        if guard.is_preflight(path=path, method=method, headers=headers):
            return await self.engine.forward(request, self._body(request, 0))
        refused = guard.from_page(query=query, method=method, headers=headers)
        return None if refused is None else self._refuse(request, refused)

    def _refuse(self, request: web.BaseRequest, refused: Refusal) -> web.Response:
        self.refusals.note(request, refused)
        return self._for_page(request, answers.refusal(request, refused))

    def _body(self, request: web.BaseRequest, limit_bytes: int) -> Body:
        return Body(request, limit_bytes=limit_bytes, silence_s=self.limits.body_s)

    async def _read(self, request: web.BaseRequest) -> bytes:
        """The whole body of a call that the gateway reads itself."""
        return await self._body(request, self.limits.read_bytes).read()

    async def _route(self, request: web.BaseRequest, caller: Caller, body: Body) -> web.StreamResponse:
        target = request.headers.get("X-Amz-Target", "")
        if target.startswith(_REKOGNITION):
            return await self._rekognition(request, target)
        if request.method == "POST" and (found := _INVOKE.match(request.path)):
            return await self._invoke(request, unquote(found.group(1)))
        if caller.service in _POLICY_SERVICES:
            return await self._policy_call(request)
        presigned = "Authorization" not in request.headers
        return await self.engine.forward(request, body, added=_INERT if presigned else None)

    async def _upload_form(self, request: web.BaseRequest) -> web.StreamResponse:
        body = self._body(request, self.limits.call_bytes)
        form = await UploadForm.begin(body, request.headers["Content-Type"])
        caller = self.guard.form_caller(form.fields)
        if isinstance(caller, Refusal):
            return self._refuse(request, caller)
        full = self.space and self.space.refusal("PUT", "", _FORM, request.content_length)
        if full:
            return self._for_page(request, answers.refusal(request, full))
        return await self.engine.forward(request, form)

    def _for_page(self, request: web.BaseRequest, answer: web.Response) -> web.Response:
        """An answer of the gateway's own, which the environment's page may read."""
        if self.guard.is_page(request.headers):
            answer.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            answer.headers["Vary"] = "Origin"
        return answer

    async def _internal(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/_darkroom/health":
            return web.json_response({"status": "ok"})
        if request.path == self.events_path and request.method == "POST":
            body = self._body(request, self.limits.read_bytes)
            return await self.runtime.forward(request, body, path="/events")
        if request.path.rstrip("/") == self.credentials_path and request.method == "POST":
            return await self._role_credentials(request)
        token = request.headers.get(CONTROL_HEADER, "")
        if request.path.startswith(CONTROL_PREFIX) and _equal(token, self.control_token):
            sent = await self._read(request)
            answer = await self.rekognition.control(path=request.path, method=request.method, body=sent)
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        return self._refuse(request, Refusal("AccessDenied", "There is nothing here.", 404))

    async def _role_credentials(self, request: web.BaseRequest) -> web.Response:
        """AssumeRole for the runtime, which acts for the Lambda service: a role of a function trusts only that."""
        body = await self._read(request)
        if parse_qs(body.decode("ascii", "replace")).get("Action") != ["AssumeRole"]:
            return self._refuse(request, Refusal("AccessDenied", "Only AssumeRole is answered here."))
        root = root_authorization(root_key=self.root_key, region=self.region, service="sts")
        answer, content = await self.engine.exchange(request, body, path="/", authorization=root)
        if answer.status == 200:
            self.keyring.learn(request=body.decode("ascii", "replace"), answer=content, account=self.account)
        return answer

    async def _policy_call(self, request: web.BaseRequest) -> web.Response:
        """IAM, STS and CloudFormation: read on the way through, for keys handed out and policies changed."""
        body = await self._read(request)
        answer, content = await self.engine.exchange(request, body)
        parameters = body.decode("ascii", "replace") or request.raw_path.partition("?")[2]
        if answer.status == 200 and Keyring.concerns(parameters):
            self.keyring.learn(request=parameters, answer=content, account=self.account)
        self.permissions.forget()
        return answer

    async def _rekognition(self, request: web.BaseRequest, target: str) -> web.Response:
        body = await self._read(request)
        operation = target.removeprefix(_REKOGNITION)
        try:
            await self._authorize(request, body, action=f"rekognition:{operation}", resource="*")
        except SignatureError as error:
            return answers.rekognition_error(error.code, str(error))
        answer = await self.rekognition.answer(target=target, body=body)
        if answer.disconnect and request.transport is not None:
            request.transport.abort()  # a fault that was asked for: what is returned reaches nobody
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _invoke(self, request: web.BaseRequest, function: str) -> web.StreamResponse:
        body = await self._read(request)
        name, _, version = function.split(":function:")[-1].partition(":")
        # whoever names a version or an alias must be allowed that one:
        # https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html
        qualifier = version or request.query.get("Qualifier", "")
        resource = f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"
        resource += f":{qualifier}" if qualifier else ""
        try:
            await self._authorize(request, body, action="lambda:InvokeFunction", resource=resource)
        except SignatureError as error:
            return self._refuse(request, Refusal(error.code, str(error)))
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
