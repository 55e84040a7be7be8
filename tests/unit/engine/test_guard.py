"""The gateway's guard against the headers that browsers and careless tools really send."""

from __future__ import annotations

import pytest

from darkroom.engine.gateway.guard import Caller, Guard, Refusal

GUARD = Guard.for_port(4566)
HOST = {"Host": "127.0.0.1:4566"}
SIGNED = (
    "AWS4-HMAC-SHA256 Credential={key}/20261120/us-east-1/{service}/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)
USER_KEY = "AKIAIOSFODNN7EXAMPLE"


def signed(key: str = USER_KEY, service: str = "iam") -> dict[str, str]:
    return {**HOST, "Authorization": SIGNED.format(key=key, service=service)}


@pytest.mark.parametrize(
    "headers",
    [
        # <img src="http://127.0.0.1:4566/?Action=CreateStack…">
        pytest.param(
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, id="img"
        ),
        # <form method=post action=…>
        pytest.param(
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
            id="form",
        ),
        pytest.param({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, id="form in a sandboxed frame"),
        pytest.param(
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
            id="fetch no-cors",
        ),
        pytest.param({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, id="link"),
        pytest.param(
            {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, id="page on another local port"
        ),
        pytest.param({"Origin": "http://127.0.0.1:4566"}, id="page that claims our own origin"),
    ],
)
def test_what_a_browser_marks_as_a_pages_request_is_refused(headers: dict[str, str]) -> None:
    refused = GUARD.from_browser({**HOST, **headers})
    assert refused is not None
    assert refused.status == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4566", "127.0.0.1:80", "127.0.0.1", "", "[::1]:4566"]
)
def test_a_foreign_host_name_is_refused_since_dns_can_be_rebound(host: str) -> None:
    refused = GUARD.from_browser({"Host": host})
    assert refused is not None
    assert "127.0.0.1:4566" in refused.message


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "LOCALHOST:4566"])
def test_a_tool_on_this_machine_passes(host: str) -> None:
    assert GUARD.from_browser({"Host": host, "User-Agent": "Boto3/1.44"}) is None


def test_the_key_and_service_of_a_signed_request_are_read() -> None:
    found = GUARD.caller(path="/", query="", headers=signed(service="dynamodb"))
    assert found == Caller(USER_KEY, "dynamodb")


@pytest.mark.parametrize(
    "key", ["test", "000000000000", "123456789012", "ROOT" + "0a" * 24, "akiaiosfodnn7example", "x"]
)
def test_root_like_keys_are_refused_in_the_header_and_in_the_query(key: str) -> None:
    in_header = GUARD.caller(path="/", query="", headers=signed(key))
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key}%2F20261120%2Fus-east-1%2Fs3%2Faws4_request"
        f"&X-Amz-Signature={'0' * 64}"
    )
    in_query = GUARD.caller(path="/bucket/key", query=query, headers=HOST)
    assert isinstance(in_header, Refusal)
    assert isinstance(in_query, Refusal)
    assert "darkroom env" in in_header.message


@pytest.mark.parametrize(
    "query",
    [
        "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=x&Expires=99999999999",
        "Action=CreateStack&AWSAccessKeyId=test",
        "awsaccesskeyid=test",
        "Action=CreateUser&SignatureVersion=2",
    ],
)
def test_credentials_of_signature_version_2_in_the_query_are_refused(query: str) -> None:
    assert isinstance(GUARD.caller(path="/", query=query, headers=HOST), Refusal)
    assert isinstance(GUARD.caller(path="/", query=query, headers=signed()), Refusal)


def test_a_presigned_s3_url_passes_and_one_for_another_service_does_not() -> None:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20261120%2Fus-east-1%2F{}%2F"
        "aws4_request&X-Amz-Signature=" + "0" * 64
    )
    assert GUARD.caller(path="/b/k", query=query.format("s3"), headers=HOST) == Caller(
        "ASIAIOSFODNN7EXAMPLE", "s3"
    )
    assert isinstance(GUARD.caller(path="/", query=query.format("iam"), headers=HOST), Refusal)


def test_credentials_in_header_and_query_at_once_are_refused() -> None:
    query = (
        "X-Amz-Credential=test%2F20261120%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    )
    assert isinstance(GUARD.caller(path="/b/k", query=query, headers=signed(service="s3")), Refusal)


@pytest.mark.parametrize(
    "path", ["/_ministack/reset", "/_ministack/health", "/_localstack/health", "/_aws/x", "/health"]
)
def test_internal_endpoints_of_the_engine_are_not_reachable(path: str) -> None:
    assert isinstance(GUARD.caller(path=path, query="", headers=signed()), Refusal)


@pytest.mark.parametrize(
    "authorization", [None, "", "Basic dGVzdDp0ZXN0", "AWS AKIAIOSFODNN7EXAMPLE:abc", "AWS4-HMAC-SHA256"]
)
def test_what_is_not_signed_with_version_4_is_refused(authorization: str | None) -> None:
    headers = HOST if authorization is None else {**HOST, "Authorization": authorization}
    assert isinstance(GUARD.caller(path="/", query="Action=ListUsers", headers=headers), Refusal)
