"""The engine's HTTP over its Unix socket, as the gateway uses it."""

from __future__ import annotations

import hashlib
import http.client
import socket
from typing import TYPE_CHECKING

import psutil
import pytest

from darkroom.engine.internal import root_authorization

if TYPE_CHECKING:
    from tests.contract.conftest import Engine


@pytest.fixture(scope="module")
def bucket(engine: Engine) -> str:
    engine.client("s3").create_bucket(Bucket="over-http")
    return "over-http"


def authorization(engine: Engine) -> str:
    return root_authorization(root_key=engine.keys.root_key, region="us-east-1", service="s3")


def test_it_binds_no_port_and_its_folder_is_private(engine: Engine) -> None:
    process = psutil.Process(engine.process.pid)
    family = [process, *process.children(recursive=True)]
    listening = [
        each for one in family for each in one.net_connections(kind="inet") if each.status == "LISTEN"
    ]
    assert listening == []
    assert engine.socket.parent.stat().st_mode & 0o077 == 0


def test_no_process_is_started_beside_it(engine: Engine) -> None:
    assert psutil.Process(engine.process.pid).children(recursive=True) == []


def test_nothing_of_our_environment_reaches_it(engine: Engine) -> None:
    assert "VIRTUAL_ENV" not in psutil.Process(engine.process.pid).environ()
    assert set(psutil.Process(engine.process.pid).environ()) <= {
        "AUTH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DOCKER_HOST", "GATEWAY_PORT", "HOME", "IOT_MTLS_ENABLED",
        "LAMBDA_ACCOUNT_CONCURRENCY", "LAMBDA_ASYNC_RETRY_BASE_SECONDS", "LANG", "LC_CTYPE", "LOG_LEVEL",
        "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MINISTACK_ACCOUNT_ID",
        "MINISTACK_LAMBDA_PROXY_darkroom-tagger", "MINISTACK_REGION", "PATH", "PERSIST_STATE",
        "PYTHONUNBUFFERED", "S3_DATA_DIR", "S3_PERSIST", "SFTP_ENABLED", "STATE_DIR", "TMPDIR",
        *(name for name in psutil.Process(engine.process.pid).environ() if name.startswith("MINISTACK_LAMBDA_PROXY_")),
    }  # fmt: skip


def test_head_tells_the_size_and_sends_no_body(engine: Engine, bucket: str) -> None:
    engine.client("s3").put_object(Bucket=bucket, Key="head", Body=bytes(12_345))
    answer = engine.client("s3").head_object(Bucket=bucket, Key="head")
    assert answer["ContentLength"] == 12_345
    assert answer["ETag"] == f'"{hashlib.md5(bytes(12_345), usedforsecurity=False).hexdigest()}"'


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bytes=0-3", b"0123"), ("bytes=8-", b"89"), ("bytes=-2", b"89"), ("bytes=5-500", b"56789")],
)
def test_ranges_are_served(engine: Engine, bucket: str, asked: str, expected: bytes) -> None:
    engine.client("s3").put_object(Bucket=bucket, Key="range", Body=b"0123456789")
    answer = engine.client("s3").get_object(Bucket=bucket, Key="range", Range=asked)
    assert answer["Body"].read() == expected
    assert answer["ContentRange"].endswith("/10")


def test_the_range_of_an_empty_object_is_416_as_on_aws(engine: Engine, bucket: str) -> None:
    engine.client("s3").put_object(Bucket=bucket, Key="empty", Body=b"")
    with pytest.raises(engine.client("s3").exceptions.ClientError) as error:
        engine.client("s3").get_object(Bucket=bucket, Key="empty", Range="bytes=0-9")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_it_asks_for_the_body_after_100_continue(engine: Engine, bucket: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(engine.socket))
        head = (
            f"PUT /{bucket}/continued HTTP/1.1\r\nHost: engine\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
            f"Authorization: {authorization(engine)}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(b"hello")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200")
    assert engine.client("s3").get_object(Bucket=bucket, Key="continued")["Body"].read() == b"hello"


def test_large_bodies_pass_both_ways(engine: Engine, bucket: str) -> None:
    body = bytes(range(256)) * 4096 * 20  # 20 MiB
    engine.client("s3").put_object(Bucket=bucket, Key="large", Body=body)
    answer = engine.client("s3").get_object(Bucket=bucket, Key="large")["Body"].read()
    assert hashlib.sha256(answer).digest() == hashlib.sha256(body).digest()


class Connection(http.client.HTTPConnection):
    """HTTP to the engine's socket, one connection for as many requests as it lets us send."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("engine")
        self.path = str(engine.socket)
        self.connects = 0

    def connect(self) -> None:
        self.connects += 1
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)


def test_a_body_in_chunks_is_taken(engine: Engine, bucket: str) -> None:
    connection = Connection(engine)
    connection.request(
        "PUT",
        f"/{bucket}/chunked",
        body=iter([b"one ", b"two"]),
        headers={"Authorization": authorization(engine)},
        encode_chunked=True,
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    assert engine.client("s3").get_object(Bucket=bucket, Key="chunked")["Body"].read() == b"one two"


def test_a_connection_is_kept_for_the_next_request(engine: Engine) -> None:
    connection = Connection(engine)
    for _ in range(3):
        connection.request("GET", "/_ministack/health")
        answer = connection.getresponse()
        assert b"1.5.33" in answer.read()
    connection.close()
    assert connection.connects == 1
