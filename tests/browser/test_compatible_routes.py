"""A page of another system, opened from a file, works against this stack unchanged."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from darkroom.operations.environment import Environment
from darkroom.settings import PROJECT_ROOT
from tests.integration.conftest import quiet, settings_for
from tests.integration.test_page_api import send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
PICTURE = (PROJECT_ROOT / "fixtures" / "images" / "coffee.png").read_bytes()
PAGE = """<!doctype html><title>another page</title><body><script>
async function tag(api, name, content) {
  const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
  const { presigned_url } = await (await fetch(api + 'PresignedURL?filename=' + name)).json();
  const stored = await fetch(presigned_url, { method: 'PUT', body: bytes });
  if (!stored.ok) throw new Error('not stored: ' + stored.status);
  for (;;) {
    const answer = await fetch(api + 'GetImageLabels?filename=' + name);
    if (answer.ok) return await answer.json();
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
</script></body>"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(settings_for(tmp_path_factory.mktemp("compatible")))
    try:
        environment.up(overrides=("CompatibleRoutes=on", "PageOrigin=*"), report=quiet)
        yield environment
    finally:
        environment.down()


def test_a_page_from_a_file_uploads_under_its_own_name_and_gets_the_labels(
    browser: Browser, opened: Environment, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(PAGE)
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    content = base64.b64encode(PICTURE).decode()
    answer = page.evaluate(f"tag({opened.engine.page!r}, 'coffee.png', {content!r})")
    assert answer["filename"] == "coffee.png"
    assert "Coffee" in answer["labels"]
    context.close()
    assert opened.images().get("uploads/coffee.png") is not None


def test_such_a_page_gets_nothing_else(opened: Environment) -> None:
    for origin in ("null", "https://elsewhere.example"):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert send(f"{opened.engine.page}api/images", headers=headers)[0] == 403
        for path in ("/?Action=ListUsers&Version=2010-05-08", "/darkroom-000000000000?list-type=2"):
            assert send(opened.engine.endpoint + path, headers=headers)[0] == 403
