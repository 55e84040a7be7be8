"""The gateway against requests that no SDK sends: ambiguous, oversized, endless, or aimed at the engine's inside.

Whatever is refused is refused before anything changes, so each attack ends with a listing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import hmac
import json
import re
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from darkroom.engine.gateway.app import Gateway
from darkroom.engine.gateway.guard import Guard, Refusal
from darkroom.engine.gateway.keyring import Keyring
from darkroom.engine.gateway.limits import BoundedServer, Limits
from darkroom.engine.gateway.objects import EngineObjects
from darkroom.engine.gateway.permissions import Permissions
from darkroom.engine.gateway.refusals import Refusals
from darkroom.engine.gateway.upstream import Upstream
from darkroom.engine.internal import EngineSocket
from darkroom.engine.session import LocalSession
from darkroom.rekognition import Rekognition
from tests.integration.conftest import free_port
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration

STRANGER = "AKIA" + "A" * 16
"""Looks like a user's key, and nobody has it."""
CREATE_USER = "Action=CreateUser&UserName=intruder&Version=2010-05-08"


def now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def scope(key: str, service: str = "iam") -> str:
    return f"{key}/{datetime.now(UTC):%Y%m%d}/us-east-1/{service}/aws4_request"


def authorization(credential: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


def send(port: int, data: bytes, *, timeout_s: float = 10) -> tuple[int, str]:
    """Send bytes as they are. Returns the answer's status (0 when there is none) and text."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        answer = bytearray()
        with contextlib.suppress(ConnectionError):
            while not _is_whole(answer) and (piece := connection.recv(65536)):
                answer += piece
    status = int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0
    return status, answer.decode("utf-8", "replace")


def _is_whole(answer: bytearray) -> bool:
    """Whether the answer is as long as it says; a server that refused a body reads on for a while before it closes."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length.group(1))


def request(
    port: int, line: str, headers: list[tuple[str, str]], body: bytes = b"", *, host: str | None = None
) -> tuple[int, str]:
    """One request with exactly these header fields after Host."""
    fields = [("Host", host if host is not None else f"127.0.0.1:{port}"), ("Connection", "close"), *headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return send(port, f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)


@pytest.fixture
def port(running: Running) -> int:
    return running.environment.settings.port


@pytest.fixture
def unchanged(running: Running) -> Iterator[None]:
    """Nothing is there afterwards that was not there before."""
    session = running.environment.session()

    def listing() -> dict[str, list[str]]:
        stacks = session.client("cloudformation").list_stacks()["StackSummaries"]
        return {
            "users": [user["UserName"] for user in session.client("iam").list_users()["Users"]],
            "roles": [role["RoleName"] for role in session.client("iam").list_roles()["Roles"]],
            "stacks": [stack["StackName"] for stack in stacks],
            "functions": [
                item["FunctionName"] for item in session.client("lambda").list_functions()["Functions"]
            ],
            "buckets": [bucket["Name"] for bucket in running.s3.list_buckets()["Buckets"]],
        }

    before = listing()
    yield
    assert listing() == before


def signed_headers(running: Running, url: str, *, service: str, body: bytes = b"") -> list[tuple[str, str]]:
    """Header fields of a properly signed POST of this environment's user."""
    credentials = running.environment.session().get_credentials()
    assert credentials is not None
    made = AWSRequest(method="POST", url=url, data=body)
    SigV4Auth(credentials.get_frozen_credentials(), service, "us-east-1").add_auth(made)
    return [(name, str(value)) for name, value in made.headers.items()]


# --- requests that two programs read differently


def test_a_second_credential_within_the_authorization_header_does_not_hide_a_root_key(
    port: int, unchanged: None
) -> None:
    for first in ("test/x", f"{scope('test')}", "test/"):
        hidden = (
            f"AWS4-HMAC-SHA256 Credential={first}, Credential={scope(STRANGER)}, "
            f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
        )
        status, _ = request(port, f"GET /?{CREATE_USER}", [("X-Amz-Date", now()), ("Authorization", hidden)])
        assert status in {400, 403}


def test_a_second_credential_in_the_query_does_not_hide_a_root_key(port: int, unchanged: None) -> None:
    rest = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={now()}&X-Amz-Expires=100&X-Amz-SignedHeaders=host"
        f"&X-Amz-Signature={'0' * 64}"
    )
    root, stranger = (scope("test").replace("/", "%2F"), scope(STRANGER, "s3").replace("/", "%2F"))
    for query in (
        f"X-Amz-Credential={root}&x-amz-credential={stranger}",
        f"X-Amz-Credential={root}&X-Amz-Credential={stranger}",
        f"X-Amz-Credential={root}&X-Amz-%43redential={stranger}",
        f"a=b%26X-Amz-Credential%3D{stranger}&X-Amz-Credential={root}",
        f"X-Amz-Credential={root}",
    ):
        status, _ = request(port, f"GET /?{CREATE_USER}&{rest}&{query}", [])
        assert status in {400, 403}, query


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Target", "Host"]
)
def test_a_header_that_decides_something_may_not_come_twice(port: int, unchanged: None, name: str) -> None:
    values = {
        "Authorization": [authorization(scope(STRANGER)), authorization(scope("test"))],
        "Host": [f"127.0.0.1:{port}"],
    }.get(name, ["a", "b"])
    fields = [("Authorization", authorization(scope(STRANGER)))] if name != "Authorization" else []
    status, _ = request(port, f"GET /?{CREATE_USER}", [*fields, *((name, value) for value in values)])
    assert status == 400


def test_two_origins_are_refused_whatever_they_are(port: int, unchanged: None) -> None:
    origins = [("Origin", f"http://127.0.0.1:{port}"), ("Origin", "https://evil.example")]
    assert request(port, f"GET /?{CREATE_USER}", origins)[0] in {400, 403}


def test_the_key_of_a_real_user_without_its_secret_opens_no_service_through_an_s3_url(
    running: Running, port: int, unchanged: None
) -> None:
    credentials = running.environment.session().get_credentials()
    assert credentials is not None
    credential = scope(credentials.access_key, "s3").replace("/", "%2F")
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={now()}&X-Amz-Expires=100"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
    )
    for target in (f"GET /?{CREATE_USER}&{query}", f"POST /?{CREATE_USER}&{query}", f"PUT /intruder?{query}"):
        assert request(port, target, [("Content-Length", "0")])[0] in {400, 403}, target


def test_keys_in_the_body_of_a_query_call_are_no_signature(port: int, unchanged: None) -> None:
    body = f"{CREATE_USER}&AWSAccessKeyId=test&SignatureVersion=2&Signature=x".encode()
    fields = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
    ]
    assert request(port, "POST /", fields, body)[0] == 403


def form(running: Running, key: str, secret: str) -> tuple[list[tuple[str, str]], bytes]:
    """A browser's upload form (PostObject), signed by a key."""
    timestamp = now()
    expires = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {
        "key": "uploads/intruder.jpg",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": scope(key, "s3"),
        "x-amz-date": timestamp,
    }
    conditions = [{"bucket": running.bucket}, *({name: value} for name, value in fields.items())]
    policy = base64.b64encode(json.dumps({"expiration": expires, "conditions": conditions}).encode()).decode()
    signing_key = f"AWS4{secret}".encode()
    for part in (timestamp[:8], "us-east-1", "s3", "aws4_request"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.new(signing_key, policy.encode(), hashlib.sha256).hexdigest()
    body = "".join(
        f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**fields, "policy": policy, "x-amz-signature": signature}.items()
    )
    body += '--frontier\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\nhello\r\n'
    body += "--frontier--\r\n"
    headers = [
        ("Content-Type", "multipart/form-data; boundary=frontier"),
        ("Content-Length", str(len(body))),
    ]
    return headers, body.encode()


@pytest.mark.parametrize("key", ["test", "000000000000", STRANGER])
def test_an_upload_form_with_keys_that_are_no_users_stores_nothing(
    running: Running, port: int, key: str
) -> None:
    headers, body = form(running, key, "test")
    unsigned, _ = request(port, f"POST /{running.bucket}", headers, body)
    claimed, _ = request(
        port,
        f"POST /{running.bucket}",
        [*headers, ("X-Amz-Date", now()), ("Authorization", authorization(scope(STRANGER, "s3")))],
        body,
    )
    assert unsigned == 403
    assert claimed in {400, 403}
    with pytest.raises(ClientError) as error:
        running.s3.head_object(Bucket=running.bucket, Key="uploads/intruder.jpg")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


# --- targets, methods, hosts


@pytest.mark.parametrize(
    "path",
    [
        "/_ministack/reset",
        "//_ministack/reset",
        "/_MINISTACK/reset",
        "/%5fministack/reset",
        "/%5Fministack%2Freset",
        "/%255fministack/reset",
        "/./_ministack/reset",
        "/bucket/../_ministack/reset",
        "/bucket/%2e%2e/_ministack/reset",
        "/bucket%2f..%2f_ministack/reset",
        "/_ministack/reset?init=1",
        "/_ministack/reset#fragment",
        "/#/../_ministack/reset",
        "/\\_ministack/reset",
        "http://127.0.0.1:4566/_ministack/reset",
        "/_ministack/config",
        "/_ministack/lambda-code/darkroom-tagger",
        "/_localstack/health",
        "/_aws/lambda-url/x",
        "/health",
        "/latest/meta-data/iam/security-credentials/",
        "/LATEST/meta-data/",
        "/v2/credentials/x",
    ],
)
def test_no_spelling_of_an_internal_path_reaches_the_engine(port: int, unchanged: None, path: str) -> None:
    fields = [
        ("X-Amz-Date", now()),
        ("Authorization", authorization(scope(STRANGER, "s3"))),
        ("Content-Length", "0"),
    ]
    for method in ("GET", "POST", "PUT"):
        status, text = request(port, f"{method} {path}", fields)
        assert status in {400, 403}
        assert "uvicorn" not in text, "it was the engine that answered"


def test_a_bucket_may_be_called_like_the_beginning_of_an_internal_path(running: Running) -> None:
    running.s3.create_bucket(Bucket="healthcare")
    running.s3.put_object(Bucket="healthcare", Key="_ministack/x", Body=b"fine")
    assert running.s3.get_object(Bucket="healthcare", Key="_ministack/x")["Body"].read() == b"fine"
    running.s3.delete_object(Bucket="healthcare", Key="_ministack/x")
    running.s3.delete_bucket(Bucket="healthcare")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://evil.example/", 400),
        ("CONNECT evil.example:443", 405),
        ("TRACE /", 405),
        ("OPTIONS *", 400),
        ("PROPFIND /", 405),
        ("GET x", 400),
    ],
)
def test_targets_and_methods_that_no_api_needs_are_refused(
    port: int, unchanged: None, line: str, status: int
) -> None:
    fields = [("X-Amz-Date", now()), ("Authorization", authorization(scope(STRANGER, "s3")))]
    assert request(port, line, fields)[0] == status


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "127.0.0.1:{port}.evil.example",
        "127.0.0.1.evil.example:{port}",
        "localhost.:{port}",
        "127.0.0.1.:{port}",
        "127.1:{port}",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}, evil.example",
        "127.0.0.1",
        "",
    ],
)
def test_every_other_name_for_this_machine_is_refused(port: int, unchanged: None, host: str) -> None:
    fields = [("X-Amz-Date", now()), ("Authorization", authorization(scope(STRANGER)))]
    status, _ = request(port, f"GET /?{CREATE_USER}", fields, host=host.format(port=port))
    assert status in {400, 403}


@pytest.mark.parametrize(
    "extra",
    [
        [("X-Forwarded-Host", "127.0.0.1")],
        [("X-HTTP-Method-Override", "DELETE"), ("X-Method-Override", "DELETE")],
        [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        [("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")],
        [("X-Original-URL", "/_ministack/reset"), ("X-Rewrite-URL", "/_ministack/reset")],
    ],
    ids=["forwarded host", "method override", "websocket", "h2c", "rewritten url"],
)
def test_headers_that_other_servers_obey_change_nothing_here(
    port: int, unchanged: None, extra: list[tuple[str, str]]
) -> None:
    assert request(port, f"GET /?{CREATE_USER}", extra)[0] == 403
    forged = [("X-Amz-Date", now()), ("Authorization", authorization(scope(STRANGER)))]
    assert request(port, f"GET /?{CREATE_USER}", [*forged, *extra])[0] in {400, 403}


def test_a_preflight_gets_no_permission_for_a_foreign_page(port: int) -> None:
    fields = [
        ("Origin", "https://evil.example"),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "authorization,x-amz-date"),
        ("Access-Control-Request-Private-Network", "true"),
    ]
    status, text = request(port, "OPTIONS /", fields)
    assert status == 403
    assert "access-control-allow" not in text.lower()


def test_smuggled_lengths_are_refused(port: int, unchanged: None) -> None:
    inner = f"GET /_ministack/reset HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    body = b"0\r\n\r\n" + inner
    for fields in (
        [("Content-Length", str(len(body))), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "5"), ("Content-Length", str(len(body)))],
        [("Transfer-Encoding", "chunked, identity")],
        [("Content-Length", "-1")],
    ):
        status, text = request(port, "POST /", fields, body)
        assert status in {400, 403}
        assert text.count("HTTP/1.") <= 2
        assert "uvicorn" not in text


# --- keys that are taken away


def test_a_deleted_key_opens_rekognition_no_more(running: Running) -> None:
    iam = running.environment.session().client("iam")
    keys = iam.create_access_key(UserName="darkroom")["AccessKey"]
    client = LocalSession(
        endpoint=running.environment.engine.endpoint,
        region="us-east-1",
        access_key_id=keys["AccessKeyId"],
        secret_access_key=keys["SecretAccessKey"],
    ).client("rekognition")
    assert client.detect_labels(Image={"Bytes": pictures.jpeg(1)})["Labels"]
    iam.delete_access_key(UserName="darkroom", AccessKeyId=keys["AccessKeyId"])
    with pytest.raises(ClientError) as error:
        client.detect_labels(Image={"Bytes": pictures.jpeg(1)})
    assert error.value.response["Error"]["Code"] == "UnrecognizedClientException"


# --- limits, on the running gateway


def test_a_request_line_of_over_16_kib_is_answered_400(port: int) -> None:
    assert request(port, "GET /" + "a" * 20_000, [])[0] == 400
    assert request(port, "GET /" + "a" * 12_000, [])[0] == 403


def test_a_header_of_over_16_kib_is_answered_400(port: int) -> None:
    assert request(port, "GET /", [("X-Long", "a" * 20_000)])[0] == 400


def test_over_128_header_fields_are_answered_400(port: int) -> None:
    assert request(port, "GET /", [(f"X-{number}", "a") for number in range(100)])[0] == 403
    assert request(port, "GET /", [(f"X-{number}", "a") for number in range(200)])[0] == 400


def test_an_image_of_5_mb_sent_as_bytes_is_taken(running: Running) -> None:
    client = running.environment.session().client("rekognition")
    picture = pictures.jpeg(5)
    assert client.detect_labels(Image={"Bytes": picture + bytes(5_000_000 - len(picture))})["Labels"]


@pytest.mark.parametrize("service", ["rekognition", "iam", "lambda"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_of_over_16_mib_for_what_the_gateway_reads_itself_is_answered_413(
    running: Running, port: int, service: str, chunked: bool
) -> None:
    path = "/2015-03-31/functions/darkroom-tagger/invocations" if service == "lambda" else "/"
    fields = [("X-Amz-Date", now()), ("Authorization", authorization(scope(STRANGER, service)))]
    if service == "rekognition":
        fields.append(("X-Amz-Target", "RekognitionService.DetectLabels"))
    if chunked:
        piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        status, text = request(port, f"POST {path}", [*fields, ("Transfer-Encoding", "chunked")], piece * 18)
    else:
        status, text = request(port, f"POST {path}", [*fields, ("Content-Length", str(17 * 1024 * 1024))])
    assert status == 413
    assert "16777216" in text


def test_a_body_compressed_by_its_sender_arrives_as_it_was_signed(running: Running) -> None:
    body = gzip.compress(b"a label, a label, a label" * 100)
    running.s3.put_object(Bucket=running.bucket, Key="sizes/zipped", Body=body, ContentEncoding="gzip")
    answer = running.s3.get_object(Bucket=running.bucket, Key="sizes/zipped")
    assert answer["ContentEncoding"] == "gzip"
    assert answer["Body"].read() == body
    running.s3.delete_object(Bucket=running.bucket, Key="sizes/zipped")


def test_refusals_are_in_the_gateways_log_without_keys_and_not_more_than_can_be_read(
    running: Running, port: int
) -> None:
    for _ in range(250):
        request(port, "GET /secret?AWSAccessKeyId=hunter2", [("Origin", "https://evil.example")])
    log = (running.environment.layout.logs / "gateway.log").read_text()
    assert " refused " in log
    assert log.count(" refused GET '/secret'") <= 200
    assert "hunter2" not in log


def test_a_full_window_of_refusals_ends_in_a_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="darkroom.gateway")
    now_s = 0.0
    refusals = Refusals(clock=lambda: now_s)
    refused = Refusal("AccessDenied", "Requests of web pages are refused.")
    fields = {"Host": "127.0.0.1:4566", "Origin": "https://evil.example", "Cookie": "private"}
    for _ in range(150):
        refusals.note(make_mocked_request("GET", "/path?Signature=private", headers=fields), refused)
    assert len(caplog.messages) == 100
    now_s = 11.0
    refusals.note(make_mocked_request("GET", "/again", headers=fields), refused)
    assert caplog.messages[-2] == "refused 50 more requests meanwhile"
    assert caplog.messages[-1].startswith("refused GET '/again': Requests of web pages")
    assert "https://evil.example" in caplog.messages[0]
    assert "private" not in caplog.text


# --- limits, on a gateway of its own with small ones


class World:
    """A gateway with small limits before an engine that swallows bodies, slowly counted."""

    def __init__(self, port: int, limits: Limits) -> None:
        self.port = port
        self.limits = limits
        self.received = 0

    async def swallow(self, request: web.BaseRequest) -> web.StreamResponse:
        async for piece in request.content.iter_any():
            self.received += len(piece)
        return web.Response(text="done")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    port = free_port()
    world = World(
        port, Limits(call_bytes=100_000, read_bytes=50_000, header_s=0.4, body_s=0.4, connections=20)
    )
    socket_path = tmp_path / "e.sock"
    engine_runner = web.ServerRunner(web.Server(world.swallow))
    await engine_runner.setup()
    await web.UnixSite(engine_runner, str(socket_path)).start()
    engine = EngineSocket(socket_path, root_key="ROOT", region="us-east-1")
    objects = EngineObjects(socket_path, root_key="ROOT", region="us-east-1")
    gateway = Gateway(
        guard=Guard.for_port(port),
        engine=Upstream(socket_path),
        runtime=Upstream(socket_path),
        rekognition=Rekognition(fixtures=tmp_path, source=objects),
        keyring=Keyring(tmp_path / "keyring.json"),
        permissions=Permissions(engine),
        events_path="/_darkroom/events/token",
        credentials_path="/_darkroom/credentials/token",
        control_token="control",
        root_key="ROOT",
        account="000000000000",
        region="us-east-1",
        limits=world.limits,
    )
    runner = web.ServerRunner(BoundedServer(gateway.handle, world.limits), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield world
    finally:
        await runner.cleanup()
        for part in (gateway.engine, gateway.runtime, objects):
            await part.close()
        await engine_runner.cleanup()


def table_call() -> list[tuple[str, str]]:
    return [
        ("X-Amz-Target", "DynamoDB_20120810.PutItem"),
        ("Authorization", authorization(scope(STRANGER, "dynamodb"))),
    ]


async def test_a_chunked_body_is_counted_while_it_is_passed_on(world: World) -> None:
    piece = b"4e20\r\n" + bytes(20_000) + b"\r\n"
    fields = [*table_call(), ("Transfer-Encoding", "chunked")]
    fitting = await asyncio.to_thread(request, world.port, "POST /", fields, piece * 5 + b"0\r\n\r\n")
    assert (fitting[0], world.received) == (200, 100_000)
    world.received = 0
    status, text = await asyncio.to_thread(request, world.port, "POST /", fields, piece * 6 + b"0\r\n\r\n")
    assert (status, "100000" in text) == (413, True)
    assert world.received <= 100_000


async def test_an_upload_to_s3_may_be_larger_than_a_call(world: World) -> None:
    fields = [("Authorization", authorization(scope(STRANGER, "s3"))), ("Content-Length", "300000")]
    status, _ = await asyncio.to_thread(request, world.port, "PUT /bucket/key", fields, bytes(300_000))
    assert (status, world.received) == (200, 300_000)


async def test_a_body_that_stalls_is_answered_408_and_frees_its_place(world: World) -> None:
    fields = [*table_call(), ("Content-Length", "50000")]
    began = time.monotonic()
    status, _ = await asyncio.to_thread(request, world.port, "POST /", fields, bytes(10))
    assert status == 408
    assert time.monotonic() - began < 5


async def test_a_header_that_is_never_finished_is_cut_off(world: World) -> None:
    half = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    began = time.monotonic()
    status, _ = await asyncio.to_thread(send, world.port, half)
    assert status == 0
    assert time.monotonic() - began < 5


async def test_connections_over_the_limit_are_closed_and_later_ones_served_again(world: World) -> None:
    def silent() -> socket.socket:
        return socket.create_connection(("127.0.0.1", world.port), timeout=5)

    held = [await asyncio.to_thread(silent) for _ in range(20)]
    fields: list[Any] = [*table_call(), ("Content-Length", "0")]
    status, _ = await asyncio.to_thread(request, world.port, "POST /", fields)
    assert status == 0
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 5
    while status == 0 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        status, _ = await asyncio.to_thread(request, world.port, "POST /", fields)
    assert status == 200
