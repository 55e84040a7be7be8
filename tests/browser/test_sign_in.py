"""Signing in and out in a real Chromium: Cognito's pages, the code flow with PKCE, an authorizer on every route."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from darkroom.cli import cli
from darkroom.errors import NotFoundError, UsageError
from darkroom.operations.environment import Environment
from darkroom.operations.users import People
from darkroom.settings import PROJECT_ROOT
from tests.browser.conftest import Visit
from tests.integration.conftest import quiet, settings_for
from tests.integration.test_page_api import send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.integration.conftest import Running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
PERSON, PASSWORD = "ana@example.com", "Correct-Horse-7"
CAT = PROJECT_ROOT / "fixtures" / "images" / "cat-chelsea.png"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment in which people sign in."""
    environment = Environment(settings_for(tmp_path_factory.mktemp("sign-in")))
    try:
        environment.up(overrides=("SignIn=on",), report=quiet)
        people(environment).add(PERSON, password=PASSWORD)
        yield environment
    finally:
        environment.down()


def people(environment: Environment) -> People:
    return People(environment.session(), pool=environment.user_pool())


@pytest.fixture
def visit(browser: Browser, signed: Environment) -> Iterator[Visit]:
    visit = Visit(browser, signed.engine.page)
    yield visit
    visit.forgive("status of 404")  # the sign-in page is the engine's, and has no icon
    visit.close()


def sign_in(page: Page, address: str, *, hash_: str = "", password: str = PASSWORD) -> None:
    page.goto(address + hash_)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill(PERSON)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_who_signs_in_can_upload_and_comes_back_to_the_view_that_they_wanted(visit: Visit) -> None:
    page = visit(open_at="about:blank")
    sign_in(page, visit.address, hash_="#/insights")
    expect(page.get_by_role("heading", name="Insights")).to_be_visible()
    expect(page.locator(".person")).to_have_text(PERSON)
    assert "code=" not in page.url
    page.get_by_role("link", name="Pictures", exact=True).click()
    page.set_input_files("#files", str(CAT))
    expect(page.locator(".uploads .state.done")).to_have_count(1, timeout=20_000)
    page.reload()
    expect(page.locator(".card", has_text="cat-chelsea.png").first).to_be_visible()


def test_after_signing_out_nothing_is_shown_until_somebody_signs_in_again(visit: Visit) -> None:
    page = visit(open_at="about:blank")
    sign_in(page, visit.address)
    expect(page.locator("#search")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('darkroom.tokens')") is None
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.locator(".card")).to_have_count(0)


def test_a_wrong_password_lets_nobody_in(visit: Visit) -> None:
    page = visit(open_at="about:blank")
    sign_in(page, visit.address, password="wrong")
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    assert "code=" not in page.url
    visit.forgive("status of 4")


def test_the_code_is_asked_for_with_pkce_and_one_that_somebody_else_started_is_not_taken(
    visit: Visit,
) -> None:
    page = visit(open_at="about:blank")
    page.goto(visit.address)
    with page.expect_request(re.compile("/oauth2/authorize")) as asked:
        page.get_by_role("button", name="Sign in").click()
    query = parse_qs(urlsplit(asked.value.url).query)
    assert query["response_type"] == ["code"]
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert len(query["state"][0]) >= 43
    page.goto(f"{visit.address}?code=stolen&state=of-somebody-else")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert "code=" not in page.url


ROUTES = [
    ("GET", "api/health"), ("GET", "api/images"), ("GET", "api/images/aaaa"), ("GET", "api/search?name=a"),
    ("GET", "api/suggestions"), ("GET", "api/counts"), ("GET", "api/alerts"), ("GET", "api/openapi.json"),
    ("POST", "api/uploads"), ("POST", "api/images/lookup"), ("POST", "api/images/aaaa/retag"),
    ("DELETE", "api/images/aaaa"), ("OPTIONS", "api/images"), ("HEAD", "api/images"),
]  # fmt: skip


def forged() -> str:
    """A token that says the right things and is signed by nobody."""
    parts = [{"alg": "none"}, {"sub": "x", "email": PERSON, "exp": 9_999_999_999}]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        + "."
    )


@pytest.mark.parametrize("token", ["", "nonsense", forged()], ids=["none", "nonsense", "forged"])
@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_every_route_but_the_pages_files_is_closed(
    signed: Environment, method: str, route: str, token: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    status, _, _ = send(signed.engine.page + route, method=method, headers=headers)
    assert status in {401, 403}
    for file in ("", "config.json"):
        assert send(signed.engine.page + file)[0] == 200


def test_the_older_systems_routes_stay_off_where_people_sign_in(signed: Environment) -> None:
    for route in ("PresignedURL?filename=a.jpg", "GetImageLabels?filename=a.jpg"):
        assert send(signed.engine.page + route)[0] == 404


def test_people_are_added_listed_and_removed(signed: Environment) -> None:
    all_people = people(signed)
    made = all_people.add("bo@example.com")
    assert len(made) >= 12
    with pytest.raises(UsageError, match="already"):
        all_people.add("bo@example.com")
    with pytest.raises(UsageError, match="refuses"):
        all_people.add("cy@example.com", password="short")
    assert [each.email for each in all_people.all()] == [PERSON, "bo@example.com"]
    all_people.remove("bo@example.com")
    with pytest.raises(NotFoundError):
        all_people.remove("bo@example.com")


def test_where_nobody_signs_in_the_command_says_how_to_change_that(running: Running) -> None:
    with pytest.raises(NotFoundError, match="SignIn=off") as error:
        People(running.environment.session(), pool=running.environment.user_pool())
    assert "SignIn=on" in error.value.hint


def test_the_command_is_described(capsys: Any) -> None:
    assert cli(["user", "--help"], standalone_mode=False) == 0
    assert "add" in capsys.readouterr().out
