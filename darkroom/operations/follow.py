"""Following images as they are tagged, from the tagger's structured log, and code as it is reloaded."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from darkroom.operations.logs import GroupFollower, LogFollower
from darkroom.operations.reload import read_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from darkroom.operations.environment import Environment
    from darkroom.operations.target import Target

_POLL_S = 0.25
_FIELDS = (
    *("image", "delay_ms", "duration_ms", "rekognition_ms", "rekognition_throttles"),
    *("labels", "source", "not_answered", "error_code", "error_message"),
)


def follow(environment: Environment) -> Iterator[dict[str, Any]]:
    """One outcome per image and per reload from now on, for ever; a reload that failed before is told first.

    Yields:
        ``{"outcome": "tagged" | "failed" | …, "image": key, "time": ISO 8601, …}``; ``outcome`` is the log line's
        message, the other fields are those that the tagger writes with it. Or ``{"outcome": "reloaded" | "not
        reloaded", "time": …, "functions": […], "message": …, "file": …, "line": …}``.
    """
    follower = LogFollower(environment, "tagger")
    reloads = ReloadFollower(environment.layout.reload_status)
    while True:
        yield from reloads.new()
        for line in follower.new():
            outcome = parse(line)
            if outcome is not None:
                yield outcome
        time.sleep(_POLL_S)


def follow_stack(target: Target, *, poll_s: float = 2.0) -> Iterator[dict[str, Any]]:
    """One outcome per image from now on, for ever, of a stack that is deployed elsewhere.

    CloudWatch Logs shows a line some seconds after it was written; asking more often than every two costs quota.
    """
    follower = GroupFollower(target.session, target.outputs.log_group)
    while True:
        for line in follower.new():
            outcome = parse(line)
            if outcome is not None:
                yield outcome
        time.sleep(poll_s)


class ReloadFollower:
    """The outcome of each reload, once; of the one before the first look only if it failed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        before = read_outcome(path)
        self._seen = "" if before.get("message") else before.get("time", "")

    def new(self) -> list[dict[str, Any]]:
        """What has happened since the last call."""
        found = read_outcome(self._path)
        if not found or found["time"] == self._seen:
            return []
        self._seen = found["time"]
        failed = bool(found["message"])
        return [{"outcome": "not reloaded" if failed else "reloaded", **found}]


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
