"""The gateway's own answers, in the form that the caller's protocol reads errors in."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from aiohttp import web

from darkroom.engine.gateway.guard import Refusal

_JSON = "application/x-amz-json-1.1"


def refusal(request: web.BaseRequest, refused: Refusal) -> web.Response:
    """An error as AWS words it: JSON for JSON protocols, XML for S3 and query APIs."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id, "Connection": "close"}
    if "X-Amz-Target" in request.headers or request.path.startswith("/20"):
        body = json.dumps({"__type": refused.code, "message": refused.message})
        headers |= {"Content-Type": _JSON, "X-Amzn-ErrorType": refused.code}
    else:
        named = f"<Code>{escape(refused.code)}</Code><Message>{escape(refused.message)}</Message>"
        identifier = f"<RequestId>{request_id}</RequestId>"
        if _is_query(request):
            body = f"<ErrorResponse><Error>{named}</Error>{identifier}</ErrorResponse>"
        else:
            body = f"<Error>{named}{identifier}</Error>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
        headers["Content-Type"] = "application/xml"
    return web.Response(status=refused.status, text=body, headers=headers)


def _is_query(request: web.BaseRequest) -> bool:
    """Whether a request is one of the AWS query protocol (IAM, STS, CloudFormation), whose errors have a cover."""
    form = request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
    return form or "Action" in request.query


def rekognition_error(code: str, message: str, status: int = 400) -> web.Response:
    """A service error with Rekognition's casing of its members."""
    body = json.dumps({"__type": code, "Code": code, "Message": message}, separators=(",", ":"))
    return web.Response(
        status=status,
        body=body.encode(),
        headers={"Content-Type": _JSON, "x-amzn-RequestId": str(uuid.uuid4())},
    )


def unavailable(what: str) -> Refusal:
    """For a part that does not answer: SDKs retry a 503, so a restart passes unnoticed."""
    return Refusal(
        "ServiceUnavailable", f"{what} does not answer; it may be restarting. See `darkroom status`.", 503
    )
