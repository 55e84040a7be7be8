"""Our own calls to the engine, over its Unix socket, as its root.

For what nobody else may do: making the first IAM user, asking what a principal may do. Only this user can open the
socket's folder, and the root key is random, so nothing is signed: ministack takes its configured key on its word.
"""

from __future__ import annotations

import http.client
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from darkroom.engine.unix_http import exchange
from darkroom.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path


def root_authorization(*, root_key: str, region: str, service: str) -> str:
    """An Authorization header of the engine's root, whose signature is not looked at."""
    scope = f"{datetime.now(UTC):%Y%m%d}/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={root_key}/{scope}, SignedHeaders=host, Signature={'0' * 64}"


class EngineSocket:
    """AWS query calls (IAM, STS) to the engine."""

    def __init__(self, path: Path, *, root_key: str, region: str) -> None:
        self._path = path
        self._root_key = root_key
        self._region = region

    def is_ready(self) -> bool:
        """Whether the engine answers."""
        try:
            status, _ = exchange(self._path, "GET", "/_ministack/health")
        except (OSError, http.client.HTTPException):
            return False
        return status == http.HTTPStatus.OK

    def query(self, service: str, action: str, **parameters: str) -> Element:
        """One call of an AWS query API.

        Returns:
            The root of the XML answer.

        Raises:
            EngineError: the engine is not there, refused, or answered something that is not XML.
        """
        body = urlencode({"Action": action, "Version": "2010-05-08", **parameters}).encode()
        headers = {
            "Authorization": root_authorization(
                root_key=self._root_key, region=self._region, service=service
            ),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        try:
            status, answer = exchange(self._path, "POST", "/", body=body, headers=headers)
            if status != http.HTTPStatus.OK:
                raise EngineError(
                    f"The engine refused {service}:{action} ({status}): {answer[:300].decode()}"
                )
            root: Element = fromstring(answer)
        except (OSError, ParseError, http.client.HTTPException) as error:
            raise EngineError(f"The engine did not answer {service}:{action}: {error}") from error
        return root
