"""Objects of a server that stands alone: signed requests, encoded keys, and what S3's answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from darkroom.rekognition import (
    ObjectDeniedError,
    ObjectMissingError,
    ObjectTooLargeError,
    SourceUnavailableError,
)
from darkroom.rekognition.s3 import Access, S3Source, access_from_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "session-token")


class Bucket:
    """A small S3: knows who signed, and answers by the key's name."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        if not signature_is_right(request):
            return web.Response(status=403)
        status = {"denied": 403, "missing": 404, "elsewhere": 301, "broken": 503}.get(
            request.path.rsplit("/")[-1]
        )
        return web.Response(status=status) if status else web.Response(body=request.raw_path.encode())


def signature_is_right(request: web.Request) -> bool:
    """Sign what has arrived and compare."""
    names = ("Host", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-SHA256")
    again = AWSRequest(
        method="GET",
        url=f"http://{request.headers['Host']}{request.raw_path}",
        headers={name: request.headers[name] for name in names},
    )
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = S3SigV4Auth(CREDENTIALS, "s3", "eu-west-1")
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return request.headers["Authorization"].endswith(signature)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
async def source(bucket: Bucket) -> AsyncIterator[S3Source]:
    app = web.Application()
    app.router.add_get("/{path:.*}", bucket.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    found = S3Source(lambda: Access(endpoint, "eu-west-1", CREDENTIALS))
    yield found
    await found.close()
    await runner.cleanup()


async def fetch(source: S3Source, key: str, version: str | None = None, limit_bytes: int = 1000) -> bytes:
    return await source.fetch(bucket="photos", key=key, version=version, limit_bytes=limit_bytes)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("uploads/cat.png", "/photos/uploads/cat.png"),
        ("a b+c%2F#ü?.png", "/photos/a%20b%2Bc%252F%23%C3%BC%3F.png"),
        ("two//slashes/../up", "/photos/two//slashes/../up"),
        ("~tilde😀", "/photos/~tilde%F0%9F%98%80"),
        ("lone\ud800surrogate", "/photos/lone%3Fsurrogate"),
    ],
)
async def test_a_key_is_asked_for_exactly_and_the_signature_holds(
    source: S3Source, bucket: Bucket, key: str, path: str
) -> None:
    assert await fetch(source, key) == path.encode()
    assert bucket.asked == [path]


async def test_a_version_is_asked_for(source: S3Source) -> None:
    assert await fetch(source, "cat.png", version="a+b/c=") == b"/photos/cat.png?versionId=a%2Bb%2Fc%3D"


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("denied", ObjectDeniedError),
        ("missing", ObjectMissingError),
        ("elsewhere", ObjectMissingError),
        ("broken", SourceUnavailableError),
    ],
)
async def test_a_refusal_of_s3_has_its_meaning(source: S3Source, key: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=key):
        await fetch(source, key)


async def test_an_object_over_the_limit_is_not_read(source: S3Source) -> None:
    with pytest.raises(ObjectTooLargeError, match="the limit is 3"):
        await fetch(source, "cat.png", limit_bytes=3)


async def test_an_s3_that_is_not_there_is_unavailable() -> None:
    source = S3Source(lambda: Access("http://127.0.0.1:9", "eu-west-1", None))
    with pytest.raises(SourceUnavailableError, match="cannot be read"):
        await fetch(source, "cat.png")
    await source.close()


def test_endpoint_region_and_credentials_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    access = access_from_environment()
    assert (access.endpoint, access.region) == ("http://127.0.0.1:4566", "eu-west-1")
    assert access.credentials.access_key == "AKIDEXAMPLE"
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(SourceUnavailableError, match="no-such-profile"):
        access_from_environment()
