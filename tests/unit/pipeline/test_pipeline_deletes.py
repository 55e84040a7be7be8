"""Images whose objects are removed: nothing of them stays, and nothing brings them back."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import postings
from pipeline.deletes import TOMBSTONE_DAYS
from pipeline.errors import ImageBusyError
from pipeline.events import Removal
from pipeline.tagging import Outcome
from tests.unit.pipeline.world import (
    BUCKET,
    LEASE_MS,
    CancelledTransactions,
    Interruptions,
    PowerCutError,
    World,
    png,
)

KEY = "uploads/cat.png"
CALLS = ["GetItem", "HeadObject", "TransactWriteItems", "DeleteObject", "DeleteObject", "GetItem"]


def assert_nothing_is_left(world: World) -> None:
    assert world.postings() == {}
    assert world.documents() == []
    assert world.documents("previews/") == []
    record = world.record()
    assert record is not None
    assert record["Status"] == "DELETED"
    assert set(record) <= {
        *("ImageID", "S3Bucket", "S3Key", "FileName", "Status", "VersionId", "Sequencer"),
        *("UploadedAt", "TaggedAt", "ExpiresAt"),
    }
    assert postings.ATTRIBUTE not in world.item()


def test_a_removed_image_leaves_a_tombstone_that_expires(world: World) -> None:
    world.tag(world.upload())
    removal = world.removal()
    assert world.remove(removal).outcome is Outcome.DELETED
    assert_nothing_is_left(world)
    record = world.record()
    assert record is not None
    assert record["Sequencer"] == removal.sequencer
    days = (record["ExpiresAt"] - world.now_ms / 1000) / 86_400
    assert abs(days - TOMBSTONE_DAYS) < 0.1


def test_a_removal_that_comes_twice_changes_nothing_more(world: World) -> None:
    world.tag(world.upload())
    removal = world.removal()
    world.remove(removal)
    before = world.item()
    assert world.remove(removal).outcome is Outcome.DELETED
    assert world.item() == before


def test_a_removal_that_comes_before_its_upload_keeps_it_away(versioned_world: World) -> None:
    world = versioned_world
    upload = world.upload()
    assert world.remove(world.removal()).outcome is Outcome.DELETED
    assert world.tag(upload).outcome is Outcome.OUTDATED
    assert world.rekognition.requests == []
    assert_nothing_is_left(world)


@pytest.mark.parametrize("versioned", [False, True], ids=["without versions", "with versions"])
@pytest.mark.parametrize("ordered", [True, False], ids=["sequencers", "no sequencers"])
def test_a_late_event_of_a_removed_upload_does_not_bring_it_back(
    world: World, versioned: bool, ordered: bool
) -> None:
    if versioned:
        world.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    upload = world.upload(ordered=ordered)
    world.tag(upload)
    world.remove(world.removal(ordered=ordered))
    assert world.tag(upload, owner="late").outcome in {Outcome.GONE, Outcome.OUTDATED}
    assert len(world.rekognition.requests) == 1
    assert "Claim" not in world.item()
    assert_nothing_is_left(world)


@pytest.mark.parametrize("ordered", [True, False], ids=["sequencers", "no sequencers"])
def test_an_image_that_is_uploaded_again_is_tagged_again(world: World, ordered: bool) -> None:
    world.tag(world.upload(ordered=ordered))
    world.remove(world.removal(ordered=ordered))
    assert world.tag(world.upload(ordered=ordered), owner="again").outcome is Outcome.TAGGED
    record = world.record()
    assert record is not None
    assert "ExpiresAt" not in record
    assert world.document() == record
    assert len(world.postings()) == 3


def test_a_late_removal_does_not_touch_the_image_that_was_uploaded_again(world: World) -> None:
    world.tag(world.upload())
    removal = world.removal()
    world.tag(world.upload(body=png(200, 200)), owner="again")
    before = (world.item(), world.document(), world.postings())
    assert world.remove(removal).outcome is Outcome.OUTDATED
    assert (world.item(), world.document(), world.postings()) == before


def test_a_removal_between_two_uploads_costs_no_second_call_for_the_second(world: World) -> None:
    world.tag(world.upload())
    removal = world.removal()
    second = world.upload(body=png(200, 200))
    assert world.remove(removal).outcome is Outcome.TAGGED, "what lies there now is analysed at once"
    assert world.tag(second, owner="its own event").outcome is Outcome.DUPLICATE
    assert len(world.rekognition.requests) == 2


def test_removing_an_older_version_changes_nothing(versioned_world: World) -> None:
    world = versioned_world
    old = world.upload(body=png(100, 100))
    new = world.upload(body=png(200, 200))
    world.tag(new)
    before = (world.item(), world.postings())
    assert world.remove(world.removal(version_id=old.version_id)).outcome is Outcome.OUTDATED
    assert (world.item(), world.postings()) == before


def test_removing_the_newest_version_brings_back_the_one_before(versioned_world: World) -> None:
    world = versioned_world
    old = world.upload(body=png(100, 100))
    new = world.upload(body=png(200, 200))
    world.tag(new)
    assert world.remove(world.removal(version_id=new.version_id)).outcome is Outcome.TAGGED
    record = world.record()
    assert record is not None
    assert (record["VersionId"], record["Width"]) == (old.version_id, 100)


def test_removing_the_delete_marker_brings_the_image_back(versioned_world: World) -> None:
    world = versioned_world
    world.tag(world.upload())
    removal = world.removal()
    world.remove(removal)
    assert world.remove(world.removal(version_id=removal.version_id)).outcome is Outcome.TAGGED
    assert (world.record() or {})["Status"] == "TAGGED"
    assert world.document() == world.record()


def test_an_image_that_is_removed_while_it_is_analysed_leaves_nothing(versioned_world: World) -> None:
    world = versioned_world
    upload = world.upload()
    answer = world.rekognition.answer

    def removed() -> Any:
        assert world.remove(world.removal()).outcome is Outcome.DELETED
        return answer

    world.rekognition.answer = removed
    assert world.tag(upload).outcome is Outcome.OUTDATED
    assert_nothing_is_left(world)


def test_what_a_crashed_attempt_wrote_after_the_removal_goes_with_the_next_attempt(world: World) -> None:
    upload, tagger = world.upload(), world.tagger()
    answer = world.rekognition.answer

    def removed() -> Any:
        world.remove(world.removal())
        return answer

    world.rekognition.answer = removed
    # GetObject, UpdateItem, DetectLabels, the whole removal, PutObject twice, then the power goes
    with Interruptions(tagger, at=12, after=True) as counted, pytest.raises(PowerCutError):
        tagger.tag(upload, owner="request", lease_ms=LEASE_MS)
    assert counted.calls[10:12] == ["PutObject", "PutObject"]
    assert world.documents() == ["metadata/cat.png.json"]
    assert world.tag(upload, owner="request").outcome is Outcome.GONE
    assert_nothing_is_left(world)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, len(CALLS) + 1), ids=[f"{n}-{call}" for n, call in enumerate(CALLS)])
def test_a_crash_at_any_call_heals_with_the_next_attempt(world: World, at: int, after: bool) -> None:
    world.tag(world.upload())
    removal, remover = world.removal(), world.remover()
    with Interruptions(remover.tagger, at=at, after=after) as counted, pytest.raises(PowerCutError):
        remover.remove(removal, owner="r", lease_ms=LEASE_MS)
    assert counted.calls == CALLS[:at]
    assert world.remove(removal).outcome is Outcome.DELETED
    assert_nothing_is_left(world)


def test_a_cancelled_transaction_is_tried_again(world: World) -> None:
    world.tag(world.upload())
    with CancelledTransactions(world.dynamodb, "TransactionConflict", times=2) as cancelled:
        assert world.remove(world.removal()).outcome is Outcome.DELETED
    assert cancelled.count == 2
    assert_nothing_is_left(world)


def test_an_item_that_keeps_changing_is_left_to_a_later_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tag(world.upload())
    remover = world.remover()
    monkeypatch.setattr(type(remover.tagger.store), "bury", lambda *_: False)
    with pytest.raises(ImageBusyError, match="keeps changing"):
        remover.remove(world.removal(), owner="r", lease_ms=LEASE_MS)
    assert len(world.postings()) == 3


def test_a_removal_of_what_was_never_known_is_noted_too(world: World) -> None:
    assert world.remove(Removal(BUCKET, KEY)).outcome is Outcome.DELETED
    assert_nothing_is_left(world)
