"""Who may speak to the gateway: tools on this machine with keys of their own, and no web page.

A page that somebody opens can make the browser send requests to 127.0.0.1. It cannot choose the Host header
(unless it rebinds DNS, then the name is foreign), nor drop the Origin and Sec-Fetch-* headers that browsers add.
And it cannot sign: so a request without a signature of a real key is refused, and root-like keys, which the engine
would take on their word, are refused whatever else is right.

Sources: Fetch Metadata Request Headers (W3C), AWS General Reference "Signature Version 4".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY_BYTES = 256 * 1024 * 1024
"""Largest body of an API call (a Lambda package is at most 50 MB); S3 uploads are streamed and bounded by S3."""
_HEADER_CREDENTIAL = re.compile(
    r"^AWS4-HMAC-SHA256 +.*?Credential=([^/,\s]+)/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request"
)
_USER_KEY = re.compile(r"^(AKIA|ASIA)[A-Z0-9]{12,28}$")
"""Keys of IAM users and of role sessions; `test`, account numbers and the engine's own key are none of these."""
_INTERNAL = ("/_ministack", "/_localstack", "/_aws", "/health")
_QUERY_KEYS = ("awsaccesskeyid", "signature", "signatureversion")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused; an AWS error code where an SDK would read one."""

    code: str
    message: str
    status: int = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """The key that a request names, not yet checked: whoever acts on it verifies the signature."""

    access_key: str
    service: str


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules for one gateway.

    Attributes:
        hosts: allowed values of the Host header, with port.
        origins: origins of pages that may call; empty unless the environment serves a page.
    """

    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()

    @classmethod
    def for_port(cls, port: int) -> Guard:
        return cls(hosts=frozenset(f"{host}:{port}" for host in ("127.0.0.1", "localhost")))

    def from_browser(self, headers: Mapping[str, str]) -> Refusal | None:
        """Refuse what a browser marks as coming from a page, and foreign names for this machine."""
        host = headers.get("Host", "").lower()
        if host not in self.hosts:
            return Refusal(
                "AccessDenied",
                f"Host {host!r} is not this gateway's name; use {' or '.join(sorted(self.hosts))}.",
            )
        origin = headers.get("Origin")
        if origin is not None and origin not in self.origins:
            return Refusal("AccessDenied", "Requests of web pages are refused (Origin header).")
        site = headers.get("Sec-Fetch-Site")
        if site is not None and site != "none" and origin is None:
            return Refusal("AccessDenied", f"Requests of web pages are refused (Sec-Fetch-Site: {site}).")
        return None

    def caller(self, *, path: str, query: str, headers: Mapping[str, str]) -> Caller | Refusal:
        """The key that signs a request, or why there is none that counts.

        Query credentials count only as a Signature Version 4 presigned S3 URL.
        """
        if path.startswith(_INTERNAL):
            return Refusal("AccessDenied", f"{path} is internal to the engine.")
        names = {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)}
        if any(name in names for name in _QUERY_KEYS):
            return Refusal("AccessDenied", "Signature Version 2 is not accepted; sign with Version 4.")
        authorization = headers.get("Authorization")
        if authorization is not None:
            if any(name.startswith("x-amz-credential") for name in names):
                return Refusal(
                    "InvalidArgument", "A request is signed in its header or its query, not in both.", 400
                )
            return _from_header(authorization)
        if "x-amz-credential" in names:
            return _from_query(names)
        return Refusal(
            "MissingAuthenticationToken",
            "The request is not signed. Use the keys that `darkroom env` prints.",
        )


def _from_header(authorization: str) -> Caller | Refusal:
    found = _HEADER_CREDENTIAL.match(authorization)
    if found is None:
        return Refusal("IncompleteSignature", "The Authorization header is not Signature Version 4.", 400)
    return _checked(found.group(1), found.group(2))


def _from_query(names: Mapping[str, str]) -> Caller | Refusal:
    parts = names["x-amz-credential"].split("/")
    if (
        len(parts) != 5
        or names.get("x-amz-algorithm") != "AWS4-HMAC-SHA256"
        or not names.get("x-amz-signature")
    ):
        return Refusal("AuthorizationQueryParametersError", "The presigned URL is not complete.", 400)
    if parts[3] != "s3":
        return Refusal("AccessDenied", "Only S3 URLs can be presigned here.")
    return _checked(parts[0], parts[3])


def _checked(access_key: str, service: str) -> Caller | Refusal:
    if not _USER_KEY.match(access_key):
        return Refusal(
            "InvalidAccessKeyId" if service == "s3" else "UnrecognizedClientException",
            "This access key is not one of this environment's users. Use the keys that `darkroom env` prints.",
        )
    return Caller(access_key, service)
