from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from pipeline.errors import ImageBusyError
from pipeline.events import Upload
from pipeline.tagging import Outcome, Result
from tests.unit.pipeline.conftest import make_world
from tests.unit.pipeline.world import (
    BUCKET,
    CAT,
    LEASE_MS,
    SETTINGS,
    TABLE,
    Interruptions,
    PowerCutError,
    World,
    png,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS = ["GetObject", "UpdateItem", "DetectLabels", "PutObject", "PutObject", "TransactWriteItems"]
STRICTER = dataclasses.replace(SETTINGS, min_confidence=90.0)


def test_an_upload_ends_as_record_and_file(world: World) -> None:
    upload = world.upload()
    assert world.tag(upload).outcome is Outcome.TAGGED
    record = world.record()
    assert record is not None
    expected = {
        "ImageID": "uploads/cat.png",
        "S3Bucket": BUCKET,
        "S3Key": "uploads/cat.png",
        "FileName": "cat.png",
        "Status": "TAGGED",
        "Labels": [
            {
                "Name": "Cat",
                "Confidence": 98.76543426513672,
                "Parents": ["Animal", "Mammal"],
                "Categories": ["Animals and Pets"],
                "Instances": [
                    {
                        "Confidence": 91.5,
                        "BoundingBox": {"Left": 0.1, "Top": 0.2, "Width": 0.5, "Height": 0.25},
                    }
                ],
            },
            {"Name": "Animal", "Confidence": 99.0, "Parents": [], "Categories": [], "Instances": []},
        ],
        "LabelNames": ["Cat", "Animal"],
        "Width": 120,
        "Height": 90,
        "PreviewKey": "previews/cat.png.jpg",
        "Bytes": len(png()),
        "ContentType": "image/png",
        "ETag": upload.etag,
        "Sequencer": upload.sequencer,
        "Settings": SETTINGS.fingerprint,
        "Analyzers": {"labels": {"Status": "DONE"}},
        "ModelVersions": {"labels": "3.0"},
        "Source": "aws",
    }
    assert expected.items() <= record.items()
    assert record.keys() - expected.keys() == {"UploadedAt", "TaggedAt", "DurationMs"}
    assert world.document() == record


def test_a_new_image_costs_six_calls_and_one_of_them_of_rekognition(world: World) -> None:
    upload, tagger = world.upload(), world.tagger()
    with Interruptions(tagger) as counted:
        tagger.tag(upload, owner="r", lease_ms=LEASE_MS)
    assert counted.calls == CALLS


def test_rekognition_is_asked_with_the_settings(world: World) -> None:
    world.tag(world.upload())
    (request,) = world.rekognition.requests
    assert request == {
        "Image": {"S3Object": {"Bucket": BUCKET, "Name": "uploads/cat.png"}},
        "MaxLabels": 50,
        "MinConfidence": 75.0,
    }


def test_the_version_of_the_event_is_the_one_that_is_analysed(versioned_world: World) -> None:
    first = versioned_world.upload(body=png(100, 100))
    versioned_world.upload(body=png(200, 200))
    versioned_world.tag(first)
    (request,) = versioned_world.rekognition.requests
    assert request["Image"]["S3Object"]["Version"] == first.version_id
    record = versioned_world.record()
    assert record is not None
    assert (record["Width"], record["VersionId"], record["ETag"]) == (100, first.version_id, first.etag)


@pytest.mark.parametrize("source", ["recorded", "authored", "synthetic"])
def test_a_local_answer_is_marked_with_its_source(world: World, source: str) -> None:
    world.rekognition.headers = {"x-darkroom-source": source}
    world.tag(world.upload())
    record = world.record()
    assert record is not None
    assert record["Source"] == source


@pytest.mark.parametrize(
    "code",
    [
        "InvalidImageFormatException",
        "ImageTooLargeException",
        "InvalidParameterException",
        "InvalidS3ObjectException",
    ],
)
def test_an_image_that_is_refused_for_good_ends_as_failed_and_is_not_raised(world: World, code: str) -> None:
    world.rekognition.answer = code
    upload = world.upload()
    assert world.tag(upload).outcome is Outcome.FAILED
    record = world.record()
    assert record is not None
    assert (record["Status"], record["ErrorCode"]) == ("FAILED", code)
    assert "said so" in record["ErrorMessage"]
    assert "Labels" not in record
    assert world.document() == record
    assert world.tag(upload, owner="again").outcome is Outcome.DUPLICATE
    assert len(world.rekognition.requests) == 1


def test_an_empty_file_fails_without_a_call_of_rekognition(world: World) -> None:
    assert world.tag(world.upload(body=b"")).outcome is Outcome.FAILED
    record = world.record()
    assert record is not None
    assert (record["ErrorCode"], record["Bytes"]) == ("EmptyObject", 0)
    assert "empty" in record["ErrorMessage"]
    assert world.rekognition.requests == []


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "InternalServerError",
        "AccessDeniedException",
        "ValidationException",
    ],
)
def test_an_error_that_may_pass_is_raised_and_leaves_no_record(world: World, code: str) -> None:
    world.rekognition.answer = code
    upload = world.upload()
    with pytest.raises(ClientError, match=code):
        world.tag(upload)
    assert world.record() is None
    assert world.documents() == []
    world.rekognition.answer = CAT
    assert world.tag(upload, owner="another request").outcome is Outcome.TAGGED


def test_a_lost_connection_is_raised(world: World) -> None:
    def unreachable() -> None:
        raise EndpointConnectionError(endpoint_url="https://rekognition")

    world.rekognition.answer = unreachable
    with pytest.raises(EndpointConnectionError):
        world.tag(world.upload())
    assert world.record() is None


def test_an_object_that_is_gone_is_no_failure(world: World) -> None:
    upload = world.upload()
    world.s3.delete_object(Bucket=BUCKET, Key=upload.key)
    assert world.tag(upload) == Result(Outcome.GONE)
    assert world.item() == {}
    assert world.documents() == []


def test_an_object_that_goes_while_rekognition_looks_is_no_failure(world: World) -> None:
    upload = world.upload()

    def vanish() -> str:
        world.s3.delete_object(Bucket=BUCKET, Key=upload.key)
        return "InvalidS3ObjectException"

    world.rekognition.answer = vanish
    assert world.tag(upload).outcome is Outcome.GONE
    assert world.record() is None
    assert world.documents() == []


def test_an_object_that_was_replaced_is_left_to_the_event_of_the_new_one(world: World) -> None:
    old, new = world.upload(body=png(colour="red")), world.upload(body=png(colour="blue"))
    assert world.tag(old).outcome is Outcome.OUTDATED
    assert world.rekognition.requests == []
    assert world.tag(new).outcome is Outcome.TAGGED


def test_a_duplicate_event_costs_no_second_call(world: World) -> None:
    upload = world.upload()
    world.tag(upload)
    before = world.record()
    assert world.tag(upload, owner="duplicate").outcome is Outcome.DUPLICATE
    assert world.record() == before
    assert len(world.rekognition.requests) == 1


def test_an_event_made_by_hand_for_a_tagged_image_costs_nothing(world: World) -> None:
    upload = world.upload()
    world.tag(upload)
    assert world.tag(Upload(BUCKET, upload.key), owner="rescan").outcome is Outcome.DUPLICATE


def test_other_settings_are_a_reason_to_analyse_again(world: World) -> None:
    upload = world.upload()
    world.tag(upload)
    assert world.tag(upload, owner="2", settings=STRICTER).outcome is Outcome.TAGGED
    assert [request["MinConfidence"] for request in world.rekognition.requests] == [75.0, 90.0]


def test_a_replaced_image_is_analysed_again(world: World) -> None:
    world.tag(world.upload(body=png(100, 100)))
    new = world.upload(body=png(200, 200))
    assert world.tag(new, owner="2").outcome is Outcome.TAGGED
    record = world.record()
    assert record is not None
    assert (record["Width"], record["ETag"]) == (200, new.etag)
    assert world.document() == record
    assert "Claim" not in world.item()


def test_an_older_event_that_comes_late_changes_nothing(versioned_world: World) -> None:
    old, new = (versioned_world.upload(body=png(side, side)) for side in (100, 200))
    versioned_world.tag(new)
    before = versioned_world.record()
    assert versioned_world.tag(old, owner="late").outcome is Outcome.OUTDATED
    assert versioned_world.record() == before == versioned_world.document()
    assert len(versioned_world.rekognition.requests) == 1


def test_of_two_at_the_same_time_one_pays_and_the_other_comes_back(world: World) -> None:
    upload = world.upload()
    seen: list[str] = []

    def meanwhile() -> Any:
        with pytest.raises(ImageBusyError, match=r"uploads/cat\.png"):
            world.tag(upload, owner="second")
        seen.append("busy")
        return CAT

    world.rekognition.answer = meanwhile
    assert world.tag(upload, owner="first").outcome is Outcome.TAGGED
    assert seen == ["busy"]
    assert world.tag(upload, owner="second").outcome is Outcome.DUPLICATE
    assert len(world.rekognition.requests) == 1


def test_a_newer_upload_takes_over_and_the_slower_older_one_cannot_undo_it(versioned_world: World) -> None:
    world = versioned_world
    old, new = (world.upload(body=png(side, side)) for side in (100, 200))

    def overtaken() -> Any:
        world.rekognition.answer = CAT
        assert world.tag(new, owner="new").outcome is Outcome.TAGGED
        return CAT

    world.rekognition.answer = overtaken
    assert world.tag(old, owner="old").outcome is Outcome.OUTDATED
    record = world.record()
    assert record is not None
    assert record["ETag"] == new.etag
    assert world.document() == record


def test_a_claim_ends_with_the_time_of_the_one_who_took_it(world: World) -> None:
    upload, tagger = world.upload(), world.tagger()
    with Interruptions(tagger, at=3), pytest.raises(PowerCutError):
        tagger.tag(upload, owner="crashed", lease_ms=LEASE_MS)
    with pytest.raises(ImageBusyError):
        world.tag(upload, owner="other")
    world.now_ms += LEASE_MS
    assert world.tag(upload, owner="other").outcome is Outcome.TAGGED


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "at", range(1, len(CALLS) + 1), ids=[f"{number}-{call}" for number, call in enumerate(CALLS)]
)
def test_a_crash_at_any_call_heals_with_the_next_attempt(world: World, at: int, after: bool) -> None:
    upload, tagger = world.upload(), world.tagger()
    with Interruptions(tagger, at=at, after=after), pytest.raises(PowerCutError):
        tagger.tag(upload, owner="request", lease_ms=LEASE_MS)
    expected = Outcome.DUPLICATE if (at, after) == (len(CALLS), True) else Outcome.TAGGED
    assert world.tag(upload, owner="request").outcome is expected
    record = world.record()
    assert record is not None
    assert record["Status"] == "TAGGED"
    assert world.document() == record
    assert "Claim" not in world.item()
    assert len(world.rekognition.requests) <= 2


def test_a_crash_while_an_image_is_tagged_again_keeps_the_old_record(world: World) -> None:
    world.tag(world.upload(body=png(100, 100)))
    before = world.record()
    new, tagger = world.upload(body=png(200, 200)), world.tagger()
    # GetObject, UpdateItem refused, UpdateItem, then the power goes
    with Interruptions(tagger, at=4), pytest.raises(PowerCutError):
        tagger.tag(new, owner="crashed", lease_ms=LEASE_MS)
    assert world.record() == before
    assert world.tag(new, owner="crashed").outcome is Outcome.TAGGED


def test_a_claim_that_cannot_be_released_does_not_hide_the_first_error(world: World) -> None:
    upload, tagger = world.upload(), world.tagger()

    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    def throttled() -> str:
        world.dynamodb.meta.events.register("before-call.dynamodb.UpdateItem", refuse)
        return "ThrottlingException"

    world.rekognition.answer = throttled
    with pytest.raises(ClientError, match="ThrottlingException") as caught:
        tagger.tag(upload, owner="r", lease_ms=LEASE_MS)
    assert "could not be released" in caught.value.__notes__[0]


def test_keys_with_odd_characters_each_get_their_own_record_and_file(world: World) -> None:
    names = [
        "a b.png",
        "a+b.png",
        "a%2Fb.png",
        "a#b.png",
        "B\u00e4r.png",
        "Ba\u0308r.png",
        "🐱.png",
        "a/b.png",
    ]
    for number, name in enumerate(names):
        assert world.tag(world.upload(f"uploads/{name}"), owner=str(number)).outcome is Outcome.TAGGED
    stored = {it["ImageID"]["S"] for it in world.dynamodb.scan(TableName=TABLE)["Items"]}
    assert stored == {f"uploads/{name}" for name in names}
    assert set(world.documents()) == {f"metadata/{name}.json" for name in names}


deliveries = st.lists(st.integers(0, 3), min_size=1, max_size=8)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deliveries)
def test_in_any_order_and_number_the_newest_delivered_upload_wins(order: Sequence[int]) -> None:
    with mock_aws():
        world = make_world(versioned=True)
        uploads = [world.upload(body=png(100 + side, 100)) for side in range(4)]
        for number, index in enumerate(order):
            world.tag(uploads[index], owner=str(number))
        record = world.record()
        assert record is not None
        assert record["VersionId"] == uploads[max(order)].version_id
        assert record["Width"] == 100 + max(order)
        assert world.document() == record
        analysed = [json.dumps(request) for request in world.rekognition.requests]
        assert len(analysed) == len(set(analysed)) <= len(set(order))
