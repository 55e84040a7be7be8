"""Checking signatures that real clients make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from darkroom.engine.gateway.sigv4 import Secret, SignatureError, verify

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
USER = "arn:aws:iam::000000000000:user/darkroom"


def request_of(*, secret: str = SECRET, token: str | None = None) -> AWSPreparedRequest:
    """A DetectLabels request as boto3 puts it on the wire."""
    caught: list[AWSPreparedRequest] = []

    def catch(request: AWSPreparedRequest, **_: object) -> Any:
        caught.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), _Empty())

    session = boto3.Session(KEY, secret, token, region_name="us-east-1")
    client = session.client(
        "rekognition", endpoint_url="http://127.0.0.1:4566", config=Config(retries={"total_max_attempts": 1})
    )
    client.meta.events.register("before-send.rekognition", catch)
    client.detect_labels(Image={"S3Object": {"Bucket": "bucket", "Name": "uploads/ä +.jpg"}})
    return caught[0]


class _Empty:
    """A raw response body: an empty JSON object."""

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [b"{}"]


def check(
    request: AWSPreparedRequest,
    *,
    secrets: dict[str, Secret],
    later: timedelta = timedelta(),
    body: bytes | None = None,
) -> Secret:
    headers = {
        name: value.decode() if hasattr(value, "decode") else value for name, value in request.headers.items()
    }
    headers.setdefault("Host", "127.0.0.1:4566")
    whole = request.body
    assert isinstance(whole, bytes)
    return verify(
        method=request.method,
        url=request.url,
        headers=headers,
        body=whole if body is None else body,
        secrets=secrets,
        now=datetime.now(UTC) + later,
    )


def test_a_request_that_boto3_signed_is_accepted_and_names_its_principal() -> None:
    assert check(request_of(), secrets={KEY: Secret(SECRET, "", USER)}).principal == USER


def test_temporary_credentials_are_accepted_with_their_token_only() -> None:
    known = {KEY: Secret(SECRET, "token", USER)}
    assert check(request_of(token="token"), secrets=known).principal == USER
    with pytest.raises(SignatureError) as error:
        check(request_of(token="other"), secrets=known)
    assert error.value.code == "UnrecognizedClientException"
    with pytest.raises(SignatureError):
        check(request_of(), secrets=known)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secrets": {}}, "UnrecognizedClientException"),
        ({"secrets": {KEY: Secret("another", "", USER)}}, "InvalidSignatureException"),
        ({"body": b'{"Image":{}}'}, "InvalidSignatureException"),
        ({"later": timedelta(minutes=6)}, "InvalidSignatureException"),
        ({"later": timedelta(minutes=-6)}, "InvalidSignatureException"),
        ({"secrets": {KEY: Secret(SECRET, "", USER, expires=1.0)}}, "ExpiredTokenException"),
    ],
    ids=["unknown key", "wrong secret", "changed body", "too old", "from the future", "expired key"],
)
def test_what_does_not_hold_is_refused_with_awss_code(change: dict[str, object], code: str) -> None:
    arguments = {"secrets": {KEY: Secret(SECRET, "", USER)}, **change}
    with pytest.raises(SignatureError) as error:
        check(request_of(), **arguments)  # type: ignore[arg-type]
    assert error.value.code == code


def test_a_header_changed_after_signing_is_refused() -> None:
    request = request_of()
    request.headers["X-Amz-Target"] = "RekognitionService.DeleteCollection"
    with pytest.raises(SignatureError) as error:
        check(request, secrets={KEY: Secret(SECRET, "", USER)})
    assert error.value.code == "InvalidSignatureException"
