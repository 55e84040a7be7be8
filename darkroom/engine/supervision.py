"""Starting, watching and stopping the parts, by supervisord.

supervisord restarts what dies, keeps each part's log within bounds and is asked over a Unix socket in ``run/``.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from darkroom.engine.keys import write_private
from darkroom.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from darkroom.engine.layout import Layout
    from darkroom.engine.parts import Part

_LOG_BYTES = 5_000_000
_LOG_BACKUPS = 2
_STOP_ORDER = ("keeper", "sync", "page", "runtime", "gateway", "engine")
"""The runtime says its last log lines through the gateway; the gateway outlives it, the engine outlives both."""
_EXITED = re.compile(r"^\S+ \S+ \S+ exited: (\S+) \((?P<how>.*); not expected\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PartStatus:
    """How a part does.

    Attributes:
        name: its name.
        state: supervisord's word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL.
        pid: 0 when it does not run.
        uptime_s: seconds since its last start.
        crashes: how often it died by itself since `up`.
        memory_mb: its own and its children's memory (PSS where the system tells it, else RSS).
    """

    name: str
    state: str
    pid: int
    uptime_s: int
    crashes: int
    memory_mb: float

    @property
    def runs(self) -> bool:
        return self.state == "RUNNING"


class Supervisor:
    """supervisord of one environment."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def write(self, parts: Iterable[Part]) -> None:
        """Write the configuration; it holds the engine's root key and is readable by its owner only."""
        layout = self._layout
        sections = [
            _section("unix_http_server", file=str(layout.supervisor_socket), chmod="0700"),
            _section(
                "supervisord",
                logfile=str(layout.logs / "supervisord.log"),
                logfile_maxbytes=_LOG_BYTES,
                logfile_backups=1,
                pidfile=str(layout.supervisor_pid),
                directory=str(layout.run),
                umask="077",
            ),
            _section(
                "rpcinterface:supervisor",
                **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            *(self._program(part) for part in parts),
        ]
        write_private(layout.supervisor_conf, "\n".join(sections))

    def _program(self, part: Part) -> str:
        return _section(
            f"program:{part.name}",
            command=shlex.join(part.command),
            environment=",".join(f'{name}="{value}"' for name, value in sorted(part.environment.items())),
            directory=str(self._layout.run),
            autostart=str(part.autostart).lower(),
            autorestart="true",
            startsecs=0,
            startretries=1000,
            stopwaitsecs=part.stop_wait_s,
            stopasgroup="false",  # a worker finishes what it does; its parent stops it
            killasgroup="true",
            redirect_stderr="true",
            stdout_logfile=str(self._layout.logs / f"{part.name}.log"),
            stdout_logfile_maxbytes=_LOG_BYTES,
            stdout_logfile_backups=_LOG_BACKUPS,
        )

    def is_running(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except EngineError:
            return False

    def start(self) -> None:
        """Start supervisord in the background, with the parts that start with it.

        Raises:
            EngineError: it did not start.
        """
        (self._layout.logs / "supervisord.log").unlink(missing_ok=True)
        started = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._layout.supervisor_conf)],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if started.returncode:
            raise EngineError(f"supervisord did not start:\n{(started.stderr or started.stdout).strip()}")
        _wait(self.is_running, timeout_s=10, what="supervisord")

    def start_part(self, name: str) -> None:
        with contextlib.suppress(_AlreadyStartedError):
            self._call("startProcess", name)

    def stop_part(self, name: str) -> None:
        with contextlib.suppress(_NotRunningError):
            self._call("stopProcess", name)

    def restart_part(self, name: str) -> None:
        self.stop_part(name)
        self.start_part(name)

    def pid_of(self, name: str) -> int:
        """Process id of a part; 0 when it does not run.

        Raises:
            EngineError: supervisord does not run, or has no such part.
        """
        return int(self._call("getProcessInfo", name)["pid"])

    def statuses(self) -> list[PartStatus]:
        """Every part, in the order they depend on each other.

        Raises:
            EngineError: supervisord does not run.
        """
        crashes = self._crashes()
        infos = {info["name"]: info for info in self._call("getAllProcessInfo")}
        order = [name for name in reversed(_STOP_ORDER) if name in infos]
        return [
            PartStatus(
                name=name,
                state=infos[name]["statename"],
                pid=infos[name]["pid"],
                uptime_s=max(0, infos[name]["now"] - infos[name]["start"]) if infos[name]["pid"] else 0,
                crashes=crashes.count(name),
                memory_mb=_memory_mb(infos[name]["pid"]),
            )
            for name in order
        ]

    def stop(self) -> None:
        """Stop every part cleanly, then supervisord; nothing happens when it does not run.

        Raises:
            EngineError: something does not stop.
        """
        pid = self._pid()
        if not self.is_running():
            return
        for name in _STOP_ORDER:
            with contextlib.suppress(EngineError):
                self.stop_part(name)
        with contextlib.suppress(EngineError):
            self._call("shutdown")
        if pid is not None:
            _wait(lambda: not psutil.pid_exists(pid), timeout_s=90, what="supervisord's end")

    def _pid(self) -> int | None:
        try:
            return int(self._layout.supervisor_pid.read_text())
        except (OSError, ValueError):
            return None

    def _crashes(self) -> list[str]:
        """The name of a part for each time that it died by itself."""
        try:
            text = (self._layout.logs / "supervisord.log").read_text(errors="replace")
        except OSError:
            return []
        return [found.group(1) for found in _EXITED.finditer(text)]

    def _call(self, method: str, *arguments: str) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._layout.supervisor_socket}")
        server = ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except Fault as fault:
            raise _fault(fault) from fault
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"supervisord does not answer: {error}") from error
        finally:
            transport.close()


class _AlreadyStartedError(EngineError):
    """startProcess of a part that runs."""


class _NotRunningError(EngineError):
    """stopProcess of a part that does not run."""


def _fault(fault: Fault) -> EngineError:
    # supervisor.xmlrpc.Faults: ALREADY_STARTED 60, NOT_RUNNING 70
    kinds: dict[int, type[EngineError]] = {60: _AlreadyStartedError, 70: _NotRunningError}
    return kinds.get(fault.faultCode, EngineError)(f"supervisord: {fault.faultString}")


def _section(name: str, **options: object) -> str:
    # supervisord expands %(…)s in every value
    lines = [f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _wait(condition: Any, *, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise EngineError(f"{what} was waited for {timeout_s:.0f} s in vain.")
        time.sleep(0.02)


def _memory_mb(pid: int) -> float:
    if not pid:
        return 0.0
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in _family(pid):
            with contextlib.suppress(psutil.Error):
                full = process.memory_full_info()
                total += getattr(full, "pss", 0) or full.rss
    return total / 1_000_000


def _family(pid: int) -> Sequence[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]
