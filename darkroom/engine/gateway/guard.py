"""Who may speak to the gateway: tools on this machine with keys of their own, and no web page.

A page that somebody opens can make the browser send requests to 127.0.0.1. It cannot choose the Host header
(unless it rebinds DNS, then the name is foreign), nor drop the Origin and Sec-Fetch-* headers that browsers add.
The environment's own page is one exception: S3 takes its upload forms and presigned URLs, and nothing else of it.
And a page cannot sign: so a request without a signature of a real key is refused, and root-like keys, which the engine
would take on their word, are refused whatever else is right. A request that two programs could read differently
(a credential twice, a header twice) is refused before anybody asks which of the two would count.

Sources: Fetch Metadata Request Headers (W3C), AWS General Reference "Signature Version 4".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from darkroom.engine.gateway.forms import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^/,=\s]+)/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request, *"
    r"SignedHeaders=[^,=\s]+, *Signature=[0-9a-f]{64}"
)
"""The whole header and nothing beside it: another `Credential=` anywhere could be the one that the engine takes."""
_QUERY_CREDENTIAL = re.compile(r"([^/,=\s]+)/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request")
_USER_KEY = re.compile(r"(AKIA|ASIA)[A-Z0-9]{12,28}")
"""Keys of IAM users and of role sessions; `test`, account numbers and the engine's own key are none of these."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_INTERNAL = ("/_ministack", "/_localstack", "/_aws", "/latest/", "/v2/credentials")
"""Endpoints of the engine that are no AWS API, and those of an instance's credentials."""
_INTERNAL_EXACTLY = "/health"
_SINGLE = frozenset(
    (
        "authorization",
        "content-length",
        "date",
        "host",
        "origin",
        "sec-fetch-site",
        "transfer-encoding",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-target",
    )
)
"""Headers that decide something; given twice, one program may take the first and another the last or both."""
_QUERY_KEYS = ("awsaccesskeyid", "signature", "signatureversion")
_PAGE_METHODS = frozenset(("GET", "HEAD", "PUT", "POST"))
"""What a page does with presigned URLs and forms."""
_PUBLIC_KEYS = re.compile(r"/[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]{1,55}/\.well-known/jwks\.json")
_BUCKET = re.compile(r"/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?=/|$)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused; an AWS error code where an SDK would read one."""

    code: str
    message: str
    status: int = 403


_NOT_FOR_PAGES = Refusal(
    "AccessDenied", "A page may use presigned S3 URLs and upload forms, and nothing else."
)


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
        origins: origins of pages that may use presigned URLs and upload forms.
    """

    hosts: frozenset[str]
    origins: Container[str] = frozenset()

    @classmethod
    def for_port(cls, port: int, *, origins: Container[str] = frozenset()) -> Guard:
        """
        Args:
            port: of the gateway.
            origins: of pages that may use presigned URLs and forms.
        """
        return cls(frozenset(f"{host}:{port}" for host in ("127.0.0.1", "localhost")), origins)

    def form(self, *, method: str, target: str, headers: Iterable[tuple[str, str]]) -> Refusal | None:
        """Refuse what could be read in two ways, and what no AWS API needs.

        Args:
            method: HTTP method.
            target: request target, raw.
            headers: every header field, as often as it came.
        """
        if method not in _METHODS:
            return Refusal("MethodNotAllowed", f"The method {method[:16]} is not used by any AWS API.", 405)
        if not target.startswith("/") or any(sign in target for sign in "#\\"):
            return Refusal("InvalidURI", "The request's target must be a path, with a query at most.", 400)
        names = [name.lower() for name, _ in headers]
        if len(names) == len(set(names)):
            return None
        for name in _SINGLE:
            if names.count(name) > 1:
                return Refusal("InvalidRequest", f"The header {name} was sent more than once.", 400)
        return None

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

    def is_page(self, headers: Mapping[str, str]) -> bool:
        """Whether the environment's own page sends this."""
        origin = headers.get("Origin")
        return origin is not None and origin in self.origins

    def is_preflight(self, *, path: str, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a browser asks what the page may send: S3 answers that by the bucket's CORS rules."""
        wanted = headers.get("Access-Control-Request-Method", "")
        return method == "OPTIONS" and wanted in _PAGE_METHODS and _names_a_bucket(path)

    def from_page(self, *, method: str, query: str, headers: Mapping[str, str]) -> Refusal | None:
        """Refuse what the environment's own page sends, unless it is a presigned URL of S3.

        The page has no keys: whatever else it could send, a script that was smuggled into it could send, too.
        """
        presigned = "x-amz-signature=" in query.lower() and "Authorization" not in headers
        return None if presigned and method in _PAGE_METHODS - {"POST"} else _NOT_FOR_PAGES

    def is_upload_form(self, *, method: str, path: str, query: str, headers: Mapping[str, str]) -> bool:
        """Whether a request is a browser's upload form for S3, which is signed in its fields."""
        media_type = headers.get("Content-Type", "").lower()
        unsigned = "Authorization" not in headers and not query
        return method == "POST" and unsigned and media_type.startswith(MEDIA_TYPE) and _names_a_bucket(path)

    def is_public_keys(self, *, method: str, target: str) -> bool:
        """Whether the public keys of a user pool are asked for: everybody may, and the engine's API Gateway does.

        https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
        """
        return method == "GET" and _PUBLIC_KEYS.fullmatch(target) is not None

    def form_caller(self, fields: Mapping[str, str]) -> Caller | Refusal:
        """The key that signs an upload form, or why there is none that counts.

        Args:
            fields: with names in lower case.
        """
        if any(name in fields for name in _QUERY_KEYS):
            return Refusal("AccessDenied", "Signature Version 2 is not accepted; sign with Version 4.")
        if not fields.get("policy") or "x-amz-credential" not in fields:
            return Refusal("AccessDenied", "An upload form must be signed: a presigned POST.")
        return _from_query(fields)

    def caller(self, *, path: str, query: str, headers: Mapping[str, str]) -> Caller | Refusal:
        """The key that signs a request, or why there is none that counts.

        Query credentials count only as a Signature Version 4 presigned S3 URL.

        Args:
            path: as it came, or decoded.
            query: as it came: decoded once more, an escaped `&` would make other parameters of it.
            headers: with names in any case.
        """
        if _is_internal(path):
            return Refusal("AccessDenied", f"{path[:100]} is internal to the engine.")
        pairs = [(name.lower(), value) for name, value in parse_qsl(query, keep_blank_values=True)]
        names = dict(pairs)
        if len(names) < len(pairs) and _repeats_a_credential(name for name, _ in pairs):
            return Refusal(
                "AuthorizationQueryParametersError", "A parameter of the signature stands there twice.", 400
            )
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


def _names_a_bucket(path: str) -> bool:
    return _BUCKET.match(path) is not None and not _is_internal(path)


def _is_internal(path: str) -> bool:
    """Whether a path leads to an internal endpoint, however it is written."""
    for _ in range(3):
        path = unquote(path)
    parts: list[str] = []
    for part in path.lower().split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    plain = "/" + "/".join(parts)
    return plain == _INTERNAL_EXACTLY or f"{plain}/".startswith(_INTERNAL)


def _repeats_a_credential(names: Iterable[str]) -> bool:
    signing = [name for name in names if name.startswith("x-amz-")]
    return len(signing) != len(set(signing))


def _from_header(authorization: str) -> Caller | Refusal:
    found = _AUTHORIZATION.fullmatch(authorization)
    if found is None:
        return Refusal("IncompleteSignature", "The Authorization header is not Signature Version 4.", 400)
    return _checked(found.group(1), found.group(2))


def _from_query(names: Mapping[str, str]) -> Caller | Refusal:
    found = _QUERY_CREDENTIAL.fullmatch(names["x-amz-credential"])
    if (
        found is None
        or names.get("x-amz-algorithm") != "AWS4-HMAC-SHA256"
        or not names.get("x-amz-signature")
    ):
        return Refusal("AuthorizationQueryParametersError", "The presigned URL is not complete.", 400)
    if found.group(2) != "s3":
        return Refusal("AccessDenied", "Only S3 URLs can be presigned here.")
    return _checked(found.group(1), found.group(2))


def _checked(access_key: str, service: str) -> Caller | Refusal:
    if not _USER_KEY.fullmatch(access_key):
        return Refusal(
            "InvalidAccessKeyId" if service == "s3" else "UnrecognizedClientException",
            "This access key is not one of this environment's users. Use the keys that `darkroom env` prints.",
        )
    return Caller(access_key, service)
