"""The logs of parts (files) and of functions (CloudWatch Logs)."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from darkroom.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import boto3

    from darkroom.engine.base import PartLog
    from darkroom.operations.environment import Environment

_POLL_S = 0.3
_RECENT_MS = 15 * 60 * 1000
_REREAD_MS = 5_000
MADE_UP = re.compile(r"^REPORT RequestId: \S+\tDuration: \d+ ms\t")
"""A REPORT line of ministack's own, which knows nothing of what our runtime did."""


def last_lines(environment: Environment, names: Sequence[str], count: int) -> Iterator[str]:
    """The last lines of each named log; of every part when none is named.

    Raises:
        UsageError: a name is neither a part nor a function.
    """
    parts = environment.engine.part_names()
    for name in names or parts:
        if len(names) != 1:
            yield f"── {name} ──"
        if name in parts:
            yield from environment.engine.part_log(name).last(count)
        else:
            yield from _events(environment, name, count)


def follow_logs(environment: Environment, names: Sequence[str]) -> Iterator[str]:
    """New lines of the named logs as they come, for ever; each begins with its log's name."""
    engine = environment.engine
    parts = engine.part_names()
    chosen = names or parts
    followed: dict[str, PartLog | LogFollower] = {
        name: engine.part_log(name) if name in parts else LogFollower(environment, name) for name in chosen
    }
    while True:
        for name, log in followed.items():
            for line in log.new():
                yield f"{name} | {line}"
        time.sleep(_POLL_S)


class GroupFollower:
    """New events of one log group, each once."""

    def __init__(self, session: boto3.Session, group: str, *, since_ms: int | None = None) -> None:
        self._client = session.client("logs")
        self._group = group
        self._since_ms = int(time.time() * 1000) if since_ms is None else since_ms
        self._seen: set[tuple[str, int, str]] = set()

    def new(self) -> list[str]:
        """The messages since the last call, in their order."""
        # events of one moment may come in two answers, and the engine gives them no id: the last seconds are
        # read again, and stream, time and text tell what was seen
        found = _filter(self._client, self._group, self._since_ms)
        fresh = [event for event in found if _identity(event) not in self._seen]
        self._seen = {_identity(event) for event in found}
        if found:
            self._since_ms = max(self._since_ms, found[-1]["timestamp"] - _REREAD_MS)
        return [event["message"].rstrip() for event in fresh]


class LogFollower(GroupFollower):
    """The same for a function of a local environment."""

    def __init__(self, environment: Environment, function: str, *, since_ms: int | None = None) -> None:
        super().__init__(environment.session(), log_group(environment, function), since_ms=since_ms)


def log_group(environment: Environment, function: str) -> str:
    """The log group of a function that is named as in the template (`tagger`) or in full."""
    return log_group_of(environment.settings.stack, function)


def log_group_of(stack: str, function: str) -> str:
    """The log group of a stack's function."""
    full = function if function.startswith(f"{stack}-") else f"{stack}-{function}"
    return f"/aws/lambda/{full}"


def _events(environment: Environment, function: str, count: int) -> list[str]:
    """The last lines of a function's log, each with its time."""
    client = environment.session().client("logs")
    group = log_group(environment, function)
    try:
        found = _filter(client, group, int(time.time() * 1000) - _RECENT_MS)
        if len(found) < count:
            found = _filter(client, group, 0)
    except client.exceptions.ResourceNotFoundException:
        raise UsageError(
            f"There is no part and no function {function!r} with a log.",
            hint=f"Parts are {', '.join(environment.engine.part_names())}; the functions stand in template.yaml.",
        ) from None
    return [
        f"{datetime.fromtimestamp(event['timestamp'] / 1000).astimezone():%H:%M:%S} {event['message'].rstrip()}"
        for event in found[-count:]
    ]


def log_lines(client: Any, group: str, since_ms: int, *, pattern: str) -> list[str]:
    """Lines since a moment that a filter pattern of CloudWatch Logs lets through, in no order."""
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=since_ms, filterPattern=pattern
    )
    return [event["message"].rstrip() for page in pages for event in page["events"]]


def _filter(client: Any, group: str, since_ms: int) -> list[dict[str, Any]]:
    """Events since a moment, by time; without those that the engine makes up itself.

    ministack writes START, END and REPORT of its own for each event that it hands to our runtime, each time to a new
    stream; its report has whole milliseconds.
    """
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms)
    events = [event for page in pages for event in page["events"]]
    made_up = {event["logStreamName"] for event in events if MADE_UP.search(event["message"])}
    return sorted(
        (event for event in events if event["logStreamName"] not in made_up),
        key=lambda event: event["timestamp"],
    )


def _identity(event: dict[str, Any]) -> tuple[str, int, str]:
    return event["logStreamName"], event["timestamp"], event["message"]
