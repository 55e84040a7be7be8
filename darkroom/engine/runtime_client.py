"""Asking the Lambda runtime how it does, over its Unix socket."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from darkroom.engine.unix_http import exchange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def status(socket: Path) -> dict[str, Any]:
    """What the runtime says of its queue, workers and functions; empty when it does not answer."""
    try:
        code, body = exchange(socket, "GET", "/status")
        answer: dict[str, Any] = json.loads(body) if code == http.HTTPStatus.OK else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return answer


def refresh(socket: Path, *, warm: Sequence[str], new_credentials: bool = False) -> None:
    """Let it read the functions' configuration anew; it does so by itself a second later.

    Args:
        socket: where it listens.
        warm: functions to start a worker for, so that the first event does not wait for one.
        new_credentials: the role sessions that it holds are void.
    """
    query = [("warm", name) for name in warm] + [("credentials", "drop")] * new_credentials
    try:
        exchange(socket, "POST", "/refresh?" + urlencode(query))
    except (OSError, http.client.HTTPException):
        return  # it is restarting, and reads everything anew then
