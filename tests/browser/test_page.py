"""The page in a real Chromium, against a running engine: what a person does with it, and what must not happen."""

from __future__ import annotations

# ruff: noqa: E501 (JavaScript in one line each)
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from darkroom.settings import PROJECT_ROOT
from tests.support import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Visit
    from tests.integration.conftest import Running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
FIXTURES = PROJECT_ROOT / "fixtures" / "images"
CAT, COFFEE, ROCKET, ASTRONAUT = (
    FIXTURES / name
    for name in ("cat-chelsea.png", "coffee.png", "rocket-launch.jpg", "astronaut-eileen-collins.png")
)
XSS = "<img src=x onerror=alert(1)>.jpg"


def upload(page: Page, *files: Path) -> None:
    """Choose files, and wait until each has its outcome."""
    before = page.locator(".uploads li").count()
    page.set_input_files("#files", [str(file) for file in files])
    expect(page.locator(".uploads li")).to_have_count(before + len(files))
    expect(page.locator(".uploads li:has(.state.waiting, .state.sending, .state.analysing)")).to_have_count(
        0, timeout=60_000
    )


def close_tray(page: Page) -> None:
    page.get_by_label("Close the list of uploads").click()


def card(page: Page, name: str) -> Locator:
    return page.locator(".card", has=page.locator(".name", has_text=name)).first


def open_picture(page: Page, name: str) -> Locator:
    card(page, name).locator("a").click()
    dialog = page.locator("dialog[open]")
    expect(dialog.locator(".facts")).to_be_visible()
    return dialog


def test_three_photographs_are_uploaded_and_their_labels_appear_by_themselves(visit: Visit) -> None:
    page = visit()
    upload(page, CAT, COFFEE, ROCKET)
    expect(page.locator(".uploads .state.done")).to_have_count(3)
    expect(page.locator(".uploads li", has_text="coffee.png")).to_contain_text("Coffee")
    expect(card(page, "cat-chelsea.png")).to_contain_text("Animal")
    expect(card(page, "rocket-launch.jpg")).to_contain_text("authored")
    assert (
        card(page, "coffee.png")
        .locator("img")
        .evaluate("image => image.decode().then(() => image.naturalWidth)")
        > 0
    )


def test_a_file_that_is_no_picture_says_why_and_the_others_go_on(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "damaged.jpg").write_bytes(b"no picture at all")
    upload(page, tmp_path / "notes.txt", tmp_path / "empty.jpg", tmp_path / "damaged.jpg", CAT)
    rows = page.locator(".uploads li")
    expect(rows.filter(has_text="notes.txt")).to_contain_text("no picture of a kind")
    expect(rows.filter(has_text="empty.jpg")).to_contain_text("empty")
    expect(rows.filter(has_text="damaged.jpg")).to_contain_text("damaged or of another kind")
    expect(rows.filter(has_text="cat-chelsea.png").locator(".state.done")).to_be_visible()


def test_a_failure_is_listed_with_its_reason_and_can_be_tried_again(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    (tmp_path / "again.jpg").write_bytes(b"no picture either")
    upload(page, tmp_path / "again.jpg")
    close_tray(page)
    page.get_by_role("link", name="Failures").click()
    row = page.locator(".rows li", has_text="again.jpg")
    expect(row).to_contain_text("InvalidImageFormatException")
    row.get_by_role("button", name="Analyse again").click()
    expect(row).to_contain_text("It failed again.", timeout=20_000)


def test_a_batch_of_fifty_with_folders_arrives_whole(visit: Visit, running: Running, tmp_path: Path) -> None:
    page = visit()
    files = []
    for number in range(50):
        file = tmp_path / f"batch-{number:02}.jpg"
        file.write_bytes(pictures.jpeg(1000 + number))
        files.append(file)
    upload(page, *files)
    expect(page.locator(".uploads .state.done")).to_have_count(50, timeout=60_000)
    names = {each["FileName"] for each in running.images.all()}
    assert {file.name for file in files} <= names


def test_a_dropped_folder_is_uploaded_with_its_path(visit: Visit, running: Running) -> None:
    page = visit()
    content = list(pictures.jpeg(4242))
    page.evaluate(
        """async content => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(content)], 'dropped.jpg', {type: 'image/jpeg'}));
          for (const type of ['dragenter', 'dragover', 'drop'])
            window.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        content,
    )
    expect(page.locator(".uploads li", has_text="dropped.jpg").locator(".state.done")).to_be_visible(
        timeout=20_000
    )


def test_a_search_finds_by_label_and_confidence_and_stands_in_the_address(visit: Visit) -> None:
    page = visit()
    upload(page, ROCKET, CAT)
    close_tray(page)
    page.keyboard.press("/")
    page.keyboard.type("rocket")
    page.keyboard.press("Enter")
    expect(page.locator(".found")).to_contain_text("rocket")
    expect(card(page, "rocket-launch.jpg").locator(".match")).to_have_text("96.9 %")
    expect(page.locator(".card", has_text="cat-chelsea")).to_have_count(0)
    page.locator("#least").fill("98")
    expect(page.locator(".empty")).to_contain_text("98 %")
    assert "name=rocket" in page.url
    assert "min=98" in page.url
    page.reload()
    expect(page.locator(".empty")).to_contain_text("98 %")
    page.get_by_role("link", name="Show all pictures").click()
    expect(card(page, "cat-chelsea.png")).to_be_visible()


def test_boxes_lie_where_the_record_says_and_can_be_switched(visit: Visit, running: Running) -> None:
    page = visit()
    upload(page, ASTRONAUT)
    close_tray(page)
    dialog = open_picture(page, ASTRONAUT.name)
    record = next(each for each in running.images.newest_first() if each["FileName"] == ASTRONAUT.name)
    wanted = [(label["Name"], it["BoundingBox"]) for label in record["Labels"] for it in label["Instances"]]
    assert wanted
    boxes = dialog.locator(".box.labels")
    expect(boxes).to_have_count(len(wanted))
    frame = dialog.locator(".frame").bounding_box()
    assert frame is not None
    for at, (name, box) in enumerate(wanted):
        place = boxes.nth(at).bounding_box()
        assert place is not None
        assert boxes.nth(at).get_attribute("data-name") == name
        assert place["x"] - frame["x"] == pytest.approx(box["Left"] * frame["width"], abs=2)
        assert place["y"] - frame["y"] == pytest.approx(box["Top"] * frame["height"], abs=2)
        assert place["width"] == pytest.approx(box["Width"] * frame["width"], abs=3)
        assert place["height"] == pytest.approx(box["Height"] * frame["height"], abs=3)
    dialog.get_by_label("Labels (").uncheck()
    expect(boxes).to_have_count(0)


def test_a_picture_is_analysed_again_and_deleted(visit: Visit, running: Running, tmp_path: Path) -> None:
    page = visit()
    file = tmp_path / "short-lived.jpg"
    file.write_bytes(pictures.jpeg(77))
    upload(page, file)
    close_tray(page)
    before = next(each for each in running.images.newest_first() if each["FileName"] == file.name)
    dialog = open_picture(page, file.name)
    dialog.get_by_role("button", name="Analyse again").click()
    running.record(before["ImageID"], until=lambda now: now["TaggedAt"] != before["TaggedAt"])
    expect(dialog.get_by_role("button", name="Analyse again")).to_be_enabled()
    dialog.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Really delete?").click()
    expect(page.locator("dialog[open]")).to_have_count(0, timeout=20_000)
    expect(page.locator(".card", has_text=file.name)).to_have_count(0)
    assert running.s3.list_objects_v2(Bucket=running.bucket, Prefix=before["ImageID"]).get("KeyCount", 0) == 0


def test_two_browsers_see_each_others_uploads(visit: Visit, tmp_path: Path) -> None:
    first, second = visit(), visit()
    file = tmp_path / "from-the-other-one.jpg"
    file.write_bytes(pictures.jpeg(99))
    upload(first, file)
    expect(card(second, file.name)).to_be_visible(timeout=20_000)


def test_names_and_labels_with_markup_are_text(visit: Visit, running: Running, tmp_path: Path) -> None:
    page = visit()
    (tmp_path / XSS).write_bytes(pictures.jpeg(666))
    upload(page, tmp_path / XSS)
    expect(page.locator(".uploads li strong", has_text=XSS)).to_be_visible()
    close_tray(page)
    expect(card(page, XSS)).to_be_visible()
    dialog = open_picture(page, XSS)
    expect(dialog.locator("h2")).to_have_text(XSS)
    record = next(each for each in running.images.newest_first() if each["FileName"] == XSS)
    evil = "<script>document.title='owned'</script>"
    answer = json.dumps({"id": "x", "key": "k", "fileName": XSS, "status": "TAGGED", "uploadedAt": "", "labels": [], "labelCount": 1,
        "faceCount": 0, "celebrities": [], "moderation": [], "failure": None, "thumbnail": None, "picture": None,
        "record": {**record, "Labels": [{"Name": evil, "Confidence": 99.0, "Parents": [evil], "Categories": [], "Instances": [
            {"BoundingBox": {"Left": 0, "Top": 0, "Width": 1, "Height": 1}, "Confidence": 9.0}]}],
            "Celebrities": [{"Name": "X", "Confidence": 9.0, "Urls": ["javascript:alert(1)", "www.example.org/x"]}]}})  # fmt: skip
    page.route("**/api/images/*", lambda route: route.fulfill(body=answer, content_type="application/json"))
    page.reload()
    expect(page.locator("dialog .facts")).to_contain_text(evil)
    assert page.locator("dialog a[href^=javascript]").count() == 0
    assert page.title() != "owned"
    assert page.locator("img[src=x], script:not([src])").count() == 0


def test_everything_can_be_done_with_the_keyboard(visit: Visit) -> None:
    page = visit()
    upload(page, CAT, COFFEE)
    page.get_by_label("Close the list of uploads").press("Enter")
    page.reload()
    expect(page.locator(".card:not(.ghost)").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.textContent.trim() || document.activeElement.id || document.activeElement.getAttribute('aria-label')"
            )
        )
    assert {"Pictures", "Insights", "Alerts", "Failures", "Upload", "search"} <= reached
    page.locator(".card a").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open] .facts")).to_be_visible()
    address = page.url
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(address)
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert "picture=" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1360])
def test_no_rule_of_axe_core_is_broken_on_any_screen(visit: Visit, scheme: Any, width: int) -> None:
    page = visit(width=width, scheme=scheme)
    upload(page, ASTRONAUT, CAT)
    visit.screenshot(page, f"uploads-{scheme}-{width}")
    assert_accessible(page, "uploads")
    close_tray(page)
    screens = {"pictures": "#/", "search": "#/?name=Person&kind=label&min=80", "nothing": "#/?name=Unicorn&kind=label",
        "insights": "#/insights", "alerts": "#/alerts", "failures": "#/failures"}  # fmt: skip
    for name, address in screens.items():
        page.goto(visit.address + address)
        expect(page.locator("main .boot, .card.ghost")).to_have_count(0)
        page.wait_for_timeout(300)
        assert_accessible(page, name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{name} is wider than {width}"
        )
        visit.screenshot(page, f"{name}-{scheme}-{width}")
    page.goto(visit.address)
    open_picture(page, ASTRONAUT.name)
    page.wait_for_timeout(300)
    assert_accessible(page, "picture")
    visit.screenshot(page, f"picture-{scheme}-{width}")


def assert_accessible(page: Page, screen: str) -> None:
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    said = [
        f"{each['id']}: {[node['target'] for node in each['nodes']][:3]}"
        for each in found.response["violations"]
    ]
    assert not said, f"{screen}: {said}"


def test_an_error_says_what_to_do_and_trying_again_works(visit: Visit) -> None:
    page = visit(open_at="about:blank")
    broken = [True]
    body = json.dumps({"title": "A service behind this one does not answer now.", "status": 500})

    def answer(route: Any) -> None:
        if broken[0]:
            route.fulfill(status=500, body=body, content_type="application/problem+json")
        else:
            route.continue_()

    page.route("**/api/images?*", answer)
    page.goto(visit.address)
    expect(page.get_by_role("alert")).to_contain_text("does not answer now")
    broken[0] = False
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    visit.forgive("500")


def test_nothing_is_asked_while_the_page_is_hidden(visit: Visit) -> None:
    page = visit()
    asked: list[float] = []
    page.on("request", lambda request: asked.append(time.monotonic()) if "/api/" in request.url else None)
    page.evaluate(
        """() => {
          Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});
          document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    page.wait_for_timeout(2500)  # what was under way ends
    begin = len(asked)
    page.wait_for_timeout(5000)
    assert len(asked) == begin
    page.evaluate(
        """() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }"""
    )
    page.wait_for_timeout(3000)
    assert len(asked) > begin


def test_the_page_is_small(visit: Visit) -> None:
    web = PROJECT_ROOT / "web"
    sizes = {
        file: file.stat().st_size
        for file in web.rglob("*")
        if file.suffix in {".html", ".css", ".js", ".svg"}
    }
    own = sum(size for file, size in sizes.items() if "vendor" not in file.parts)
    assert own <= 150_000
    assert sum(sizes.values()) <= 300_000


def test_every_file_of_the_page_that_is_loaded_at_once_is_asked_for_at_once(visit: Visit) -> None:
    page = visit(open_at="about:blank")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(visit.address)
    expect(page.locator("#search")).to_be_visible()
    scripts = {url.rsplit("/", 1)[-1] for url in loaded if url.endswith(".js")}
    preloaded = set(
        page.evaluate(
            "[...document.querySelectorAll('link[rel=modulepreload]')].map(link => link.href.split('/').pop())"
        )
    )
    assert scripts - {"app.js"} == preloaded
