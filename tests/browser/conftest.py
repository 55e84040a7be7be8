"""A real Chromium, and a page of somebody else's for it."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import sync_playwright

from darkroom.settings import PROJECT_ROOT
from tests.contract.conftest import new_engine
from tests.integration.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Error, Page

    from tests.integration.conftest import Running

__all__ = ["new_engine", "running"]

SCREENSHOTS = Path(os.environ.get("DARKROOM_SCREENSHOTS") or PROJECT_ROOT / "build" / "screenshots")
"""Where tests of the page leave pictures of every screen, for people to look at."""

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


class Visit:
    """Opens the page as a person does, and notes what goes wrong in it.

    Attributes:
        address: of the page.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self.address = address
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._troubles: list[str] = []

    def __call__(
        self, *, width: int = 1360, scheme: Literal["light", "dark"] = "light", open_at: str = ""
    ) -> Page:
        """A browser of its own."""
        is_phone = width < 500
        context = self._browser.new_context(
            viewport={"width": width, "height": 844 if is_phone else 860},
            color_scheme=scheme,
            has_touch=is_phone,
            is_mobile=is_phone,
        )
        context.set_default_timeout(15_000)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", self._note_error)
        page.on("console", self._note_console)
        page.on("dialog", self._note_dialog)
        page.goto(open_at or self.address)
        if not open_at:
            page.locator("#search").wait_for()
        return page

    def _note_error(self, error: Error) -> None:
        self._troubles.append(f"error: {error}")

    def _note_console(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self._troubles.append(said.text)

    def _note_dialog(self, dialog: Dialog) -> None:
        self._troubles.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def screenshot(self, page: Page, name: str) -> None:
        """Keep a picture of a screen."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def forgive(self, part: str) -> None:
        """Take out what a test has caused itself."""
        self._troubles = [each for each in self._troubles if part not in each]

    def close(self) -> None:
        """Close every browser; nothing may have gone wrong in one."""
        for context in self._contexts:
            context.close()
        assert not self._troubles, self._troubles


@pytest.fixture
def visit(browser: Browser, running: Running) -> Iterator[Visit]:
    visit = Visit(browser, running.environment.engine.page)
    yield visit
    visit.close()
