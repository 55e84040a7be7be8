"""How containers do, in the words of the supervised parts; and their logs."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.engine.localstack.docker import Docker
from darkroom.engine.supervision import PartStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STATES = {"running": "RUNNING", "exited": "EXITED", "created": "STARTING", "restarting": "BACKOFF"}


def container_status(service: str, container: Any) -> PartStatus:
    """One service; `container` is None where Compose has none."""
    if container is None:
        return PartStatus(service, "STOPPED", 0, 0, 0, 0.0)
    state = container.attrs["State"]
    name = _STATES.get(state["Status"], state["Status"].upper())
    if name == "RUNNING" and (state.get("Health") or {}).get("Status") == "unhealthy":
        name = "UNHEALTHY"
    return PartStatus(
        name=service,
        state=name,
        pid=state["Pid"],
        uptime_s=_uptime_s(state["StartedAt"]) if name == "RUNNING" else 0,
        crashes=container.attrs.get("RestartCount", 0),
        memory_mb=_memory_mb(container),
    )


def functions_status(containers: Sequence[Any]) -> list[PartStatus]:
    """The containers that LocalStack runs functions in, as one part; none where there are none."""
    running = [container for container in containers if container.attrs["State"]["Status"] == "running"]
    if not running:
        return []
    memory_mb = sum(_memory_mb(container) for container in running)
    oldest_s = max(_uptime_s(container.attrs["State"]["StartedAt"]) for container in running)
    return [PartStatus(f"functions ({len(running)})", "RUNNING", 0, oldest_s, 0, memory_mb)]


def _uptime_s(started: str) -> int:
    moment = datetime.fromisoformat(started[:19]).replace(tzinfo=UTC)
    return max(0, int((datetime.now(UTC) - moment).total_seconds()))


def _memory_mb(container: Any) -> float:
    """What the container holds, without the files that the kernel keeps for it; 0 where that is not told."""
    if container.attrs["State"]["Status"] != "running":
        return 0.0
    with contextlib.suppress(Exception):
        memory = container.stats(stream=False, one_shot=True)["memory_stats"]
        kept = memory.get("stats", {}).get("inactive_file") or memory.get("stats", {}).get(
            "total_inactive_file", 0
        )
        return float(memory["usage"] - kept) / 1_000_000
    return 0.0


class ContainerLog:
    """The log of one container (`darkroom.engine.base.PartLog`)."""

    def __init__(self, project: str, service: str) -> None:
        self._project = project
        self._service = service
        self._since = time.time()

    def last(self, count: int) -> Iterator[str]:
        yield from self._lines(tail=count)

    def new(self) -> Iterator[str]:
        since, self._since = self._since, time.time()
        yield from self._lines(since=since, until=self._since)

    def _lines(self, **what: Any) -> list[str]:
        with Docker.connect() as docker:
            container = docker.container(project=self._project, service=self._service)
            text: bytes = container.logs(**what)
        return text.decode(errors="replace").splitlines()
