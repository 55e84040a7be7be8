"""The three calls that a reload makes: to the engine as its root, and to the runtime; without an AWS SDK.

An SDK would cost a resting process 20 MB and the first reload 150 ms.
"""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from darkroom.engine import runtime_client
from darkroom.engine.internal import root_authorization
from darkroom.engine.unix_http import exchange
from darkroom.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from darkroom.engine.layout import Layout

_TRIAL_TIMEOUT_S = 930.0
"""The runtime ends a start by itself, at the latest after its own 10 s and the function's time-out."""


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """A function as the engine has it; `code_sha256` in base64, as Lambda gives it."""

    name: str
    handler: str
    code_sha256: str


class LambdaApi:
    """Functions of one stack."""

    def __init__(self, layout: Layout, *, root_key: str, region: str, stack: str) -> None:
        self._layout = layout
        self._root_key = root_key
        self._region = region
        self._prefix = f"{stack}-"

    def functions(self) -> list[DeployedFunction]:
        """The stack's functions.

        Raises:
            EngineError: the engine does not answer.
        """
        found: list[DeployedFunction] = []
        marker = ""
        while True:
            query = "?" + urlencode({"Marker": marker}) if marker else ""
            answer = self._engine("GET", f"/2015-03-31/functions/{query}")
            found += [
                DeployedFunction(each["FunctionName"], each.get("Handler", ""), each["CodeSha256"])
                for each in answer["Functions"]
                if each["FunctionName"].startswith(self._prefix)
            ]
            marker = answer.get("NextMarker") or ""
            if not marker:
                return found

    def update_code(self, function: str, package: bytes) -> None:
        """UpdateFunctionCode.

        Raises:
            EngineError: the engine refused or does not answer.
        """
        body = json.dumps({"ZipFile": base64.b64encode(package).decode()}).encode()
        self._engine("PUT", f"/2015-03-31/functions/{quote(function)}/code", body)

    def try_code(self, functions: Sequence[str], package: bytes) -> Mapping[str, Mapping[str, Any]]:
        """Start the functions with a package beside what runs.

        Returns:
            Lambda's error document of each that did not come up.

        Raises:
            EngineError: the runtime could not try it.
        """
        target = "/trials?" + urlencode([("function", name) for name in functions])
        try:
            status, body = exchange(
                self._layout.runtime_socket, "POST", target, body=package, timeout_s=_TRIAL_TIMEOUT_S
            )
            answer = json.loads(body)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EngineError(f"the runtime does not answer: {error}") from error
        if status != http.HTTPStatus.OK:
            raise EngineError(f"the runtime could not try the new code: {answer.get('errorMessage')}")
        failed: Mapping[str, Mapping[str, Any]] = answer["failed"]
        return failed

    def take_over(self, functions: Sequence[str]) -> None:
        """Let the runtime see the new code at once."""
        runtime_client.refresh(self._layout.runtime_socket, warm=functions)

    def _engine(self, method: str, target: str, body: bytes = b"") -> Any:
        authorization = root_authorization(root_key=self._root_key, region=self._region, service="lambda")
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        try:
            status, content = exchange(self._layout.engine_socket, method, target, body=body, headers=headers)
            answer = json.loads(content)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EngineError(f"the engine does not answer: {error}") from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise EngineError(
                f"the engine refused {method} {target.partition('?')[0]}: {content[:300].decode()}"
            )
        return answer
