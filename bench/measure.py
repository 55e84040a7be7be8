"""What every benchmark needs: percentiles, memory, a table, the machine in one line."""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

console = Console(highlight=False, width=110)


@dataclass(slots=True)
class Report:
    """Rows of "what, bar, measured"."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, bar: str, measured: str) -> None:
        self.rows.append((what, bar, measured))
        console.print(f"  {what}: {measured}")

    def print(self) -> None:
        table = Table("what", "bar", "measured", box=None, header_style="bold")
        for row in self.rows:
            table.add_row(*row)
        console.print()
        console.print(table)


def machine() -> str:
    memory_gb = psutil.virtual_memory().total / 1e9
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {system}"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def spread(values_ms: Sequence[float]) -> str:
    return f"p50 {statistics.median(values_ms):.0f} ms, p95 {percentile(values_ms, 95):.0f} ms (n = {len(values_ms)})"


def family_memory_mb(pids: Sequence[int]) -> float:
    """Memory of processes and their children: PSS, which counts shared pages once."""
    total = 0
    for pid in pids:
        try:
            parent = psutil.Process(pid)
            for process in [parent, *parent.children(recursive=True)]:
                total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


class PeakMemory:
    """The most memory that some processes had while the block ran."""

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self._pids = pids
        self._stop = threading.Event()
        self.peak_mb = 0.0

    def __enter__(self) -> PeakMemory:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self.peak_mb = max(self.peak_mb, family_memory_mb(self._pids()))


def until(condition: Callable[[], bool], *, timeout_s: float, every_s: float = 0.005) -> float:
    """Seconds until the condition holds.

    Raises:
        TimeoutError: it does not hold in time.
    """
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > timeout_s:
            raise TimeoutError(f"still not so after {timeout_s:.0f} s")
        time.sleep(every_s)
    return time.perf_counter() - began
