"""The bars of the page, in a real Chromium (scripts/chromium): `python -m bench.page [--pictures 1000]`.

Page ready: an empty browser, from the address to the search field. Labels: in the browser itself, from S3's answer to
the labels in the list of uploads. List and search: over HTTP on the page's port. Sizes: bytes on disk, uncompressed.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from bench.measure import Report, console, machine, spread, until
from bench.photographs import SIZE_BYTES, Photographs
from darkroom.operations.environment import Environment
from darkroom.settings import PROJECT_ROOT, Settings
from tests.integration.conftest import free_port, quiet

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_OPENS = 10
_UPLOADS = 30
_CALLS = 60
_WATCH = """
  window.times = [];
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...body) {
    this.addEventListener('load', () => { window.ended = performance.now(); });
    return send.apply(this, body);
  };
  new MutationObserver(() => {
    const shown = document.querySelectorAll('.uploads .chips').length;
    if (shown > window.times.length) window.times.push(performance.now() - window.ended);
  }).observe(document, { childList: true, subtree: true });
"""


def measure(environment: Environment, photographs: Photographs, report: Report) -> None:
    """Measure everything on an environment that holds some pictures already."""
    _sizes(report)
    address = environment.engine.page
    chromium = subprocess.run(
        [str(PROJECT_ROOT / "scripts" / "chromium")], capture_output=True, text=True, check=True
    ).stdout.strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--no-proxy-server", "--disable-features=LocalNetworkAccessChecks"],
        )
        _opening(browser, address, report)
        _labels(browser, address, photographs, report)
        browser.close()
    _calls(environment, report)


def _sizes(report: Report) -> None:
    files = [
        file for file in (PROJECT_ROOT / "web").rglob("*") if file.suffix in {".html", ".css", ".js", ".svg"}
    ]
    own = sum(file.stat().st_size for file in files if "vendor" not in file.parts)
    everything = sum(file.stat().st_size for file in files)
    report.add(
        "page: own code, everything", "≤ 150 KB, ≤ 300 KB", f"{own / 1000:.0f} KB, {everything / 1000:.0f} KB"
    )


def _opening(browser: Browser, address: str, report: Report) -> None:
    times = []
    for _ in range(_OPENS):
        context = browser.new_context()
        page = context.new_page()
        began = time.perf_counter()
        page.goto(address)
        page.locator("#search").wait_for()
        times.append((time.perf_counter() - began) * 1000)
        context.close()
    report.add("page ready, empty browser", "≤ 1 s", spread(times))


def _labels(browser: Browser, address: str, photographs: Photographs, report: Report) -> None:
    page = browser.new_context().new_page()
    page.add_init_script(_WATCH)
    page.goto(address)
    page.locator("#search").wait_for()
    for number in range(_UPLOADS):
        file: Any = {
            "name": f"bench-{number}.jpg",
            "mimeType": "image/jpeg",
            "buffer": photographs.content(50_000 + number),
        }
        page.set_input_files("#files", file)
        page.locator(".uploads .chips").nth(number).wait_for()
    times: list[float] = page.evaluate("window.times")
    report.add("upload ended → labels visible", "p50 ≤ 400 ms", spread(times))


def _calls(environment: Environment, report: Report) -> None:
    records = environment.images().count_roughly()
    label = environment.images().newest_first()[0]["LabelNames"][0].replace(" ", "%20")
    for name, path in (("list", "api/images?limit=40"), ("search", f"api/search?name={label}&limit=40")):
        times = []
        for _ in range(_CALLS):
            began = time.perf_counter()
            with urllib.request.urlopen(environment.engine.page + path, timeout=20) as answer:  # noqa: S310 (own address)
                answer.read()
            times.append((time.perf_counter() - began) * 1000)
        report.add(f"{name}, 40 pictures", "p95 ≤ 150 ms", f"{spread(times)}; {records:,} records")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument(
        "--pictures", type=int, default=1000, help="how many there are already (default 1000)"
    )
    options = parser.parse_args()
    console.print(f"[bold]{machine()}[/]; photographs of {SIZE_BYTES // 1000} KB")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as folder:
        settings = Settings(
            home=Path(folder) / "home",
            inbox=Path(folder) / "inbox",
            port=free_port(),
            page_port=free_port(),
            project=PROJECT_ROOT,
        )
        environment = Environment(settings)
        environment.up(overrides=(), report=quiet)
        try:
            photographs = Photographs(Path(folder) / "photographs")
            photographs.copy_to(settings.inbox, options.pictures)
            until(lambda: _count(environment) >= options.pictures, timeout_s=900, every_s=1)
            measure(environment, photographs, report)
        finally:
            environment.down()
    report.print()


def _count(environment: Environment) -> int:
    return environment.images().count_roughly()


if __name__ == "__main__":
    main()
