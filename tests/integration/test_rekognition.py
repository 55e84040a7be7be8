"""The local Rekognition behind the gateway of a running environment: answers, fixtures, faults, permissions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from darkroom.operations.environment import Environment
from darkroom.settings import PROJECT_ROOT, Settings
from tests.integration.conftest import Running, free_port, quiet
from tests.integration.test_gateway import raw, session
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_rekognition import RekognitionClient

pytestmark = pytest.mark.integration

IMAGES = PROJECT_ROOT / "fixtures" / "images"
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An environment over a project folder with fixtures of its own, which a test may write to and break."""
    folder = tmp_path_factory.mktemp("own")
    project = folder / "project"
    (project / "fixtures" / "rekognition" / "authored").mkdir(parents=True)
    for name in (
        "template.yaml",
        "lambda",
        "environments",
        "requirements",
        ".venv-engine",
        ".venv-functions",
    ):
        (project / name).symlink_to(PROJECT_ROOT / name)
    environment = Environment(
        Settings(
            home=folder / "home",
            inbox=folder / "inbox",
            port=free_port(),
            page_port=free_port(),
            project=project,
            ledger=folder / "ledger.sqlite3",
        )
    )
    up = environment.up(overrides=(), report=quiet)
    try:
        s3 = environment.session().client("s3")
        yield Running(environment, environment.settings.inbox, up.bucket, environment.images(), s3)
    finally:
        environment.down()


def client(running: Running, config: Config | None = None) -> RekognitionClient:
    found: RekognitionClient = running.environment.session().client("rekognition", config=config)
    return found


def darkroom(running: Running, *arguments: str) -> str:
    """The command line, for this environment."""
    settings = running.environment.settings
    environment = {
        **os.environ,
        "DARKROOM_HOME": str(settings.home),
        "DARKROOM_INBOX": str(settings.inbox),
        "DARKROOM_PORT": str(settings.port),
        "DARKROOM_PROJECT": str(settings.project),
    }
    done = subprocess.run(
        [sys.executable, "-m", "darkroom.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fired(running: Running) -> dict[str, int]:
    state: dict[str, Any] = json.loads(darkroom(running, "rekognition", "faults", "show", "--json"))
    return dict(state["fired"])


@pytest.fixture
def faults(own: Running) -> Iterator[Running]:
    """The environment of `own`, without faults before and after."""
    darkroom(own, "rekognition", "faults", "clear")
    yield own
    darkroom(own, "rekognition", "faults", "clear")


def test_a_picture_as_bytes_and_as_s3_object_has_the_same_labels(running: Running) -> None:
    rekognition = client(running)
    for path in sorted(IMAGES.glob("*.[jp][pn]g")):
        key = f"agreement/with space+{path.name}"
        running.s3.put_object(Bucket=running.bucket, Key=key, Body=path.read_bytes())
        by_bytes = rekognition.detect_labels(Image={"Bytes": path.read_bytes()})
        by_object = rekognition.detect_labels(Image={"S3Object": {"Bucket": running.bucket, "Name": key}})
        assert by_bytes["Labels"], path.name
        assert by_bytes["Labels"] == by_object["Labels"]
        running.s3.delete_object(Bucket=running.bucket, Key=key)


def test_every_operation_answers_over_the_gateway(running: Running) -> None:
    rekognition = client(running)
    astronaut = (IMAGES / "astronaut-eileen-collins.png").read_bytes()
    image: Any = {"Bytes": astronaut}
    assert rekognition.detect_labels(Image=image)["Labels"]
    face = rekognition.detect_faces(Image=image, Attributes=["ALL"])["FaceDetails"][0]
    assert face["Gender"]["Value"] == "Female"
    celebrity = rekognition.recognize_celebrities(Image=image)["CelebrityFaces"][0]
    assert celebrity["Name"] == "Eileen Collins"
    assert rekognition.get_celebrity_info(Id=celebrity["Id"])["Name"] == "Eileen Collins"
    matches = rekognition.compare_faces(SourceImage=image, TargetImage=image)["FaceMatches"]
    assert matches[0]["Similarity"] > 99
    assert rekognition.detect_protective_equipment(Image=image)["Persons"]
    sign = (IMAGES / "shop-sign.png").read_bytes()
    texts = [
        found["DetectedText"] for found in rekognition.detect_text(Image={"Bytes": sign})["TextDetections"]
    ]
    assert "DARKROOM" in texts
    wine = (IMAGES / "still-life-with-wine.png").read_bytes()
    moderation = rekognition.detect_moderation_labels(Image={"Bytes": wine})["ModerationLabels"]
    assert "Alcohol" in {label["Name"] for label in moderation}


def test_an_operation_that_is_not_served_is_refused_by_its_name(running: Running) -> None:
    with pytest.raises(ClientError, match=r"UnsupportedOperationException.*ListCollections is an operation"):
        client(running, ONCE).list_collections()


def test_a_missing_object_is_the_services_own_error(running: Running) -> None:
    rekognition = client(running, ONCE)
    with pytest.raises(rekognition.exceptions.InvalidS3ObjectException):
        rekognition.detect_labels(Image={"S3Object": {"Bucket": running.bucket, "Name": "no/such.jpg"}})


def test_a_user_may_call_only_the_operations_that_a_policy_allows(running: Running) -> None:
    iam = running.environment.session().client("iam")
    iam.create_user(UserName="labeller")
    keys = iam.create_access_key(UserName="labeller")["AccessKey"]
    allow = {"Effect": "Allow", "Action": "rekognition:DetectLabels", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="labeller", PolicyName="labels", PolicyDocument=policy)
    try:
        labeller = session(running, keys["AccessKeyId"], keys["SecretAccessKey"]).client("rekognition")
        image: Any = {"Bytes": (IMAGES / "coffee.png").read_bytes()}
        assert labeller.detect_labels(Image=image)["Labels"]
        with pytest.raises(ClientError, match=r"AccessDeniedException.*rekognition:DetectFaces"):
            labeller.detect_faces(Image=image)
    finally:
        iam.delete_user_policy(UserName="labeller", PolicyName="labels")
        iam.delete_access_key(UserName="labeller", AccessKeyId=keys["AccessKeyId"])
        iam.delete_user(UserName="labeller")


def test_a_described_picture_is_tagged_with_exactly_its_labels(own: Running) -> None:
    content = pictures.jpeg(500, size=(320, 200))
    picture = own.inbox.parent / "bicycle.jpg"
    picture.write_bytes(content)
    key = own.drop("before.jpg", content)
    assert own.record(key)["Source"] == "synthetic"
    darkroom(own, "rekognition", "add", str(picture), "--label", "Bicycle=96.5", "--label", "Person=41")
    time.sleep(1.1)  # a change is noticed within a second
    record = own.record(own.drop("after.jpg", content))
    assert record["Source"] == "authored"
    found = {label["Name"]: round(label["Confidence"], 1) for label in record["Labels"]}
    assert found == {"Bicycle": 96.5, "Transportation": 96.5, "Vehicle": 96.5}


@pytest.mark.parametrize("token", [None, "any", "", "\xe9"])
def test_faults_are_controlled_by_the_owner_of_the_environment_only(own: Running, token: str | None) -> None:
    headers = {} if token is None else {"X-Darkroom-Control": token}
    plan = b'{"faults": [{"kind": "internal"}]}'
    for method in ("GET", "PUT", "DELETE"):
        status, _ = raw(own, method, "/_darkroom/rekognition/faults", headers, plan)
        assert status in {400, 404}
    assert fired(own) == {}
    assert client(own, ONCE).detect_labels(Image={"Bytes": (IMAGES / "coffee.png").read_bytes()})["Labels"]


def test_throttling_that_ends_leaves_the_picture_tagged(faults: Running) -> None:
    darkroom(faults, "rekognition", "faults", "set", "--throttle", "100%", "--operation", "DetectLabels")
    key = faults.drop("throttled.jpg", pictures.jpeg(501))
    deadline = time.monotonic() + 20
    while fired(faults).get("throughput", 0) < 2:
        assert time.monotonic() < deadline, "the tagger has not asked twice"
    darkroom(faults, "rekognition", "faults", "clear")
    assert faults.record(key, timeout_s=40)["Status"] == "TAGGED"


def test_errors_for_so_many_calls_end_by_themselves(faults: Running) -> None:
    darkroom(faults, "rekognition", "faults", "set", "--error-500", "100", "--count", "2")
    image: Any = {"Bytes": (IMAGES / "coffee.png").read_bytes()}
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            client(faults, ONCE).detect_labels(Image=image)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert client(faults, ONCE).detect_labels(Image=image)["Labels"]
    assert fired(faults) == {"internal": 2}


def test_a_dropped_connection_closes_without_an_answer(faults: Running) -> None:
    darkroom(faults, "rekognition", "faults", "set", "--drop", "100%", "--count", "1")
    image: Any = {"Bytes": (IMAGES / "coffee.png").read_bytes()}
    with pytest.raises(ConnectionClosedError):
        client(faults, ONCE).detect_labels(Image=image)
    assert client(faults, ONCE).detect_labels(Image=image)["Labels"]
