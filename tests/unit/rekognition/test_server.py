"""The server that stands alone: real sockets, boto3 as the client, guards, a clean end."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from darkroom.rekognition import Rekognition
from darkroom.rekognition.control import ControlError, clear_faults, set_faults, show_faults
from darkroom.rekognition.server import Guard, make_app
from tests.support.serving import serving

from .helpers import BUCKET, FIXTURES, ROOT, MemorySource, photo, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_rekognition.client import RekognitionClient


@pytest.fixture
def endpoint(source: MemorySource) -> Iterator[str]:
    """A server in a thread, over the shipped fixtures."""
    rekognition = Rekognition(fixtures=FIXTURES, source=source)
    with serving(make_app(rekognition, Guard(frozenset(("rekognition.test",))))) as address:
        yield address
    rekognition.close()


def client_for(endpoint: str, attempts: int = 1) -> RekognitionClient:
    return boto3.client(
        "rekognition",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )


@pytest.fixture
def client(endpoint: str) -> RekognitionClient:
    return client_for(endpoint)


def s3(key: str) -> Any:
    return {"S3Object": {"Bucket": BUCKET, "Name": key}}


def test_boto3_gets_labels_and_sees_where_they_come_from(client: RekognitionClient) -> None:
    answer = client.detect_labels(Image=s3("cat-chelsea.png"), MinConfidence=80, MaxLabels=10)
    assert [label["Name"] for label in answer["Labels"]] == ["Animal", "Mammal", "Pet"]
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-darkroom-source"] == "authored"
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert "server" not in headers
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    invented = client.detect_labels(Image={"Bytes": picture()})
    assert invented["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-source"] == "synthetic"


def test_boto3_parses_the_answer_of_every_operation(client: RekognitionClient) -> None:
    astronaut = s3("astronaut-eileen-collins.png")
    assert (
        client.detect_faces(Image=astronaut, Attributes=["ALL"])["FaceDetails"][0]["Smile"]["Value"] is True
    )
    celebrity = client.recognize_celebrities(Image=astronaut)["CelebrityFaces"][0]
    assert client.get_celebrity_info(Id=celebrity["Id"])["Name"] == "Eileen Collins"
    assert client.detect_text(Image=s3("shop-sign.png"))["TextDetections"][0]["DetectedText"] == "DARKROOM"
    wine = client.detect_moderation_labels(Image=s3("still-life-with-wine.png"))
    assert wine["ModerationLabels"][0]["TaxonomyLevel"] == 2
    worker = client.detect_protective_equipment(
        Image=astronaut,
        SummarizationAttributes={"MinConfidence": 80, "RequiredEquipmentTypes": ["FACE_COVER"]},
    )
    assert worker["Summary"]["PersonsWithoutRequiredEquipment"] == [0]
    match = client.compare_faces(SourceImage=astronaut, TargetImage=astronaut)
    assert match["FaceMatches"][0]["Similarity"] == 100.0
    both = client.detect_labels(Image=astronaut, Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"])
    assert both["ImageProperties"]["DominantColors"][0]["HexCode"].startswith("#")


def test_boto3_raises_the_services_own_exceptions(client: RekognitionClient) -> None:
    with pytest.raises(client.exceptions.InvalidImageFormatException):
        client.detect_labels(Image={"Bytes": b"no picture"})
    with pytest.raises(client.exceptions.InvalidS3ObjectException):
        client.detect_labels(Image=s3("nothing.png"))
    with pytest.raises(client.exceptions.ImageTooLargeException):
        client.detect_labels(Image={"Bytes": picture(10_001, 80)})
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.detect_faces(Image={})
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_celebrity_info(Id="nobody7")
    with pytest.raises(ClientError, match="ValidationException") as caught:
        client.detect_labels(Image={"Bytes": bytes(6_000_000)})
    assert "lim=6000000" in caught.value.response["Error"]["Message"]
    with pytest.raises(ClientError, match="UnsupportedOperationException"):
        client.list_collections()


def test_boto3_retries_a_throttled_call_and_gets_its_answer(endpoint: str) -> None:
    set_faults(endpoint, {"faults": [{"kind": "throughput", "count": 1}]})
    answer = client_for(endpoint, attempts=3).detect_labels(Image=s3("coffee.png"))
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert show_faults(endpoint)["fired"] == {"throughput": 1}


def test_twenty_clients_at_once_get_each_the_answer_to_their_own_picture(endpoint: str) -> None:
    def ask_thrice(number: int) -> set[str]:
        client = client_for(endpoint)
        image: Any = {"Bytes": picture(120 + number, 90, (number * 12, 90, 200))}
        answers = [client.detect_labels(Image=image) for _ in range(3)]
        return {answer["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-image"] for answer in answers}

    with ThreadPoolExecutor(max_workers=20) as pool:
        seen = list(pool.map(ask_thrice, range(20)))
    for number, hashes in enumerate(seen):
        assert hashes == {hashlib.sha256(picture(120 + number, 90, (number * 12, 90, 200))).hexdigest()}


def test_a_dropped_connection_is_one_for_the_client(endpoint: str) -> None:
    set_faults(endpoint, {"faults": [{"kind": "drop", "count": 1}]})
    client = client_for(endpoint)
    with pytest.raises(ConnectionClosedError):
        client.detect_labels(Image=s3("coffee.png"))
    assert client.detect_labels(Image=s3("coffee.png"))["Labels"]


def test_the_control_tells_what_is_wrong_with_a_plan(endpoint: str) -> None:
    with pytest.raises(ControlError, match="'kind' is missing"):
        set_faults(endpoint, {"faults": [{}]})
    assert clear_faults(endpoint)["plan"]["faults"] == []
    with pytest.raises(ControlError, match="No local Rekognition answers"):
        show_faults("http://127.0.0.1:9")
    with pytest.raises(ControlError, match="not an http address"):
        show_faults("file:///etc/passwd")


def ask(
    endpoint: str, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=5)
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Host": "localhost:4567"}, 200),
        ({"Host": "[::1]:4567"}, 200),
        ({"Host": "REKOGNITION.test"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Origin": "http://localhost:4567"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
def test_what_a_web_page_can_send_is_refused(endpoint: str, headers: dict[str, str], status: int) -> None:
    assert ask(endpoint, "GET", "/health", headers)[0] == status
    target = {"X-Amz-Target": "RekognitionService.GetCelebrityInfo", **headers}
    assert ask(endpoint, "POST", "/", target, b'{"Id": "3Ir0du6"}')[0] == status


def test_faults_are_not_controlled_without_the_header(endpoint: str) -> None:
    status, body = ask(endpoint, "PUT", "/_darkroom/rekognition/faults", {}, b"{}")
    assert status == 403
    assert b"X-Darkroom-Control" in body


def test_a_request_of_more_than_any_picture_is_refused_as_too_large(endpoint: str) -> None:
    headers = {"X-Amz-Target": "RekognitionService.DetectLabels"}
    status, body = ask(endpoint, "POST", "/", headers, b"x" * (25 * 1024 * 1024))
    assert status == 413
    assert json.loads(body)["__type"] == "RequestEntityTooLargeException"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_process(*arguments: str) -> subprocess.Popen[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "darkroom.rekognition", *arguments],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def health_of(port: int) -> Any:
    """What the process says as soon as it listens."""
    for _ in range(1000):
        try:
            return json.loads(ask(f"http://127.0.0.1:{port}", "GET", "/health", {})[1])
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("nothing listens after ten seconds")


def test_the_process_serves_and_ends_cleanly_on_sigterm() -> None:
    port = free_port()
    process = start_process("--port", str(port), "--fixtures", str(FIXTURES), "--mode", "stub", "--strict")
    assert process.stderr is not None
    try:
        assert health_of(port) == {"status": "ok", "mode": "stub"}
        client = client_for(f"http://127.0.0.1:{port}")
        assert client.detect_labels(Image={"Bytes": photo("coffee.png")})["Labels"]
        with pytest.raises(ClientError, match="FixtureNotFoundException"):
            client.detect_labels(Image={"Bytes": picture()})
        with pytest.raises(ClientError, match="InternalServerError"):
            client.detect_labels(Image=s3("coffee.png"))
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=5)
    assert process.returncode == 0
    assert "fixture coffee.yaml" in log
    assert "Traceback" not in log


def test_a_taken_port_and_a_missing_folder_are_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start_process("--port", str(port), "--fixtures", str(FIXTURES))
        _, log = process.communicate(timeout=10)
    assert process.returncode == 4
    assert f"Cannot listen on 127.0.0.1:{port}" in log
    process = start_process("--fixtures", "no/such/folder")
    _, log = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "no/such/folder is not a folder" in log
    assert "Traceback" not in log
