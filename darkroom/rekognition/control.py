"""The control of faults over HTTP: what the server answers, and the functions that ask it.

``GET`` shows the plan and what has fired, ``PUT`` starts a plan, ``DELETE`` ends all faults. A request needs the
header `CONTROL_HEADER`, which no web page can send without asking, and it comes under the server's other guards.
A server that stands alone takes any value of it; a gateway that guards more than pictures asks for a secret.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import RekognitionError
from darkroom.rekognition.faults import FaultInjector, Plan, plan_document, read_plan
from darkroom.rekognition.wire import Answer, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROL_PATH = "/_darkroom/rekognition/faults"
CONTROL_HEADER = "X-Darkroom-Control"
ANY_TOKEN = "any"  # noqa: S105 -- what a server that stands alone is sent
_TIMEOUT_S = 5


class ControlError(RekognitionError):
    """The server does not answer, or refuses; the message says why."""


def control_answer(faults: FaultInjector, *, method: str, body: bytes) -> Answer:
    """The server's side."""
    if method == "PUT":
        try:
            faults.use(read_plan(json.loads(body)))
        except (ValueError, RecursionError) as error:
            return _json(400, {"message": f"Not a fault plan: {error}"})
    elif method == "DELETE":
        faults.use(Plan())
    elif method != "GET":
        return _json(405, {"message": "Use GET, PUT or DELETE."})
    return _json(200, {"plan": plan_document(faults.plan), "fired": dict(faults.fired)})


def show_faults(endpoint: str, *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """The plan in force and how often each kind has fired.

    Args:
        endpoint: where the server answers.
        token: what its control asks for in the header.

    Raises:
        ControlError: see there.
    """
    return _ask(endpoint, "GET", None, token)


def set_faults(endpoint: str, plan: Mapping[str, Any], *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """Start a plan: ``{"seed": 1, "tps": 5, "faults": [{"kind": "throttling", "rate": 0.2}]}``.

    Raises:
        ControlError: see there; also where the plan is not right.
    """
    return _ask(endpoint, "PUT", json.dumps(plan).encode(), token)


def clear_faults(endpoint: str, *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """End all faults.

    Raises:
        ControlError: see there.
    """
    return _ask(endpoint, "DELETE", None, token)


def _ask(endpoint: str, method: str, body: bytes | None, token: str) -> dict[str, Any]:
    if not endpoint.startswith(("http://", "https://")):
        raise ControlError(f"{endpoint!r} is not an http address.")
    request = urllib.request.Request(  # noqa: S310 -- the scheme was checked
        endpoint.rstrip("/") + CONTROL_PATH, data=body, method=method, headers={CONTROL_HEADER: token}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            return dict(json.loads(response.read()))
    except urllib.error.HTTPError as error:
        said = _message(error.read())
        raise ControlError(
            said or f"{endpoint} answers {error.code}: no control of faults for this caller."
        ) from None
    except (OSError, ValueError) as error:
        raise ControlError(f"No local Rekognition answers at {endpoint}: {error}") from None


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _json(status: int, document: Mapping[str, Any]) -> Answer:
    return Answer(status=status, headers={"Content-Type": "application/json"}, body=encode(document))
