"""A page of somebody else's, in a real Chromium, tries to change the local AWS in every way that a page has.

Each attempt must really arrive at the gateway, and nothing may be different afterwards; the same page against an engine
without our gateway succeeds, which shows that the attempts are worth something.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Response

    from tests.contract.conftest import Engine
    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration

TEMPLATE = json.dumps(
    {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "intruder"}}}}
)


def credentials(service: str) -> dict[str, str]:
    """What emulators take for a signature."""
    return {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"test/20260101/us-east-1/{service}/aws4_request",
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
        "AWSAccessKeyId": "test",
    }


CALLS = {
    "create a user": "/?"
    + urlencode(
        {"Action": "CreateUser", "UserName": "intruder", "Version": "2010-05-08", **credentials("iam")}
    ),
    "create a stack": "/?"
    + urlencode(
        {
            "Action": "CreateStack",
            "StackName": "intruder",
            "TemplateBody": TEMPLATE,
            "Version": "2010-05-15",
            **credentials("cloudformation"),
        }
    ),
    "create a function": "/2015-03-31/functions?" + urlencode(credentials("lambda")),
    "invoke a function": "/2015-03-31/functions/darkroom-tagger/invocations?"
    + urlencode(credentials("lambda")),
    "reset everything": "/_ministack/reset",
}
FUNCTION = json.dumps(
    {
        "FunctionName": "intruder",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/intruder",
        "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="},
    }
)

# ruff: noqa: E501 (JavaScript in one line each)
WAYS = {
    "an image": "url => { new Image().src = url }",
    "a script": "url => { const s = document.createElement('script'); s.src = url; document.body.append(s) }",
    "a style sheet": (
        "url => { const l = document.createElement('link'); l.rel = 'stylesheet'; l.href = url; document.head.append(l) }"
    ),
    "a frame": "url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f) }",
    "a sandboxed frame": (
        "url => { const f = document.createElement('iframe'); f.sandbox = 'allow-scripts allow-forms'; "
        "f.srcdoc = `<form method=post action='${url}'></form><script>document.forms[0].submit()</script>`; "
        "document.body.append(f) }"
    ),
    "an object": "url => { const o = document.createElement('object'); o.data = url; document.body.append(o) }",
    "a video": "url => { const v = document.createElement('video'); v.src = url; document.body.append(v) }",
    "a form, GET": (
        "url => { const f = document.createElement('form'); f.action = url; const u = new URL(url); f.target = 'frame'; "
        "for (const [n, v] of u.searchParams) { const i = document.createElement('input'); i.name = n; i.value = v; "
        "f.append(i) } const frame = document.createElement('iframe'); frame.name = 'frame'; "
        "document.body.append(frame, f); f.submit() }"
    ),
    "a form, POST": (
        "url => { const f = document.createElement('form'); f.method = 'post'; f.action = url; f.target = 'frame'; "
        "const frame = document.createElement('iframe'); frame.name = 'frame'; document.body.append(frame, f); f.submit() }"
    ),
    "a form, POST as text": (
        "url => { const f = document.createElement('form'); f.method = 'post'; f.enctype = 'text/plain'; f.action = url; "
        f"const i = document.createElement('input'); i.name = {FUNCTION[:-1]!r} + ',\"x\":\"'; i.value = '\"}}'; "
        "f.append(i); document.body.append(f); setTimeout(() => f.submit(), 0) }"
    ),
    "fetch no-cors, GET": "url => { fetch(url, {mode: 'no-cors'}).catch(() => 0) }",
    "fetch no-cors, POST": (
        "url => { fetch(url, {mode: 'no-cors', method: 'POST', body: "
        + repr(FUNCTION)
        + "}).catch(() => 0) }"
    ),
    "fetch cors, GET": "url => { fetch(url).catch(() => 0) }",
    "fetch cors with a signature": (
        "url => { fetch(url, {method: 'POST', body: " + repr(FUNCTION) + ", headers: {'Authorization': "
        "'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0'}})"
        ".catch(() => 0) }"
    ),
    "XMLHttpRequest": "url => { const x = new XMLHttpRequest(); x.open('POST', url); x.send('x') }",
    "a beacon": "url => { navigator.sendBeacon(url, 'x') }",
    "an event source": "url => { new EventSource(url) }",
    "a web socket": "url => { new WebSocket(url.replace('http:', 'ws:')) }",
    "a navigation": "url => { setTimeout(() => { location.href = url }, 0) }",
    "a new window": "url => { const a = document.createElement('a'); a.href = url; a.target = '_blank'; a.click() }",
}
"""How a page can send a request: JavaScript that is given the URL."""


@dataclass(slots=True)
class Watch:
    """Sees what the gateway answers to a browser, and what it writes into its log."""

    running: Running
    answers: list[tuple[str, int]]
    log_begin: int

    def log_lines(self) -> int:
        return self.log_text().count(" refused ")

    def log_text(self) -> str:
        path = self.running.environment.layout.logs / "gateway.log"
        return path.read_text() if path.exists() else ""

    def arrived(self) -> int:
        return len(self.answers) + self.log_lines() - self.log_begin


def listing(running: Running) -> dict[str, list[str]]:
    session = running.environment.session()
    stacks = session.client("cloudformation").list_stacks()["StackSummaries"]
    functions: list[Any] = session.client("lambda").list_functions()["Functions"]
    return {
        "users": [user["UserName"] for user in session.client("iam").list_users()["Users"]],
        "stacks": [f"{stack['StackName']} {stack['StackStatus']}" for stack in stacks],
        "functions": [f"{function['FunctionName']} {function['CodeSha256']}" for function in functions],
        "queues": session.client("sqs").list_queues().get("QueueUrls", []),
        "invocations": [
            stream["logStreamName"]
            for stream in session.client("logs").describe_log_streams(
                logGroupName="/aws/lambda/darkroom-tagger"
            )["logStreams"]
        ],
    }


@pytest.fixture
def watch(running: Running) -> Iterator[Watch]:
    """Nothing may be different afterwards, and something must have arrived."""
    before = listing(running)
    watch = Watch(running, [], 0)
    watch.log_begin = watch.log_lines()
    yield watch
    assert watch.arrived() > 0, "nothing arrived at the gateway: this test would prove nothing"
    assert all(status in {400, 403, 404, 405} for _, status in watch.answers), watch.answers
    assert listing(running) == before


def attack(
    context: BrowserContext, way: str, urls: list[str], arrived: Callable[[], int], *, origin: str
) -> None:
    """Let a new page of an origin send a request to each URL, and wait until something comes of it."""
    idle = context.new_page()  # waiting on a page that is just being replaced may never end
    for url in urls:
        begin = arrived()
        page = context.new_page()
        page.goto(origin)
        page.evaluate(WAYS[way], url)
        deadline = time.monotonic() + 3
        while arrived() == begin and time.monotonic() < deadline:
            idle.wait_for_timeout(20)
    idle.wait_for_timeout(50)  # Chromium may hang when a page is closed in the middle of a navigation


@pytest.fixture
def context(browser: Browser, running: Running, watch: Watch) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.set_default_timeout(10_000)
    port = running.environment.settings.port

    def note(response: Response) -> None:
        if f":{port}/" in response.url and "x-amzn-requestid" in response.headers:
            watch.answers.append((response.url, response.status))

    context.on("response", note)
    yield context
    context.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_page_of_another_site_changes_nothing(
    running: Running, watch: Watch, context: BrowserContext, site: int, way: str
) -> None:
    port = running.environment.settings.port
    urls = [f"http://127.0.0.1:{port}{path}" for path in CALLS.values()]
    attack(context, way, urls, watch.arrived, origin=f"http://evil.example:{site}/")


@pytest.mark.parametrize(
    "way", ["an image", "a form, POST", "fetch no-cors, POST", "a beacon", "a navigation"]
)
def test_a_page_on_another_port_of_this_machine_changes_nothing(
    running: Running, watch: Watch, context: BrowserContext, site: int, way: str
) -> None:
    port = running.environment.settings.port
    urls = [f"http://localhost:{port}{CALLS[call]}" for call in ("create a user", "invoke a function")]
    attack(context, way, urls, watch.arrived, origin=f"http://localhost:{site}/")


@pytest.mark.parametrize("way", ["an image", "fetch cors, GET", "XMLHttpRequest", "a form, POST"])
def test_a_page_whose_name_was_rebound_to_this_machine_changes_nothing_and_reads_nothing(
    running: Running, watch: Watch, context: BrowserContext, way: str
) -> None:
    """DNS rebinding: the page came from the attacker's server, later requests of the same origin come to us."""
    origin = f"http://rebound.example:{running.environment.settings.port}"
    html = "<!doctype html><body></body>"
    context.route(f"{origin}/page", lambda route: route.fulfill(body=html, content_type="text/html"))
    urls = [f"{origin}{path}" for path in CALLS.values()]
    attack(context, way, urls, watch.arrived, origin=f"{origin}/page")
    page = context.new_page()
    page.goto(f"{origin}/page")
    text = page.evaluate("async url => (await fetch(url)).text()", urls[0])
    assert "AccessDenied" in text
    assert "rebound.example" in text


def test_a_page_that_knows_a_real_users_key_but_not_its_secret_changes_nothing(
    running: Running, watch: Watch, context: BrowserContext, site: int
) -> None:
    found = running.environment.session().get_credentials()
    assert found is not None
    port = running.environment.settings.port
    url = f"http://127.0.0.1:{port}{CALLS['create a user']}".replace("test%2F", f"{found.access_key}%2F")
    for way in ("an image", "a form, POST", "a navigation"):
        attack(
            context,
            way,
            [url, url.replace("iam%2F", "s3%2F")],
            watch.arrived,
            origin=f"http://evil.example:{site}/",
        )


def test_a_navigation_to_a_name_that_was_rebound_to_this_machine_is_refused(
    running: Running, watch: Watch, context: BrowserContext
) -> None:
    port = running.environment.settings.port
    answer = context.new_page().goto(f"http://rebound.example:{port}{CALLS['create a user']}")
    assert answer is not None
    assert answer.status == 403


def test_an_address_typed_by_the_person_is_refused_as_unsigned(
    running: Running, watch: Watch, context: BrowserContext
) -> None:
    answer = context.new_page().goto(
        f"http://127.0.0.1:{running.environment.settings.port}{CALLS['create a user']}"
    )
    assert answer is not None
    assert answer.status == 403


def test_the_same_page_does_create_a_user_on_an_engine_without_our_gateway(
    browser: Browser, site: int, new_engine: Callable[[], Engine]
) -> None:
    engine = new_engine()

    def users() -> int:
        return len(engine.client("iam").list_users()["Users"])

    assert users() == 0
    context = browser.new_context()
    attack(
        context,
        "an image",
        [engine.endpoint + CALLS["create a user"]],
        users,
        origin=f"http://evil.example:{site}/",
    )
    context.close()
    assert users() == 1
