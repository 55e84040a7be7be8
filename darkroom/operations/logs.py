"""The logs of parts (files) and of functions (CloudWatch Logs)."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from darkroom.operations.environment import Environment

_PARTS = ("engine", "gateway", "runtime", "sync")
_POLL_S = 0.3


def last_lines(environment: Environment, names: Sequence[str], count: int) -> Iterator[str]:
    """The last lines of each named log; of every part when none is named.

    Raises:
        UsageError: a name is neither a part nor a function.
    """
    for name in names or _PARTS:
        if len(names) != 1:
            yield f"── {name} ──"
        if name in _PARTS:
            yield from _tail_of(environment.layout.logs / f"{name}.log", count)
        else:
            yield from deque(_events(environment, name, since_ms=0), maxlen=count)


def follow_logs(environment: Environment, names: Sequence[str]) -> Iterator[str]:
    """New lines of the named logs as they come, for ever; each begins with its log's name."""
    chosen = names or _PARTS
    places = {name: _size(environment.layout.logs / f"{name}.log") for name in chosen if name in _PARTS}
    functions = {name: LogFollower(environment, name) for name in chosen if name not in _PARTS}
    while True:
        for name in places:
            path = environment.layout.logs / f"{name}.log"
            size = _size(path)
            if size < places[name]:  # rotated
                places[name] = 0
            if size > places[name]:
                with path.open(errors="replace") as file:
                    file.seek(places[name])
                    for line in file:
                        yield f"{name} | {line.rstrip()}"
                    places[name] = file.tell()
        for name, follower in functions.items():
            for line in follower.new():
                yield f"{name} | {line}"
        time.sleep(_POLL_S)


class LogFollower:
    """New events of one function's log group, each once."""

    def __init__(self, environment: Environment, function: str, *, since_ms: int | None = None) -> None:
        self._client = environment.session().client("logs")
        self._group = log_group(environment, function)
        self._since_ms = int(time.time() * 1000) if since_ms is None else since_ms
        self._seen: set[str] = set()

    def new(self) -> list[str]:
        """The messages since the last call, in their order."""
        lines: list[str] = []
        latest = self._since_ms
        for event in _filter(self._client, self._group, self._since_ms):
            identity = event["eventId"]
            if identity not in self._seen:
                self._seen.add(identity)
                lines.append(event["message"].rstrip())
                latest = max(latest, event["timestamp"])
        # events of one moment may come in two answers: a little is read again, and told apart by id
        self._since_ms = max(self._since_ms, latest - 5_000)
        return lines


def log_group(environment: Environment, function: str) -> str:
    """The log group of a function that is named as in the template (`tagger`) or in full."""
    stack = environment.settings.stack
    full = function if function.startswith(f"{stack}-") else f"{stack}-{function}"
    return f"/aws/lambda/{full}"


def _events(environment: Environment, function: str, *, since_ms: int) -> Iterator[str]:
    client = environment.session().client("logs")
    try:
        for event in _filter(client, log_group(environment, function), since_ms):
            when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            yield f"{when:%H:%M:%S} {event['message'].rstrip()}"
    except client.exceptions.ResourceNotFoundException:
        raise UsageError(
            f"There is no part and no function {function!r} with a log.",
            hint=f"Parts are {', '.join(_PARTS)}; the functions stand in template.yaml.",
        ) from None


def _filter(client: Any, group: str, since_ms: int) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms)
    for page in pages:
        yield from page["events"]


def _tail_of(path: Path, count: int) -> Iterator[str]:
    try:
        with path.open(errors="replace") as file:
            yield from (line.rstrip() for line in deque(file, maxlen=count))
    except FileNotFoundError:
        yield "(nothing yet)"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
