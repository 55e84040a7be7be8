"""Who may speak to the page's port, and what the page may say to the AWS endpoint."""

from __future__ import annotations

import pytest

from darkroom.engine.gateway.guard import Guard
from darkroom.engine.page.guard import PageGuard
from darkroom.settings import Settings

PAGE = PageGuard(4666)
AWS = Guard.for_port(4566, origins=frozenset((PAGE.origin,)))
HOST = {"Host": "127.0.0.1:4666"}
OWN = {**HOST, "Origin": "http://127.0.0.1:4666", "Sec-Fetch-Site": "same-origin"}
LINK = {**HOST, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def refused(method: str, path: str, headers: dict[str, str]) -> bool:
    return PAGE.refusal(method=method, path=path, headers=headers) is not None


def test_the_page_itself_tools_and_a_typed_address_may_speak() -> None:
    assert not refused("POST", "/api/uploads", OWN)
    assert not refused("DELETE", "/api/images/abc", OWN)
    assert not refused("GET", "/api/images", HOST)
    assert not refused("GET", "/", {**HOST, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"})


def test_a_link_leads_to_the_page_and_to_no_route_of_the_api() -> None:
    assert not refused("GET", "/", LINK)
    assert refused("GET", "/api/images", LINK)
    assert refused("GET", "/api", LINK)
    assert refused("POST", "/", LINK)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({**HOST, "Origin": "https://evil.example"}, id="another origin"),
        pytest.param({**HOST, "Origin": "null"}, id="a file or a sandbox"),
        pytest.param({**HOST, "Origin": "http://localhost:4666"}, id="another name of this machine"),
        pytest.param({**HOST, "Sec-Fetch-Site": "cross-site"}, id="an image on another site"),
        pytest.param({**HOST, "Sec-Fetch-Site": "same-site"}, id="a page on another port"),
        pytest.param({**LINK, "Sec-Fetch-Dest": "iframe"}, id="a frame"),
    ],
)
@pytest.mark.parametrize(
    "call", [("POST", "/api/images/abc/retag"), ("DELETE", "/api/images/abc"), ("GET", "/api/images")]
)
def test_pages_of_other_sites_may_not_use_the_api(headers: dict[str, str], call: tuple[str, str]) -> None:
    assert refused(*call, headers)


@pytest.mark.parametrize(
    "host", ["rebound.example:4666", "rebound.example", "127.0.0.1:4566", "127.0.0.1", ""]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(host: str) -> None:
    assert refused("GET", "/", {**OWN, "Host": host})


@pytest.mark.parametrize(
    "path", ["/../restapis", "/a/%2e%2e/b", "/%252e%252e/x", "//evil", "/a\\b", "x", "/./a"]
)
def test_a_path_that_climbs_is_refused(path: str) -> None:
    assert refused("GET", path, HOST)


def test_localhost_is_sent_to_the_one_origin_that_the_bucket_knows() -> None:
    assert PAGE.wants_our_name(method="GET", headers={"Host": "localhost:4666"})
    assert not PAGE.wants_our_name(method="POST", headers={"Host": "localhost:4666"})
    assert not PAGE.wants_our_name(method="GET", headers={"Host": "localhost:1"})


def aws_refuses(method: str, query: str = "", **headers: str) -> bool:
    sent = {"Host": "127.0.0.1:4566", "Origin": PAGE.origin, "Sec-Fetch-Site": "same-site", **headers}
    assert AWS.from_browser(sent) is None
    assert AWS.is_page(sent)
    if AWS.is_preflight(path="/bucket/key", method=method, headers=sent):
        return False
    return AWS.from_page(method=method, query=query, headers=sent) is not None


def test_the_page_may_use_presigned_urls_and_ask_what_it_may_send() -> None:
    signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
    assert not aws_refuses("GET", signed)
    assert not aws_refuses("PUT", signed)
    assert not aws_refuses("OPTIONS", **{"Access-Control-Request-Method": "POST"})


def test_the_page_may_send_nothing_else_to_the_aws_endpoint() -> None:
    signed = "X-Amz-Signature=0"
    assert aws_refuses("GET", "Action=CreateUser")
    assert aws_refuses("POST", signed)
    assert aws_refuses("DELETE", signed)
    assert aws_refuses("GET", signed, Authorization="AWS4-HMAC-SHA256 …")
    assert aws_refuses("OPTIONS", **{"Access-Control-Request-Method": "DELETE"})
    assert not AWS.is_preflight(
        path="/_ministack/reset", method="OPTIONS", headers={"Access-Control-Request-Method": "GET"}
    )


def test_the_aws_endpoint_still_refuses_every_other_origin() -> None:
    for origin in ("http://localhost:4666", "http://127.0.0.1:4667", "null", "https://evil.example"):
        assert AWS.from_browser({"Host": "127.0.0.1:4566", "Origin": origin}) is not None


def test_the_pages_port_is_a_hundred_above_the_endpoints_unless_said_otherwise() -> None:
    assert Settings(port=4566).page == 4666
    assert Settings(port=4566, page_port=8080).page == 8080
    assert Settings(port=65500).page == 65400


@pytest.mark.parametrize(
    ("target", "public"),
    [
        ("/us-east-1_AbC123/.well-known/jwks.json", True),
        ("/us-gov-west-1_AbC123/.well-known/jwks.json", True),
        ("/us-east-1_AbC123/.well-known/openid-configuration", False),
        ("/us-east-1_AbC123/.well-known/jwks.json?Action=CreateUser", False),
        ("/bucket/.well-known/jwks.json", False),
        ("/us-east-1_../_ministack/.well-known/jwks.json", False),
    ],
)
def test_the_public_keys_of_a_user_pool_are_for_everybody_and_nothing_near_them(
    target: str, public: bool
) -> None:
    assert AWS.is_public_keys(method="GET", target=target) is public
    assert not AWS.is_public_keys(method="POST", target=target)
