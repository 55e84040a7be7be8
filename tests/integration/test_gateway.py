"""The gateway of a running environment: whom it lets in, and what it hides, over real HTTP."""

from __future__ import annotations

import http.client
import json
import stat
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from darkroom.engine.session import LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3
    from types_boto3_rekognition.type_defs import ImageTypeDef

    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration


def raw(
    running: Running, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, str]:
    """One request with exactly these headers (and Host, unless it is among them)."""
    port = running.environment.settings.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def session(running: Running, key: str, secret: str) -> boto3.Session:
    return LocalSession(
        endpoint=running.environment.engine.endpoint,
        region="us-east-1",
        access_key_id=key,
        secret_access_key=secret,
    )


def own_keys(running: Running) -> tuple[str, str]:
    credentials = running.environment.session().get_credentials()
    assert credentials is not None
    return credentials.access_key, credentials.secret_key


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
        {"Origin": "null"},
        {"Host": "evil.example:4566"},
        {},
    ],
    ids=["img", "form", "sandboxed frame", "rebound DNS", "no signature"],
)
def test_a_page_cannot_create_anything_even_with_the_root_key_that_emulators_take(
    running: Running, headers: dict[str, str]
) -> None:
    query = "/?Action=CreateUser&UserName=intruder&Version=2010-05-08&AWSAccessKeyId=test"
    for method in ("GET", "POST"):
        status, _ = raw(running, method, query, headers)
        assert status == 403
    users = running.environment.session().client("iam").list_users()["Users"]
    assert [user["UserName"] for user in users] == ["darkroom"]


@pytest.mark.parametrize("key", ["test", "000000000000", "123456789012"])
def test_root_like_keys_are_refused(running: Running, key: str) -> None:
    client = session(running, key, "test").client("s3")
    with pytest.raises(ClientError) as error:
        client.list_buckets()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "darkroom env" in error.value.response["Error"]["Message"]


def test_a_wrong_secret_is_refused_by_every_service(running: Running) -> None:
    wrong = session(running, own_keys(running)[0], "wrong")
    calls: list[Callable[[], object]] = [
        wrong.client("s3").list_buckets,
        wrong.client("dynamodb").list_tables,
        partial(wrong.client("rekognition").detect_labels, Image={"Bytes": b"x"}),
        partial(wrong.client("lambda").invoke, FunctionName="darkroom-tagger", Payload=b"{}"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] in {"SignatureDoesNotMatch", "InvalidSignatureException"}


@pytest.mark.parametrize(
    "path", ["/_ministack/health", "/_ministack/reset", "/_localstack/health", "/health"]
)
def test_the_engines_internal_endpoints_are_not_reachable(running: Running, path: str) -> None:
    assert raw(running, "GET", path, {})[0] == 403
    assert raw(running, "POST", path, {})[0] == 403


@pytest.mark.parametrize("path", ["/_darkroom/events/guess", "/_darkroom/credentials/guess", "/_darkroom/"])
def test_our_own_internal_endpoints_need_their_token(running: Running, path: str) -> None:
    assert raw(running, "POST", path, {"Content-Type": "application/json"}, b"{}")[0] == 404


def test_nothing_but_loopback_is_bound_and_the_engine_has_no_port_at_all(running: Running) -> None:
    ports: dict[str, list[str]] = {}
    for part in running.environment.engine.statuses():
        family = [psutil.Process(part.pid), *psutil.Process(part.pid).children(recursive=True)]
        listening = [
            connection.laddr.ip
            for process in family
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert set(listening) <= {"127.0.0.1"}, part.name
        ports[part.name] = listening
    assert ports["engine"] == []
    assert ports["gateway"] == ["127.0.0.1"] * 2  # the AWS endpoint and the page
    assert ports["sync"] == []


def test_files_with_keys_are_readable_by_their_owner_only(running: Running) -> None:
    layout = running.environment.layout
    for path in (layout.instance, layout.credentials, layout.keyring, layout.supervisor_conf):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert stat.S_IMODE(layout.run.stat().st_mode) == 0o700


def test_rekognition_asks_the_engines_iam_whether_the_caller_may(running: Running) -> None:
    iam = running.environment.session().client("iam")
    iam.create_user(UserName="visitor")
    try:
        keys = iam.create_access_key(UserName="visitor")["AccessKey"]
        visitor = session(running, keys["AccessKeyId"], keys["SecretAccessKey"]).client("rekognition")
        image: ImageTypeDef = {
            "Bytes": running.environment.settings.project.joinpath("fixtures/images/coffee.png").read_bytes()
        }
        with pytest.raises(ClientError) as error:
            visitor.detect_labels(Image=image)
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"
        allow = {"Effect": "Allow", "Action": "rekognition:DetectLabels", "Resource": "*"}
        iam.put_user_policy(
            UserName="visitor",
            PolicyName="labels",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
        )
        assert visitor.detect_labels(Image=image)["Labels"]
        iam.delete_user_policy(UserName="visitor", PolicyName="labels")
        with pytest.raises(ClientError):
            visitor.detect_labels(Image=image)
        iam.delete_access_key(UserName="visitor", AccessKeyId=keys["AccessKeyId"])
    finally:
        iam.delete_user(UserName="visitor")


def test_objects_of_every_size_pass_unchanged(running: Running) -> None:
    for size in (0, 1, 70_000, 999_999, 1_000_001, 9_000_000):
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        running.s3.put_object(Bucket=running.bucket, Key="sizes/object", Body=body)
        assert running.s3.get_object(Bucket=running.bucket, Key="sizes/object")["Body"].read() == body
        assert running.s3.head_object(Bucket=running.bucket, Key="sizes/object")["ContentLength"] == size
    part = running.s3.get_object(Bucket=running.bucket, Key="sizes/object", Range="bytes=5-14")["Body"].read()
    assert part == bytes(range(5, 15))
    running.s3.delete_object(Bucket=running.bucket, Key="sizes/object")


def test_a_presigned_url_works_and_a_changed_one_does_not(running: Running) -> None:
    running.s3.put_object(Bucket=running.bucket, Key="sizes/presigned", Body=b"hello")
    # without this boto3 presigns with Signature Version 2, which AWS itself no longer takes for new buckets
    presigner = running.environment.session().client("s3", config=Config(signature_version="s3v4"))
    url = presigner.generate_presigned_url(
        "get_object", Params={"Bucket": running.bucket, "Key": "sizes/presigned"}, ExpiresIn=60
    )
    path = "/" + url.split("/", 3)[3]
    assert raw(running, "GET", path, {}) == (200, "hello")
    assert raw(running, "GET", path.replace("presigned?", "other?"), {})[0] == 403
