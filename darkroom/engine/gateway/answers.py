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
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(refused.code)}</Code>'
            f"<Message>{escape(refused.message)}</Message><RequestId>{request_id}</RequestId></Error>"
        )
        headers["Content-Type"] = "application/xml"
    return web.Response(status=refused.status, text=body, headers=headers)


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
