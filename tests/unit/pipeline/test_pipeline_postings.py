"""Which postings an image has, and that they come and go with its record."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pipeline import postings
from pipeline.postings import Indexed, Kind
from pipeline.records import Status, from_item
from pipeline.tagging import Outcome
from pipeline.transactions import ATTEMPTS, MAX_ACTIONS
from tests.unit.pipeline.world import (
    INDEX,
    LEASE_MS,
    SETTINGS,
    CancelledTransactions,
    World,
    png,
)

if TYPE_CHECKING:
    from pipeline.records import Record

KEY = "uploads/cat.png"


def seen(**labels: float) -> dict[str, Any]:
    """Rekognition's answer with these labels."""
    return {
        "Labels": [
            {"Name": name, "Confidence": confidence, "Instances": [], "Parents": [], "Categories": []}
            for name, confidence in labels.items()
        ]
    }


def found(**fields: Any) -> Record:
    """A record with what is needed for its postings."""
    return {"ImageID": KEY, "Status": "TAGGED", "UploadedAt": "2026-11-25T12:00:00.000Z", **fields}


def labels(*names: str, confidence: float = 95.0) -> list[dict[str, Any]]:
    return [{"Name": name, "Confidence": confidence, "Categories": [f"About {name}"]} for name in names]


def test_an_image_is_found_by_each_of_its_labels_and_on_the_list_of_all(world: World) -> None:
    world.tag(world.upload())
    record = world.record()
    assert record is not None
    found = world.postings()
    assert set(found) == {f"image:all {KEY}", f"label:cat#90 {KEY}", f"label:animal#99 {KEY}"}
    cat = found[f"label:cat#90 {KEY}"]
    assert cat["sk"].startswith(record["UploadedAt"] + "#")
    assert {name: cat[name] for name in ("ImageID", "Name", "Confidence", "Status", "UploadedAt")} == {
        "ImageID": KEY,
        "Name": "Cat",
        "Confidence": 98.76543426513672,
        "Status": "TAGGED",
        "UploadedAt": record["UploadedAt"],
    }


def test_what_says_how_an_image_is_indexed_is_no_part_of_its_record_or_file(world: World) -> None:
    world.tag(world.upload())
    assert from_item(world.item())[postings.ATTRIBUTE]["Names"] == ["label:99:Animal", "label:98:Cat"]
    record = world.record()
    assert record is not None
    assert postings.ATTRIBUTE not in record
    assert postings.ATTRIBUTE not in world.document()


def test_an_image_that_failed_is_on_the_list_of_failures_until_it_is_tagged(world: World) -> None:
    world.rekognition.answer = "InvalidImageFormatException"
    world.tag(world.upload(body=png(100, 100)))
    assert set(world.postings()) == {f"image:all {KEY}", f"status:FAILED {KEY}"}
    world.rekognition.answer = seen(Dog=91)
    world.tag(world.upload(body=png(200, 200)), owner="2")
    assert set(world.postings()) == {f"image:all {KEY}", f"label:dog#90 {KEY}"}


def test_tagging_again_removes_the_postings_that_are_gone(world: World) -> None:
    world.rekognition.answer = seen(Cat=91, Animal=99)
    world.tag(world.upload(body=png(100, 100)))
    world.rekognition.answer = seen(Animal=85, Dog=99.5)
    world.tag(world.upload(body=png(200, 200)), owner="2")
    found = world.postings()
    assert set(found) == {f"image:all {KEY}", f"label:animal#80 {KEY}", f"label:dog#99 {KEY}"}
    assert {it["UploadedAt"] for it in found.values()} == {(world.record() or {})["UploadedAt"]}


def test_other_settings_change_the_postings_of_the_same_upload(world: World) -> None:
    world.rekognition.answer = seen(Cat=91, Animal=99)
    upload = world.upload()
    world.tag(upload)
    world.rekognition.answer = seen(Animal=98)
    world.tag(upload, owner="2", settings=dataclasses.replace(SETTINGS, min_confidence=95))
    assert set(world.postings()) == {f"image:all {KEY}", f"label:animal#90 {KEY}"}
    assert world.postings()[f"label:animal#90 {KEY}"]["Confidence"] == 98


def test_more_shards_than_before_leave_no_posting_behind(world: World) -> None:
    world.rekognition.answer = seen(Cat=91)
    world.tag(world.upload(body=png(100, 100)))
    wider = dataclasses.replace(SETTINGS, index=dataclasses.replace(INDEX, shards=64))
    world.tag(world.upload(body=png(200, 200)), owner="2", settings=wider)
    assert set(world.postings()) == {f"image:all {KEY}", f"label:cat#90 {KEY}"}


def test_who_loses_the_claim_leaves_no_posting(versioned_world: World) -> None:
    world = versioned_world
    old, new = (world.upload(body=png(side, side)) for side in (100, 200))

    def overtaken() -> Any:
        world.rekognition.answer = seen(New=99)
        assert world.tag(new, owner="new").outcome is Outcome.TAGGED
        return seen(Old=99)

    world.rekognition.answer = overtaken
    assert world.tag(old, owner="old").outcome is Outcome.OUTDATED
    assert set(world.postings()) == {f"image:all {KEY}", f"label:new#99 {KEY}"}


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_a_transaction_that_was_cancelled_for_a_moment_is_tried_again_without_paying_again(
    world: World, reason: str
) -> None:
    tagger = world.tagger()
    with CancelledTransactions(world.dynamodb, reason, times=3) as cancelled:
        result = tagger.tag(world.upload(), owner="r", lease_ms=LEASE_MS)
    assert cancelled.count == 3
    assert result.outcome is Outcome.TAGGED
    assert len(world.rekognition.requests) == 1
    assert len(world.postings()) == 3


def test_a_transaction_that_stays_cancelled_is_an_error_that_lambda_tries_again(world: World) -> None:
    upload = world.upload()
    with (
        CancelledTransactions(world.dynamodb, "TransactionConflict", times=ATTEMPTS),
        pytest.raises(ClientError, match="TransactionCanceledException"),
    ):
        world.tag(upload)
    assert world.postings() == {}
    assert world.tag(upload, owner="again").outcome is Outcome.TAGGED


def test_the_worst_replacement_fits_into_one_transaction() -> None:
    before, after = (
        found(Status="PARTIAL", UploadedAt=f"2026-11-2{day}T12:00:00.000Z", Labels=labels(*names))
        for day, names in ((4, [f"a{n}" for n in range(500)]), (5, [f"b{n}" for n in range(500)]))
    )
    indexed = [postings.index_of(record, shards=4) for record in (before, after)]
    actions = 1 + len(postings.changes(after, indexed[1], indexed[0], INDEX))
    assert actions == 1 + 2 * (2 + postings.MAX_NAMES) <= MAX_ACTIONS


def test_of_many_names_the_most_certain_are_indexed_and_rare_kinds_leave_room_for_labels() -> None:
    record = found(
        Labels=[{"Name": f"l{n}", "Confidence": 50 + n / 10} for n in range(100)],
        Celebrities=[{"Name": f"c{n}", "Confidence": 90 - n} for n in range(64)],
        Moderation=[{"Name": "Violence", "Confidence": 55.5, "ParentName": ""}],
    )
    names = postings.names_of(record)
    assert len(names) == postings.MAX_NAMES
    kinds = [kind for kind, _, _ in names]
    assert kinds.count(Kind.LABEL) == 25
    assert (Kind.MODERATION, "Violence", 55.5) not in names, "20 celebrities are more certain"
    assert {name for kind, name, _ in names if kind is Kind.LABEL} == {f"l{n}" for n in range(75, 100)}


def test_a_name_that_is_found_twice_is_indexed_once_with_the_higher_confidence() -> None:
    twice = [{"Name": "Ada", "Confidence": 80.0}, {"Name": "ADA ", "Confidence": 97.5}]
    assert postings.names_of(found(Celebrities=twice)) == [(Kind.CELEBRITY, "ADA ", 97.5)]


def test_a_name_too_long_for_a_key_stays_in_the_record_only() -> None:
    record = found(Labels=labels("x" * 129, "ß" * 65, "  ", "Cat"))
    assert [name for _, name, _ in postings.names_of(record)] == ["Cat"]
    assert postings.index_of(record, shards=1).categories == ("About   ", "About Cat")


def test_how_a_record_is_indexed_survives_the_way_through_the_table() -> None:
    record = found(
        Status="PARTIAL",
        Labels=labels("A:b#c", "Ünïcödé"),
        Celebrities=[{"Name": "Ada", "Confidence": 99.99}],
    )
    indexed = postings.index_of(record, shards=4)
    fields = from_item({"it": indexed.to_attribute()})["it"]
    assert Indexed.from_fields(fields) == indexed
    assert indexed.day == "2026-11-25"
    assert indexed.status is Status.PARTIAL
    assert len(set(indexed.keys())) == 2 + 3


def test_shards_are_used_evenly() -> None:
    shards = [
        postings.index_of(found(ImageID=f"uploads/{number}.jpg"), shards=4).shard for number in range(1000)
    ]
    assert all(200 < shards.count(shard) < 300 for shard in range(4))
