"""Every mode over the wire: a client, the local Rekognition, and a stand-in for AWS."""

from __future__ import annotations

import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from darkroom.rekognition import Mode, Rekognition
from darkroom.rekognition.control import ControlError, set_mode
from tests.support.stand_in_aws import ACCOUNT, SECRETS

from .helpers import BUCKET, MemorySource, photo, picture
from .live_world import LOCAL_KEY, World, aws_answers, headers, s3, serve

if TYPE_CHECKING:
    from pathlib import Path

COFFEE = hashlib.sha256(photo("coffee.png")).hexdigest()
ASTRONAUT = hashlib.sha256(photo("astronaut-eileen-collins.png")).hexdigest()
IMAGE: Any = {"Bytes": photo("coffee.png")}


@pytest.fixture(autouse=True)
def _answers(tmp_path: Path, world: World) -> None:
    """AWS sees rust in the coffee; the local side has no fixtures at all."""
    aws_answers(tmp_path, COFFEE, "labels: {Rust: 90.5, Cup: 61.25}\ntext: [HELLO]\n")


def labels(answer: Any) -> list[str]:
    return [label["Name"] for label in answer["Labels"]]


def test_stub_and_replay_ask_nobody(world: World) -> None:
    world.use("proxy")
    asked = len(world.aws.seen)
    world.use("stub", credentials=None)
    answer = world.client().detect_labels(Image=IMAGE)
    assert headers(answer)["x-darkroom-source"] == "synthetic"
    world.use("replay", credentials=None)
    with pytest.raises(ClientError, match="RecordingNotFoundException"):
        world.client().detect_labels(Image=IMAGE)
    assert len(world.aws.seen) == asked
    with pytest.raises(ControlError, match="needs credentials"):
        world.use("proxy", credentials=None)


def test_stub_is_the_default_and_holds_nothing_that_could_reach_a_network(tmp_path: Path) -> None:
    rekognition = Rekognition(fixtures=tmp_path, source=MemorySource())
    assert rekognition.mode is Mode.STUB
    assert rekognition.switch.live.upstream is None
    rekognition.close()


def test_proxy_gives_the_answer_of_aws_and_stores_nothing(world: World) -> None:
    status = world.use("proxy", region="eu-west-1")
    assert status["identity"] == {"account": ACCOUNT, "who": "role Developer"}
    for _ in range(2):
        answer = world.client().detect_labels(Image=IMAGE, MinConfidence=60)
        assert labels(answer) == ["Rust", "Cup"]
        assert headers(answer)["x-darkroom-source"] == "aws"
        assert headers(answer)["x-darkroom-detail"] == "real AWS eu-west-1"
    assert world.aws.calls == ["DetectLabels", "DetectLabels"]
    assert world.aws.regions == {"eu-west-1"}
    assert world.files() == []


def test_an_object_goes_to_aws_as_bytes_signed_anew_and_without_local_keys(world: World) -> None:
    world.use("proxy")
    by_object = world.client().detect_labels(Image=s3("coffee.png"))
    by_bytes = world.client().detect_labels(Image=IMAGE)
    assert by_object["Labels"] == by_bytes["Labels"]
    everything = "".join(world.aws.seen)
    assert LOCAL_KEY not in everything
    assert BUCKET not in everything
    assert "coffee.png" not in everything


def test_record_missing_asks_once_and_then_answers_from_the_recording(world: World) -> None:
    world.use("record-missing")
    first = world.client().detect_labels(Image=s3("coffee.png"))
    (file,) = world.files()
    assert headers(first)["x-darkroom-detail"] == f"real AWS us-east-1, recorded as {file.name}"
    second = world.client().detect_labels(Image=IMAGE)
    assert headers(second)["x-darkroom-source"] == "recorded"
    assert second["Labels"] == first["Labels"]
    narrower = world.client().detect_labels(Image=IMAGE, MinConfidence=80)
    assert labels(narrower) == ["Rust"]
    assert headers(narrower)["x-darkroom-detail"].startswith("derived from recording")
    assert world.aws.calls == ["DetectLabels"]
    world.client().detect_labels(Image=IMAGE, MinConfidence=10)
    assert world.aws.calls == ["DetectLabels", "DetectLabels"]


def test_many_who_ask_for_the_same_at_once_make_one_paid_call(world: World) -> None:
    world.use("record-missing")
    world.aws.delay_s = 0.3
    client = world.client()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.detect_labels(Image=IMAGE), range(12)))
    assert all(labels(answer) == ["Rust", "Cup"] for answer in answers)
    assert world.aws.calls == ["DetectLabels"]
    assert world.status()["spent"]["calls"] == 1


def test_refresh_asks_always_and_records_over_what_was_there(world: World, tmp_path: Path) -> None:
    world.use("record-missing")
    world.client().detect_labels(Image=IMAGE)
    (file,) = world.files()
    before = json.loads(file.read_text())
    world.aws.drift = lambda _, answer: {**answer, "LabelModelVersion": "3.1"}
    world.use("refresh")
    assert world.client().detect_labels(Image=IMAGE)["LabelModelVersion"] == "3.1"
    assert world.files() == [file]
    after = json.loads(file.read_text())
    assert before["model_version"] == "3.0"
    assert after["model_version"] == "3.1"
    assert after["response"]["Labels"] == before["response"]["Labels"]


def test_replay_answers_from_recordings_only_and_a_miss_names_what_comes_near(world: World) -> None:
    world.use("record-missing")
    recorded = world.client().detect_labels(Image=IMAGE, MinConfidence=80)
    (file,) = world.files()
    asked = len(world.aws.seen)
    world.use("replay", credentials=None)
    replayed = world.client().detect_labels(Image=s3("coffee.png"), MinConfidence=80)
    assert replayed["Labels"] == recorded["Labels"]
    assert headers(replayed)["x-darkroom-detail"] == f"exact recording {file.name}"
    with pytest.raises(ClientError, match="RecordingNotFoundException") as wider:
        world.client().detect_labels(Image=s3("coffee.png"), MinConfidence=20)
    said = wider.value.response["Error"]["Message"]
    assert f"s3://{BUCKET}/coffee.png" in said
    assert (
        f"DetectLabels with Features GENERAL_LABELS, MaxLabels 1000, MinConfidence 80 ({file.name})" in said
    )
    with pytest.raises(ClientError, match=r"Nearest: DetectLabels with"):
        world.client().detect_text(Image=IMAGE)
    with pytest.raises(ClientError, match="nothing about this picture"):
        world.client().detect_labels(Image={"Bytes": picture()})
    assert len(world.aws.seen) == asked


def test_a_miss_names_another_picture_of_the_same_size(world: World) -> None:
    world.use("record-missing")
    world.client().detect_labels(Image={"Bytes": picture(321, 123)})
    world.use("replay", credentials=None)
    with pytest.raises(ClientError, match=r"another picture of 321 x 123, SHA-256 [0-9a-f]{64}"):
        world.client().detect_labels(Image={"Bytes": picture(321, 123, (1, 2, 3))})


def test_verify_tells_what_differs_beyond_the_tolerance(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.use("record-missing")
    world.client().detect_labels(Image=IMAGE)
    (file,) = world.files()
    before = file.read_bytes()
    world.use("verify", tolerance=1.0)
    answer = world.client().detect_labels(Image=IMAGE)
    assert headers(answer)["x-darkroom-source"] == "aws"
    assert headers(answer)["x-darkroom-verify"] == "same"

    def drift(_: str, found: dict[str, Any]) -> dict[str, Any]:
        found["LabelModelVersion"] = "4.0"
        found["Labels"][0]["Confidence"] -= 0.9
        found["Labels"][1]["Confidence"] += 2.5
        return found

    world.aws.drift = drift
    answer = world.client().detect_labels(Image=IMAGE)
    assert headers(answer)["x-darkroom-verify"] == "differs"
    unknown = world.client().detect_labels(Image={"Bytes": picture()})
    assert headers(unknown)["x-darkroom-verify"] == "not recorded"
    same, differs, missing = world.report()
    assert (same["verdict"], same["differences"]) == ("same", [])
    assert differs["verdict"] == "differs"
    assert sorted(differs["differences"]) == [
        "LabelModelVersion: 3.0 recorded, 4.0 real",
        "Labels[Cup].Confidence: 61.25 recorded, 63.75 real",
    ]
    assert missing["verdict"] == "not recorded"
    assert "verify: DetectLabels" in caplog.text
    assert file.read_bytes() == before


def test_every_operation_is_recorded_and_replayed_with_the_same_answer(world: World, tmp_path: Path) -> None:
    astronaut: Any = {"Bytes": photo("astronaut-eileen-collins.png")}
    aws_answers(
        tmp_path,
        ASTRONAUT,
        "labels: {Astronaut: 97}\n"
        "faces: [{box: [0.3, 0.1, 0.2, 0.3], smile: true, celebrity: {name: Eileen Collins}}]\n"
        "moderation: {Smoking: 88}\n"
        "protective_equipment: [{box: [0.1, 0.1, 0.4, 0.8], parts: {HEAD: 99}}]\n"
        "text: [NASA]\n",
    )

    def ask_all() -> list[Any]:
        client = world.client()
        celebrities = client.recognize_celebrities(Image=astronaut)
        answers: list[Any] = [
            client.detect_labels(Image=astronaut, Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"]),
            client.detect_faces(Image=astronaut, Attributes=["ALL"]),
            celebrities,
            client.get_celebrity_info(Id=celebrities["CelebrityFaces"][0]["Id"]),
            client.detect_text(Image=astronaut),
            client.detect_moderation_labels(Image=astronaut),
            client.detect_protective_equipment(Image=astronaut),
            client.compare_faces(SourceImage=astronaut, TargetImage=astronaut),
        ]
        return [
            {name: value for name, value in answer.items() if name != "ResponseMetadata"}
            for answer in answers
        ]

    world.use("record-missing", with_faces=True)
    recorded = ask_all()
    assert len(world.files()) == 8
    world.use("replay", credentials=None)
    assert ask_all() == recorded
    assert len(world.aws.calls) == 8


def test_a_refusal_about_the_picture_is_recorded_and_one_that_may_pass_is_not(world: World) -> None:
    world.use("record-missing")
    no_picture: Any = {"Bytes": b"no picture"}
    for _ in range(2):
        with pytest.raises(ClientError, match="InvalidImageFormatException"):
            world.client().detect_labels(Image=no_picture)
    (file,) = world.files()
    assert json.loads(file.read_text())["error"]["code"] == "InvalidImageFormatException"
    world.use("replay", credentials=None)
    with pytest.raises(ClientError, match="InvalidImageFormatException"):
        world.client().detect_labels(Image=no_picture, MinConfidence=3)
    world.use("record-missing")
    for status, code in (
        (400, "ThrottlingException"),
        (500, "InternalServerError"),
        (400, "LimitExceededException"),
    ):
        world.aws.error = (status, code, "Rate exceeded")
        with pytest.raises(ClientError, match=code):
            world.client().detect_labels(Image=IMAGE)
    world.aws.error = (400, "InvalidParameterException", f"not for account {ACCOUNT}")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        world.client().detect_labels(Image=IMAGE)
    assert world.files() == [file]


def test_a_throttle_of_aws_reaches_the_caller_whose_sdk_tries_again(world: World) -> None:
    world.use("proxy")
    world.aws.throttle(count=1)
    answer = world.client(attempts=3).detect_labels(Image=IMAGE)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert world.status()["spent"]["calls"] == 1


def test_details_of_faces_are_kept_only_when_asked_for(world: World, tmp_path: Path) -> None:
    astronaut: Any = {"Bytes": photo("astronaut-eileen-collins.png")}
    aws_answers(
        tmp_path,
        ASTRONAUT,
        "faces: [{box: [0.3, 0.1, 0.2, 0.3], smile: true, celebrity: {name: Eileen Collins}}, "
        "{box: [0.6, 0.1, 0.2, 0.3]}]\n",
    )
    world.use("record-missing")
    client = world.client()
    faces = client.detect_faces(Image=astronaut, Attributes=["ALL"])
    assert faces["FaceDetails"][0]["Smile"]["Value"] is True
    assert (
        "not recorded: details of faces are recorded only with --with-faces"
        in headers(faces)["x-darkroom-detail"]
    )
    assert world.files() == []
    client.recognize_celebrities(Image=astronaut)
    (file,) = world.files()
    response = json.loads(file.read_text())["response"]
    assert response["CelebrityFaces"][0]["Name"] == "Eileen Collins"
    assert response["CelebrityFaces"][0]["Face"].keys() == {"BoundingBox", "Confidence"}
    assert response["UnrecognizedFaces"][0].keys() == {"BoundingBox", "Confidence"}
    world.use("record-missing", with_faces=True)
    whole = client.recognize_celebrities(Image=astronaut)
    assert headers(whole)["x-darkroom-source"] == "aws"
    assert "Landmarks" in json.loads(file.read_text())["response"]["CelebrityFaces"][0]["Face"]


def test_widest_asks_once_and_derives_what_is_narrower(world: World) -> None:
    world.use("record-missing", widest=True)
    client = world.client()
    assert labels(client.detect_labels(Image=IMAGE, MinConfidence=80, MaxLabels=5)) == ["Rust"]
    assert labels(client.detect_labels(Image=IMAGE, MinConfidence=1)) == ["Rust", "Cup"]
    assert labels(client.detect_labels(Image=IMAGE, MinConfidence=60, MaxLabels=1)) == ["Rust"]
    assert world.aws.calls == ["DetectLabels"]
    (file,) = world.files()
    assert json.loads(file.read_text())["parameters"]["MinConfidence"] == 0


def test_a_request_that_names_an_arn_is_asked_and_never_recorded(world: World) -> None:
    world.use("record-missing")
    flow = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:flow-definition/review"
    answer = world.client().detect_moderation_labels(
        Image=IMAGE, HumanLoopConfig={"HumanLoopName": "loop", "FlowDefinitionArn": flow}
    )
    assert headers(answer)["x-darkroom-source"] == "aws"
    assert "not recorded: HumanLoopConfig names an account" in headers(answer)["x-darkroom-detail"]
    assert world.files() == []


def test_while_aws_does_not_answer_everything_else_does(world: World) -> None:
    world.use("record-missing")
    world.client().detect_text(Image=IMAGE)
    world.aws.delay_s = 2.0
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(world.client().detect_labels, Image=IMAGE) for _ in range(6)]
        assert headers(world.client().detect_text(Image=IMAGE))["x-darkroom-source"] == "recorded"
        assert world.status()["mode"] == "record-missing"
        assert not any(answer.done() for answer in slow)
        assert all(labels(answer.result()) == ["Rust", "Cup"] for answer in slow)


def test_a_restarted_server_keeps_the_mode_and_asks_aws_only_after_a_new_switch(world: World) -> None:
    world.use("proxy")
    for again in serve(World(world.aws, world.folder, source=world.source)):
        assert again.status()["mode"] == "proxy"
        assert again.status()["identity"] is None
        with pytest.raises(ClientError, match=r"RealAwsCredentialsException.*never kept on disk"):
            again.client().detect_labels(Image=IMAGE)
        again.use("proxy")
        assert labels(again.client().detect_labels(Image=IMAGE)) == ["Rust", "Cup"]


def test_a_mode_that_makes_no_sense_is_refused_and_nothing_changes(world: World) -> None:
    for document, sentence in (
        ({"mode": "paid"}, "mode"),
        ({"mode": "proxy", "tolerance": -1}, "tolerance"),
        ({"mode": "proxy", "endpoint": "ftp://x"}, "endpoint"),
        ({"mode": "proxy", "secret": 1}, "secret"),
        ([], "Not a mode"),
    ):
        with pytest.raises(ControlError, match=sentence):
            set_mode(world.endpoint, document)  # type: ignore[arg-type]
    with pytest.raises(ControlError, match="needs credentials"):
        set_mode(world.endpoint, {"mode": "proxy"})
    with pytest.raises(ControlError, match="not on this machine"):
        set_mode("http://192.0.2.1", {"mode": "proxy", "credentials": {}})
    assert world.status()["mode"] == "stub"


def test_no_secret_reaches_a_file_or_a_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for mode in ("record-missing", "refresh", "proxy", "verify"):
        world.use(mode, with_faces=True)
        world.client().detect_labels(Image=s3("coffee.png"))
        world.client().detect_text(Image=IMAGE)
    files = [path for path in world.folder.rglob("*") if path.is_file()]
    assert len(files) >= 4
    written = b"".join(path.read_bytes() for path in files) + caplog.text.encode()
    for secret in (*SECRETS, ACCOUNT, "arn:aws", photo("coffee.png")[:64].decode("latin-1"), BUCKET):
        in_files = b"".join(path.read_bytes() for path in files)
        assert secret.encode("latin-1") not in in_files, secret
    assert not any(secret.encode() in written for secret in SECRETS)
    assert ACCOUNT in caplog.text, "who asks AWS is shown before the first paid call"
