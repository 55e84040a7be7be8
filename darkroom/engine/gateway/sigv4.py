"""Checking Signature Version 4 for what the gateway answers itself.

botocore, which signs for every Python client, computes the signature here too; so both ends cannot disagree.
Source: IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPMessage

_AUTHORIZATION = re.compile(
    r"^AWS4-HMAC-SHA256 +Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request, *SignedHeaders=(?P<signed>[a-z0-9;-]+), *Signature=(?P<signature>[0-9a-f]{64})$"
)
_SKEW_S = 300
"""How old a signature may be: five minutes for every service but S3."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What a key's owner knows, and who that is.

    Attributes:
        secret: the secret access key.
        token: the session token of temporary credentials, else empty.
        principal: ARN whose policies count: of the user, or of the role behind the session.
        expires: end of temporary credentials (seconds since 1970), 0 for none.
    """

    secret: str
    token: str
    principal: str
    expires: float = 0.0


class SignatureError(Exception):
    """The signature does not hold.

    Attributes:
        code: AWS's error code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def verify(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Mapping[str, Secret],
    now: datetime,
) -> Secret:
    """Check a header-signed request.

    Args:
        method: HTTP method.
        url: the whole URL as the client sent it.
        headers: every header (names in any case, one value each).
        body: the whole body.
        secrets: known keys.
        now: the time that counts, with a time zone.

    Returns:
        The secret that signed.

    Raises:
        SignatureError: with AWS's code, for every way in which it can fail.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    found = _AUTHORIZATION.match(lowered.get("authorization", ""))
    if found is None:
        raise SignatureError(
            "IncompleteSignatureException", "The Authorization header is not Signature Version 4."
        )
    secret = _known(found["key"], lowered, secrets, now)
    timestamp = _timestamp(lowered, found["date"], now)
    signed_names = found["signed"].split(";")
    if "host" not in signed_names or any(name not in lowered for name in signed_names):
        raise SignatureError("InvalidSignatureException", "A signed header is missing.")
    claimed_hash = lowered.get("x-amz-content-sha256")
    if claimed_hash is not None and claimed_hash != hashlib.sha256(body).hexdigest():
        raise SignatureError("InvalidSignatureException", "x-amz-content-sha256 is not the body's.")
    signer = _Signer(Credentials(found["key"], secret.secret), found["service"], found["region"])
    expected = signer.signature_for(
        method, url, {name: lowered[name] for name in signed_names}, body, timestamp
    )
    if not hmac.compare_digest(expected, found["signature"]):
        raise SignatureError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )
    return secret


def _known(key: str, lowered: Mapping[str, str], secrets: Mapping[str, Secret], now: datetime) -> Secret:
    secret = secrets.get(key)
    if secret is None or not hmac.compare_digest(lowered.get("x-amz-security-token", ""), secret.token):
        raise SignatureError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    if secret.expires and now.timestamp() > secret.expires:
        raise SignatureError("ExpiredTokenException", "The security token included in the request is expired")
    return secret


def _timestamp(lowered: Mapping[str, str], date: str, now: datetime) -> str:
    timestamp = lowered.get("x-amz-date", "")
    try:
        when = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("IncompleteSignatureException", "X-Amz-Date is missing or malformed.") from None
    if not timestamp.startswith(date) or abs((now - when).total_seconds()) > _SKEW_S:
        raise SignatureError(
            "InvalidSignatureException", f"Signature expired or not yet current: {timestamp}."
        )
    return timestamp


class _Signer(SigV4Auth):
    """botocore's signer for a request that was signed elsewhere: its time, its choice of headers."""

    def signature_for(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timestamp: str
    ) -> str:
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
        request.context["timestamp"] = timestamp
        return str(self.signature(self.string_to_sign(request, self.canonical_request(request)), request))

    def headers_to_sign(self, request: AWSRequest) -> HTTPMessage:
        return request.headers
