"""`make bench`: the bars of the design, measured on this machine, beside bare ministack in the same run.

    python -m bench [--burst 1000] [--quick]

Everything runs in environments of its own (ports, folders); nothing that is up is touched.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import bare, rekognition
from bench import page as page_bars
from bench.measure import PeakMemory, Report, console, family_memory_mb, machine, spread, until
from bench.photographs import SIZE_BYTES, Photographs
from darkroom.operations.environment import Environment
from darkroom.settings import PROJECT_ROOT, Settings
from tests.integration.conftest import free_port, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.operations.records import Images

_PRESET = "environments/local.toml"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--burst", type=int, default=1000, help="photographs in the burst (default 1000)")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it works")
    options = parser.parse_args()
    burst = max(10, options.burst // 10) if options.quick else options.burst
    drops = 20 if options.quick else 100
    report = Report()
    console.print(f"[bold]{machine()}[/]; preset {_PRESET}; photographs of {SIZE_BYTES // 1000} KB")
    _help_time(report)
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as folder:
        photographs = Photographs(Path(folder) / "photographs")
        settings = Settings(
            home=Path(folder) / "home", inbox=Path(folder) / "inbox", port=free_port(), project=PROJECT_ROOT
        )
        environment = Environment(settings)
        environment.up(overrides=(), report=quiet)
        try:
            _up_time(environment, report)
            _latency(environment, photographs, report, drops)
            _burst(environment, photographs, report, burst)
            page_bars.measure(environment, photographs, report)
        finally:
            environment.down()
        rekognition.compare(report)
        bare.compare(Path(folder) / "bare", photographs, report, burst)
    report.print()


def _help_time(report: Report) -> None:
    times = []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "darkroom.cli", "--help"], check=True, capture_output=True)
        times.append((time.perf_counter() - began) * 1000)
    report.add("darkroom --help", "≤ 200 ms", spread(times))


def _up_time(environment: Environment, report: Report) -> None:
    """Installed and deployed: from `darkroom up` to its return, as a process."""
    settings = environment.settings
    variables = {
        "DARKROOM_HOME": str(settings.home),
        "DARKROOM_INBOX": str(settings.inbox),
        "DARKROOM_PORT": str(settings.port),
        "PATH": "/usr/bin:/bin",
    }
    times = []
    for _ in range(5):
        environment.down()
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "darkroom.cli", "up"], check=True, capture_output=True, env=variables
        )
        times.append((time.perf_counter() - began) * 1000)
    report.add("up, installed, to ready", "≤ 3 s", spread(times))


def _latency(environment: Environment, photographs: Photographs, report: Report, count: int) -> None:
    """File closed in the inbox -> record readable, one after the other, warm."""
    images = environment.images()
    times = []
    for number in range(count + 5):
        name = f"latency/{number}.jpg"
        path = environment.settings.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photographs.content(number))
        seconds = until(partial(_has_record, images, f"uploads/{name}"), timeout_s=30, every_s=0.002)
        if number >= 5:  # the first ones start workers
            times.append(seconds * 1000)
        time.sleep(0.02)
    report.add("file closed → record readable, warm", "p50 ≤ 60, p95 ≤ 150 ms", spread(times))


def _has_record(images: Images, key: str) -> bool:
    return images.get(key) is not None


def _burst(environment: Environment, photographs: Photographs, report: Report, count: int) -> None:
    """Photographs dropped at once -> every record there; then lost and doubled ones are counted."""
    folder = environment.settings.inbox / "burst"
    folder.mkdir()
    pids = [_supervisor_pid(environment)]  # every part is a child of it, every worker a child of a part
    with PeakMemory(lambda: pids) as memory:
        began = time.perf_counter()
        photographs.copy_to(folder, count)
        until(lambda: _settled(environment, count), timeout_s=900, every_s=0.1)
        seconds = time.perf_counter() - began
    records = [
        record for record in environment.images().all() if record["ImageID"].startswith("uploads/burst/")
    ]
    tagged = {record["ImageID"] for record in records if record["Status"] == "TAGGED"}
    documents = sum(1 for _ in _keys(environment, "metadata/burst/"))
    report.add(
        f"burst of {count} photographs",
        "≥ 60 img/s, none lost, none twice",
        f"{count / seconds:.0f} img/s; {len(tagged)} tagged, {documents} JSON files, "
        f"{count - len(tagged)} lost, {len(records) - len(tagged)} not tagged",
    )
    report.add("memory in the burst (PSS, all processes)", "≤ 700 MB", f"{memory.peak_mb:.0f} MB")
    time.sleep(320)  # surplus workers end after two minutes without work, the last one after five
    report.add("memory idle, five minutes after the burst", "≤ 300 MB", f"{family_memory_mb(pids):.0f} MB")


def _settled(environment: Environment, count: int) -> bool:
    queue = environment.engine.runtime_status().get("queue") or {}
    sync = json.loads(environment.layout.sync_status.read_text())
    idle = sync["state"] == "idle" and queue.get("waiting") == 0 and queue.get("running") == 0
    return bool(idle and sync["uploaded"] >= count and queue["succeeded"] >= count)


def _keys(environment: Environment, prefix: str) -> Iterator[str]:
    pages = environment.session().client("s3").get_paginator("list_objects_v2")
    bucket = environment.engine.bucket()
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"]


def _supervisor_pid(environment: Environment) -> int:
    return int(environment.layout.supervisor_pid.read_text())


if __name__ == "__main__":
    main()
