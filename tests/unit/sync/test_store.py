"""The store over boto: against moto, and every kind of failure in its drawer."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from botocore import exceptions as boto
from botocore.session import Session
from moto import mock_aws

from darkroom.sync.store import (
    AwayError,
    BusyError,
    KeysRefusedError,
    RefusedError,
    S3Store,
    sorted_error,
)

from .s3_server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def plain_s3() -> Any:
    return Session().create_client("s3")


@pytest.fixture
def store() -> Iterator[S3Store]:
    with mock_aws():
        plain_s3().create_bucket(Bucket="photos")
        yield S3Store.connect("photos")


AWKWARD = "uploads/a b+%2F#é😀\n&<.jpg"


def test_what_is_put_is_found_by_head_and_list(store: S3Store) -> None:
    stored = store.put(AWKWARD, b"picture", content_type="image/jpeg")
    assert stored.etag == hashlib.md5(b"picture").hexdigest()  # noqa: S324
    assert store.head(AWKWARD) == stored.etag
    assert list(store.list("uploads/")) == [(AWKWARD, stored.etag)]
    assert list(store.list("other/")) == []


def test_a_stream_is_put_like_bytes(store: S3Store) -> None:
    assert store.put("k", io.BytesIO(b"x" * 1000), content_type="image/png").etag == store.head("k")


def test_parts_become_one_object(store: S3Store) -> None:
    stored = store.put_parts("k", iter([b"a" * 5 * 1024**2, b"b"]), content_type="video/mp4")
    assert stored.etag.endswith("-2")
    assert store.head("k") == stored.etag


def test_parts_that_break_off_store_nothing_and_leave_no_rest(store: S3Store) -> None:
    def broken() -> Iterator[bytes]:
        yield b"a" * 5 * 1024**2
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.put_parts("k", broken(), content_type="video/mp4")
    assert store.head("k") is None
    assert "Uploads" not in plain_s3().list_multipart_uploads(Bucket="photos")


def test_what_is_deleted_is_gone_and_deleting_it_again_is_no_error(store: S3Store) -> None:
    store.put("k", b"x", content_type="image/png")
    store.delete("k")
    store.delete("k")
    assert store.head("k") is None


def test_a_bucket_that_is_not_there_means_wait(store: S3Store) -> None:
    other = S3Store.connect("elsewhere")
    with pytest.raises(AwayError, match="the bucket elsewhere does not exist"):
        other.put("k", b"x", content_type="image/png")
    with pytest.raises(AwayError):
        list(other.list("uploads/"))


def test_no_engine_at_the_address_means_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(AwayError, match="no connection"):
        S3Store.connect("photos").put("k", b"x", content_type="image/png")


def test_a_profile_that_is_not_written_yet_means_wait_and_connect_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "darkroom")
    with pytest.raises(KeysRefusedError, match="darkroom"):
        S3Store.connect("photos")


def test_another_endpoint_gets_path_style_addresses_and_no_question_before_the_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = S3Server()
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{server.port}")
    store = S3Store.connect("photos")
    store.put("uploads/a b.jpg", io.BytesIO(b"x"), content_type="image/jpeg")
    server.stop()
    assert server.bucket.objects["uploads/a b.jpg"][2] == "image/jpeg"
    assert server.bucket.expected == 0


def _answer(code: str, status: int) -> boto.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "Said so."},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return boto.ClientError(response, "PutObject")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_answer("NoSuchBucket", 404), AwayError),
        (_answer("502", 502), AwayError),
        (_answer("ServiceUnavailable", 503), AwayError),
        (_answer("InvalidAccessKeyId", 403), KeysRefusedError),
        (_answer("SignatureDoesNotMatch", 403), KeysRefusedError),
        (_answer("SlowDown", 503), BusyError),
        (_answer("InternalError", 500), BusyError),
        (_answer("TooMany", 429), BusyError),
        (_answer("AccessDenied", 403), RefusedError),
        (_answer("EntityTooLarge", 400), RefusedError),
        (boto.EndpointConnectionError(endpoint_url="http://x"), AwayError),
        (boto.ConnectionClosedError(endpoint_url="http://x"), AwayError),
        (boto.ReadTimeoutError(endpoint_url="http://x"), BusyError),
        (boto.NoCredentialsError(), KeysRefusedError),
        (boto.ParamValidationError(report="bad"), RefusedError),
    ],
)
def test_every_failure_is_sorted_by_what_to_do_about_it(error: Exception, kind: type[Exception]) -> None:
    found = sorted_error(error, bucket="photos")
    assert type(found) is kind
    assert str(found)


def test_a_bug_is_not_dressed_up_as_a_failure_of_the_store() -> None:
    bug = TypeError("ours")
    assert sorted_error(bug, bucket="photos") is bug
