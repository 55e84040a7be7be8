"""Following images as they are tagged, from the tagger's structured log."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from darkroom.operations.logs import LogFollower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.operations.environment import Environment

_POLL_S = 0.25
_FIELDS = ("image", "duration_ms", "labels", "source", "error_code", "error_message")


def follow(environment: Environment) -> Iterator[dict[str, Any]]:
    """One outcome per image from now on, for ever.

    Yields:
        ``{"outcome": "tagged" | "failed" | …, "image": key, "time": ISO 8601, …}``; ``outcome`` is the log line's
        message, the other fields are those that the tagger writes with it.
    """
    follower = LogFollower(environment, "tagger")
    while True:
        for line in follower.new():
            outcome = parse(line)
            if outcome is not None:
                yield outcome
        time.sleep(_POLL_S)


def parse(line: str) -> dict[str, Any] | None:
    """What one log line says of an image; None for every other line."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if "image" not in entry or "message" not in entry:
        return None
    found = {name: entry[name] for name in _FIELDS if name in entry}
    return {"outcome": entry["message"], "time": entry.get("timestamp", ""), **found}
