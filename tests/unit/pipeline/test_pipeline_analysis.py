"""Several analysers of one image: side by side, each paid once, and each with an outcome of its own."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pipeline.analysis import Analysis, Trust
from pipeline.analyzers import calls_for
from pipeline.answers import Answer, Answers, pack, unpack
from pipeline.images import fetch
from pipeline.ordering import Claim
from pipeline.settings import Analyzer
from pipeline.store import Store
from pipeline.tagging import Outcome
from tests.unit.pipeline.service import ALL, BOX, COLOUR, FACES, sees_everything, throttled
from tests.unit.pipeline.world import (
    INDEX,
    LEASE_MS,
    TABLE,
    FakeRekognition,
    Interruptions,
    PowerCutError,
    World,
    png,
)

if TYPE_CHECKING:
    from types_boto3_rekognition.type_defs import ImageTypeDef

OPERATIONS = ["DetectFaces", "DetectLabels", "DetectModerationLabels", "DetectText", "RecognizeCelebrities"]
PICTURE: ImageTypeDef = {"S3Object": {"Bucket": "bucket", "Name": "key"}}


def record_of(world: World) -> dict[str, Any]:
    record = world.record()
    assert record is not None
    return record


def test_every_analyser_leaves_its_fields_in_record_and_file(world: World) -> None:
    sees_everything(world)
    assert world.tag(world.upload(), settings=ALL).outcome is Outcome.TAGGED
    record = record_of(world)
    assert record["Analyzers"] == {analyzer.value: {"Status": "DONE"} for analyzer in Analyzer}
    assert record["LabelNames"] == ["Cat", "Animal"]
    assert record["Faces"] == [
        {
            "BoundingBox": BOX,
            "Confidence": 99.5,
            "AgeRange": {"Low": 31, "High": 39},
            "Gender": {"Value": "Female", "Confidence": 99.25},
            "Smile": {"Value": True, "Confidence": 97.5},
            "Emotions": [{"Type": "HAPPY", "Confidence": 98.5}],
        }
    ]
    assert record["Celebrities"] == [
        {
            "Name": "Eileen Collins",
            "Confidence": 98.5,
            "Id": "4Xq7m2T",
            "Urls": ["www.wikidata.org/wiki/Q230956"],
            "BoundingBox": BOX,
        }
    ]
    assert record["Text"] == [
        {"Text": "FOR SALE", "Type": "LINE", "Confidence": 98.5, "BoundingBox": BOX, "Id": 0},
        {"Text": "FOR", "Type": "WORD", "Confidence": 97.5, "BoundingBox": BOX, "Id": 1, "ParentId": 0},
    ]
    assert [(it["Name"], it["ParentName"], it["TaxonomyLevel"]) for it in record["Moderation"]] == [
        ("Smoking", "Drugs & Tobacco Paraphernalia & Use", 3),
        ("Drugs & Tobacco", "", 1),
    ]
    assert record["ImageProperties"] == {
        "DominantColors": [COLOUR],
        "Quality": {"Brightness": 64.25, "Sharpness": 80.5, "Contrast": 79.75},
    }
    assert record["ModelVersions"] == {"labels": "3.0", "text": "3.0", "moderation": "7.0"}
    assert world.document() == record


def test_labels_and_properties_are_one_request(world: World) -> None:
    sees_everything(world)
    world.tag(world.upload(), settings=ALL)
    assert sorted(world.rekognition.operations) == OPERATIONS
    (asked,) = [it for it in world.rekognition.requests if "MaxLabels" in it]
    assert asked["Features"] == ["GENERAL_LABELS", "IMAGE_PROPERTIES"]


def test_properties_alone_ask_for_no_labels(world: World) -> None:
    sees_everything(world)
    alone = dataclasses.replace(ALL, analyzers=(Analyzer.PROPERTIES,))
    world.tag(world.upload(), settings=alone)
    (asked,) = world.rekognition.requests
    assert asked["Features"] == ["IMAGE_PROPERTIES"]
    assert "MaxLabels" not in asked
    assert "Labels" not in record_of(world)


def test_the_thresholds_of_the_settings_are_asked_for(world: World) -> None:
    sees_everything(world)
    settings = dataclasses.replace(
        ALL,
        analyzers=(Analyzer.MODERATION, Analyzer.FACES),
        moderation_confidence=60.0,
        emotion_confidence=70.0,
    )
    world.tag(world.upload(), settings=settings)
    assert {"MinConfidence": 60.0}.items() <= next(
        it for it in world.rekognition.requests if "MinConfidence" in it
    ).items()
    assert [emotion["Type"] for emotion in record_of(world)["Faces"][0]["Emotions"]] == ["HAPPY", "CALM"]


def test_all_requests_of_a_readable_image_are_out_at_the_same_time(world: World) -> None:
    """Each answer waits until all five requests are there; one after the other they would wait for ever."""
    sees_everything(world)
    together = threading.Barrier(5, timeout=10)
    fake = world.rekognition

    def when_all_are_there(answer: Any) -> Any:
        def give() -> Any:
            together.wait()
            return answer

        return give

    fake.answer = when_all_are_there(fake.answer)
    fake.others = {operation: when_all_are_there(answer) for operation, answer in fake.others.items()}
    answers = analyse(fake, trust=Trust.READABLE)
    assert set(answers) == set(Analyzer)


def analyse(
    fake: FakeRekognition, *, trust: Trust, known: Answers | None = None, kept: list[Answers] | None = None
) -> Answers:
    checkpoints = [] if kept is None else kept
    return Analysis(fake.client(), ALL).answers(
        PICTURE, known=known or {}, trust=trust, checkpoint=checkpoints.append
    )


def test_a_refused_image_costs_one_request_and_not_five(world: World) -> None:
    sees_everything(world)
    world.rekognition.answer = "InvalidImageFormatException"
    assert world.tag(world.upload(body=b"no picture"), settings=ALL).outcome is Outcome.FAILED
    assert world.rekognition.operations == ["DetectLabels"]
    record = record_of(world)
    assert record["ErrorCode"] == "InvalidImageFormatException"
    assert {name: outcome["Status"] for name, outcome in record["Analyzers"].items()} == {
        "labels": "FAILED",
        "properties": "FAILED",
        "faces": "SKIPPED",
        "celebrities": "SKIPPED",
        "text": "SKIPPED",
        "moderation": "SKIPPED",
    }


def test_a_refusal_by_one_analyser_makes_the_record_partial_and_says_which(world: World) -> None:
    sees_everything(world)
    world.rekognition.others["RecognizeCelebrities"] = "ImageTooLargeException"
    upload = world.upload()
    assert world.tag(upload, settings=ALL).outcome is Outcome.PARTIAL
    record = record_of(world)
    assert record["Status"] == "PARTIAL"
    assert record["Analyzers"]["celebrities"]["ErrorCode"] == "ImageTooLargeException"
    assert record["ErrorCode"] == "ImageTooLargeException"
    assert record["Analyzers"]["text"] == {"Status": "DONE"}
    assert record["Text"]
    assert "Celebrities" not in record
    assert world.tag(upload, owner="again", settings=ALL).outcome is Outcome.DUPLICATE


def test_the_next_attempt_asks_only_those_that_are_missing(world: World) -> None:
    sees_everything(world)
    others = throttled(world, "DetectText", "RecognizeCelebrities")
    upload = world.upload()
    with pytest.raises(ClientError, match="ThrottlingException") as caught:
        world.tag(upload, settings=ALL)
    assert "another request failed" in caught.value.__notes__[0]
    assert world.record() is None
    world.rekognition.others = others
    world.rekognition.operations.clear()
    assert world.tag(upload, owner="retry", settings=ALL).outcome is Outcome.TAGGED
    assert sorted(world.rekognition.operations) == ["DetectText", "RecognizeCelebrities"]
    record = record_of(world)
    assert record["Analyzers"] == {analyzer.value: {"Status": "DONE"} for analyzer in Analyzer}
    assert record["Faces"][0]["Confidence"] == FACES["FaceDetails"][0]["Confidence"]
    assert "Progress" not in world.item()


def test_a_checkpoint_of_other_bytes_or_other_settings_is_not_taken(world: World) -> None:
    sees_everything(world)
    others = throttled(world, "DetectText")
    with pytest.raises(ClientError):
        world.tag(world.upload(), settings=ALL)
    world.rekognition.others = others
    for upload, settings in (
        (world.upload(body=png(200, 200)), ALL),
        (world.upload(body=png(200, 200)), dataclasses.replace(ALL, emotion_confidence=1.0)),
    ):
        world.rekognition.operations.clear()
        assert world.tag(upload, owner="next", settings=settings).outcome is Outcome.TAGGED
        assert sorted(world.rekognition.operations) == OPERATIONS


def test_while_an_image_is_unfinished_readers_see_the_record_before(world: World) -> None:
    sees_everything(world)
    world.tag(world.upload(), settings=ALL)
    before = record_of(world)
    throttled(world, "DetectText")
    with pytest.raises(ClientError):
        world.tag(world.upload(body=png(200, 200)), owner="2", settings=ALL)
    assert record_of(world) == before


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 12))
def test_a_crash_at_any_call_pays_each_analyser_at_most_twice(world: World, at: int, after: bool) -> None:
    sees_everything(world)
    upload, tagger = world.upload(), world.tagger(ALL)
    try:
        with Interruptions(tagger, at=at, after=after):
            tagger.tag(upload, owner="request", lease_ms=LEASE_MS)
    except PowerCutError:
        world.tag(upload, owner="request", settings=ALL)
    record = record_of(world)
    assert record["Status"] == "TAGGED"
    assert world.document() == record
    assert "Progress" not in world.item()
    for operation in OPERATIONS:
        assert 1 <= world.rekognition.operations.count(operation) <= 2


def test_answers_are_kept_while_others_are_out_and_not_at_the_end(world: World) -> None:
    sees_everything(world)
    kept: list[Answers] = []
    answers = analyse(world.rekognition, trust=Trust.UNCERTAIN, kept=kept)
    assert list(kept[0]) == [Analyzer.LABELS, Analyzer.PROPERTIES]
    assert set(answers) == set(Analyzer)
    assert all(set(each) < set(Analyzer) for each in kept)


def test_a_refusal_that_is_known_already_is_not_asked_for_again(world: World) -> None:
    refused = Answer(error_code="ImageTooLargeException", error_message="too large")
    known = dict.fromkeys((Analyzer.LABELS, Analyzer.PROPERTIES), refused)
    assert analyse(world.rekognition, trust=Trust.READABLE, known=known) == known
    assert world.rekognition.operations == []


def test_a_checkpoint_that_does_not_fit_is_left_out_and_said(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    upload = world.upload()
    store = Store(world.dynamodb, table=TABLE, index=INDEX, settings=ALL.fingerprint)
    with fetch(world.s3, upload) as download:
        claim = store.claim(upload.key, download.image.position, owner="r", lease_ms=LEASE_MS)
    assert isinstance(claim, Claim)
    store.checkpoint(upload.key, claim, b"x" * 500_000)
    assert "no checkpoint of uploads/cat.png" in caplog.text
    assert "Progress" not in world.item()


def test_answers_survive_being_packed() -> None:
    answers = {
        Analyzer.FACES: Answer({"Faces": [{"Confidence": 99.98021697998047}]}, "aws"),
        Analyzer.TEXT: Answer(error_code="ImageTooLargeException", error_message="größer"),
    }
    assert unpack(pack(answers)) == answers


def test_the_fewest_requests_are_made() -> None:
    asked = calls_for([Analyzer.PROPERTIES, Analyzer.TEXT, Analyzer.LABELS])
    assert [call.analyzers for call in asked] == [(Analyzer.LABELS, Analyzer.PROPERTIES), (Analyzer.TEXT,)]
    assert calls_for([]) == []
