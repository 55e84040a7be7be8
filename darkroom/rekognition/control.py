"""The control of a running service over HTTP: its faults, its mode, and what `verify` has found.

A request needs the header `CONTROL_HEADER`, which no web page can send without asking, and it comes under the
server's other guards. A server that stands alone takes any value of it; a gateway that guards more than pictures asks
for a secret.

    /_darkroom/rekognition/faults    GET shows the plan and what has fired, PUT starts a plan, DELETE ends all faults
    /_darkroom/rekognition/mode      GET shows the mode, PUT switches it
    /_darkroom/rekognition/report    GET shows what `verify` has found since the switch
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.rekognition.credentials import CredentialsError, given_access, read_keys
from darkroom.rekognition.errors import RekognitionError
from darkroom.rekognition.faults import FaultInjector, Plan, plan_document, read_plan
from darkroom.rekognition.modes import read_choices
from darkroom.rekognition.upstream import UpstreamError
from darkroom.rekognition.wire import Answer, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.rekognition.switch import Switch

CONTROL_PREFIX = "/_darkroom/rekognition/"
FAULTS_PATH = f"{CONTROL_PREFIX}faults"
MODE_PATH = f"{CONTROL_PREFIX}mode"
REPORT_PATH = f"{CONTROL_PREFIX}report"
CONTROL_HEADER = "X-Darkroom-Control"
LOOPBACK_HOSTS = frozenset(("127.0.0.1", "localhost", "::1"))
ANY_TOKEN = "any"  # noqa: S105 -- what a server that stands alone is sent
_TIMEOUT_S = 5
_SWITCH_TIMEOUT_S = 90
"""A switch asks AWS who is asking."""


class ControlError(RekognitionError):
    """The server does not answer, or refuses; the message says why."""


def control_faults(faults: FaultInjector, *, method: str, body: bytes) -> Answer:
    """The server's side of the faults."""
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


def control_mode(switch: Switch, *, method: str, body: bytes) -> Answer:
    """The server's side of the mode. Call it in a thread: a switch asks AWS who is asking.

    ``{"mode": "proxy", …}`` as `modes.Choices` has it, for a mode that asks AWS with ``"credentials":
    {"access_key_id", "secret_access_key", "token", "expires"}``, ``"proxies"`` and ``"ca_bundle"``.
    """
    if method == "PUT":
        try:
            document = json.loads(body)
            credentials = document.pop("credentials", None)
            proxies, bundle = document.pop("proxies", None), document.pop("ca_bundle", None)
            access = (
                given_access(read_keys(credentials), proxies=proxies, ca_bundle=bundle)
                if credentials
                else None
            )
            switch.use(read_choices(document), access)
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            return _json(400, {"message": f"Not a mode: {error}"})
        except (CredentialsError, UpstreamError) as error:
            return _json(400, {"message": str(error)})
        except OSError as error:
            return _json(500, {"message": f"The mode cannot be kept: {error}"})
    elif method != "GET":
        return _json(405, {"message": "Use GET or PUT."})
    return _json(200, switch.status())


def control_report(switch: Switch, *, method: str) -> Answer:
    """The server's side of the report."""
    if method != "GET":
        return _json(405, {"message": "Use GET."})
    live = switch.live
    return _json(
        200, {"mode": live.choices.mode.value, "verified": [found.document() for found in list(live.report)]}
    )


def not_found() -> Answer:
    """There is no such control."""
    return _json(404, {"message": "There is no such control."})


def show_faults(endpoint: str, *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """The plan in force and how often each kind has fired.

    Args:
        endpoint: where the server answers.
        token: what its control asks for in the header.

    Raises:
        ControlError: see there.
    """
    return _ask(endpoint, FAULTS_PATH, "GET", None, token)


def set_faults(endpoint: str, plan: Mapping[str, Any], *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """Start a plan: ``{"seed": 1, "tps": 5, "faults": [{"kind": "throttling", "rate": 0.2}]}``.

    Raises:
        ControlError: see there; also where the plan is not right.
    """
    return _ask(endpoint, FAULTS_PATH, "PUT", plan, token)


def clear_faults(endpoint: str, *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """End all faults.

    Raises:
        ControlError: see there.
    """
    return _ask(endpoint, FAULTS_PATH, "DELETE", None, token)


def show_mode(endpoint: str, *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """The mode in force, who asks AWS, and what was spent.

    Raises:
        ControlError: see there.
    """
    return _ask(endpoint, MODE_PATH, "GET", None, token)


def set_mode(endpoint: str, document: Mapping[str, Any], *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """Switch: see `control_mode` for the document. Credentials go to this machine only.

    Raises:
        ControlError: see there; also where AWS refuses the credentials. The mode before stays then.
    """
    if "credentials" in document and urlsplit(endpoint).hostname not in LOOPBACK_HOSTS:
        raise ControlError(f"{endpoint} is not on this machine: credentials are not sent there.")
    return _ask(endpoint, MODE_PATH, "PUT", document, token, timeout_s=_SWITCH_TIMEOUT_S)


def show_report(endpoint: str, *, token: str = ANY_TOKEN) -> dict[str, Any]:
    """What `verify` has found since the switch: ``{"mode", "verified": [{"interaction", "recording", "verdict",
    "differences"}]}``.

    Raises:
        ControlError: see there.
    """
    return _ask(endpoint, REPORT_PATH, "GET", None, token)


def _ask(
    endpoint: str,
    path: str,
    method: str,
    document: Mapping[str, Any] | None,
    token: str,
    *,
    timeout_s: float = _TIMEOUT_S,
) -> dict[str, Any]:
    if not endpoint.startswith(("http://", "https://")):
        raise ControlError(f"{endpoint!r} is not an http address.")
    request = urllib.request.Request(  # noqa: S310 -- the scheme was checked
        endpoint.rstrip("/") + path,
        data=None if document is None else json.dumps(document).encode(),
        method=method,
        headers={CONTROL_HEADER: token},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as response:
            return dict(json.loads(response.read()))
    except urllib.error.HTTPError as error:
        said = _message(error.read())
        raise ControlError(
            said or f"{endpoint} answers {error.code}: no control of Rekognition for this caller."
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
