"""A real Chromium, and a page of somebody else's for it."""

from __future__ import annotations

import http.server
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from darkroom.settings import PROJECT_ROOT
from tests.contract.conftest import new_engine
from tests.integration.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

__all__ = ["new_engine", "running"]

_QUIET = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # a recent Chromium asks before a page may reach this machine; others do not, and people say yes
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    # names of other people, all on this machine: cross-site pages, and DNS that was rebound
    "--host-resolver-rules=MAP *.example 127.0.0.1",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = subprocess.run(
        [str(PROJECT_ROOT / "scripts" / "chromium")], capture_output=True, text=True, check=False, timeout=300
    )
    if found.returncode:
        pytest.fail(found.stderr)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=list(_QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site() -> Iterator[int]:
    """Port of a web server of somebody else's; every path is the same empty page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>a page</title><body></body>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
