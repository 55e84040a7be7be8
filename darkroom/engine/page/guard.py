"""Who may speak to the page's port.

The page and its API have one origin, so a browser marks every call of the page as `same-origin`. What it marks
otherwise comes from another site's page: refused, but for somebody following a link to the page itself (and the way
back from the sign-in page), which is a navigation and changes nothing. A name that is not ours has been rebound by DNS.

Source: Fetch Metadata Request Headers (W3C).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from darkroom.engine.gateway.guard import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

API = "/api"
OPEN_TO_PAGES = ("/PresignedURL", "/GetImageLabels")
"""Routes for pages of other origins; the function answers them only where the stack's parameters say so."""
_OWN = frozenset(("same-origin", "none"))


@dataclass(frozen=True, slots=True)
class PageGuard:
    """The rules for one port."""

    port: int

    @property
    def origin(self) -> str:
        """The origin of the page on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def wants_our_name(self, *, method: str, headers: Mapping[str, str]) -> bool:
        """Whether somebody typed `localhost`: the page has one origin, because S3's CORS rules name one."""
        return method == "GET" and headers.get("Host", "").lower() == f"localhost:{self.port}"

    def refusal(self, *, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request is refused; None when it may pass.

        Args:
            method: HTTP method.
            path: raw path, without a query.
            headers: with names in any case.
        """
        origin = self.origin
        host = headers.get("Host", "").lower()
        if f"http://{host}" != origin:
            return Refusal("AccessDenied", f"Host {host!r} is not this page's name; open {origin}/.")
        if not path.startswith("/") or _climbs(path):
            return Refusal("InvalidURI", "The request's target must be a plain path.", 400)
        if path in OPEN_TO_PAGES and method in ("GET", "OPTIONS"):
            return None
        if headers.get("Origin", origin) != origin:
            return Refusal("AccessDenied", "Requests of other pages are refused (Origin header).")
        site = headers.get("Sec-Fetch-Site", "none")
        if site in _OWN or _follows_a_link(method, path, headers):
            return None
        return Refusal("AccessDenied", f"Requests of other pages are refused (Sec-Fetch-Site: {site}).")


def _follows_a_link(method: str, path: str, headers: Mapping[str, str]) -> bool:
    navigates = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == ("navigate", "document")
    return method == "GET" and navigates and not f"{path}/".startswith(f"{API}/")


def _climbs(path: str) -> bool:
    """Whether a path has a segment that leads elsewhere than it says, however it is written."""
    for _ in range(3):
        path = unquote(path)
    return "\\" in path or any(part in {".", ".."} for part in path.split("/")) or "//" in path
