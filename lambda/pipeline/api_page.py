"""The page's files, from the function's own package, with headers that let nothing else run in them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aws_lambda_powertools.event_handler import APIGatewayRestResolver

    from pipeline.api_settings import SignIn

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
_INDEX = "index.html"
_VERSION = "__VERSION__"
"""Stands in index.html for a hash of all files: with their addresses, what a browser keeps of them changes, too."""
_FOREVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page."""

    text: str
    content_type: str


class Page:
    """The files of a folder, read once.

    Args:
        folder: where they lie.
        config: what the page needs to know of this stack.
        storage_origin: origin of the addresses that pictures come from and go to.
        sign_in: where people sign in, if they do.
    """

    def __init__(
        self, folder: Path, *, config: Mapping[str, Any], storage_origin: str, sign_in: SignIn | None
    ) -> None:
        self._files = _read(folder)
        digest = hashlib.sha256()
        for name, file in sorted(self._files.items()):
            digest.update(f"{name}\0{file.text}\0".encode())
        self.version = digest.hexdigest()[:12]
        self._config = json.dumps({**config, "version": self.version})
        self.headers = security_headers(storage_origin, sign_in)

    def index(self) -> Response[str]:
        """The page itself; its files have the version in their addresses."""
        file = self._files.get(_INDEX)
        if file is None:
            return self._missing(_INDEX)
        return self._answer(file.text.replace(_VERSION, self.version), file.content_type, _ASK_FIRST)

    def config(self) -> Response[str]:
        """What the page needs to know before anybody has signed in."""
        return self._answer(self._config, _TYPES[".json"], "no-store")

    def file(self, path: str) -> Response[str]:
        """A file by its path, `v/<version>/app.js`; a page that is still open after a deployment gets the new one."""
        parts = path.split("/", 2)
        versioned = len(parts) == 3 and parts[0] == "v"
        name = parts[2] if versioned else path
        file = self._files.get(name)
        if file is None or name == _INDEX:
            return self._missing(path)
        keep = _FOREVER if versioned and parts[1] == self.version else _ASK_FIRST
        return self._answer(file.text, file.content_type, keep)

    def _answer(self, text: str, content_type: str, keep: str) -> Response[str]:
        headers: dict[str, str | list[str]] = {**self.headers, "Cache-Control": keep}
        return Response(HTTPStatus.OK, content_type=content_type, body=text, headers=headers)

    def _missing(self, path: str) -> Response[str]:
        headers: dict[str, str | list[str]] = {**self.headers, "Cache-Control": "no-store"}
        body = f"There is no file {path[:200]} in this page.\n"
        return Response(HTTPStatus.NOT_FOUND, content_type=_TYPES[".txt"], body=body, headers=headers)


def add_page(app: APIGatewayRestResolver, page: Page) -> None:
    """Serve the files: the root has a route of its own, because API Gateway's `{proxy+}` does not match it."""

    @app.get("/", include_in_schema=False)
    def root() -> Response[str]:
        here = str(app.current_event.request_context.path or "/")
        if not here.endswith("/"):  # the stage's address without its slash: relative addresses would miss it
            return Response(HTTPStatus.PERMANENT_REDIRECT, body="", headers={"Location": f"{here}/"})
        return page.index()

    @app.get("/config.json", include_in_schema=False)
    def config() -> Response[str]:
        return page.config()

    @app.get("/(?!api/).+", include_in_schema=False)
    def file() -> Response[str]:
        return page.file(app.current_event.path.lstrip("/"))


def security_headers(storage_origin: str, sign_in: SignIn | None) -> dict[str, str]:
    """Nothing runs but the page's own files, and nothing is fetched but from here, the bucket and the sign-in."""
    asked = " ".join(filter(None, ("'self'", storage_origin, sign_in.url if sign_in else "")))
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' blob: {storage_origin}",
        "connect-src": asked,
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "charts",  # the one script that is loaded when it is needed
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def _read(folder: Path) -> dict[str, PageFile]:
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): PageFile(path.read_text(encoding="utf-8"), _TYPES[path.suffix])
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in _TYPES
    }
