"""Which uploads a rescan sends to the tagger, and where it goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pipeline.events import uploads_in
from pipeline.rescanning import Rescanner, Step, upload_event
from tests.unit.pipeline.world import BUCKET, SETTINGS, TABLE

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

    from pipeline.settings import Settings
    from tests.unit.pipeline.world import World

TAGGER = "arn:aws:lambda:us-east-1:123456789012:function:darkroom-tagger:live"


@dataclass
class Tagger:
    """Takes the events that a rescan sends."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803
        assert (FunctionName, InvocationType) == (TAGGER, "Event")
        self.events.append(json.loads(Payload))

    def keys(self) -> list[str]:
        """What was sent, as the tagger reads it."""
        return sorted(upload.key for event in self.events for upload in uploads_in(event, trigger_prefix=""))


def rescanner(world: World, tagger: Tagger, settings: Settings = SETTINGS) -> Rescanner:
    client = cast("LambdaClient", tagger)
    return Rescanner(world.s3, world.dynamodb, client, BUCKET, TAGGER, settings)


def put(world: World, *keys: str) -> None:
    for key in keys:
        world.s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())


def test_what_has_no_record_is_sent_and_what_has_one_is_not(world: World) -> None:
    world.tag(world.upload("uploads/tagged.png"))
    put(world, "uploads/new.png", "uploads/folder/")
    tagger = Tagger()
    assert rescanner(world, tagger).step(None, most=10, stale=False) == Step(3, 1, None)
    assert tagger.keys() == ["uploads/new.png"]


def test_the_tagger_makes_the_record_from_the_event_and_then_nothing_is_left(world: World) -> None:
    upload = world.upload("uploads/a b+ü%2F.png")
    tagger = Tagger()
    rescan = rescanner(world, tagger)
    rescan.step(None, most=10, stale=False)
    (sent,) = uploads_in(tagger.events[0], trigger_prefix="uploads/")
    assert (sent.key, sent.etag, sent.sequencer) == (upload.key, upload.etag, None)
    world.tag(sent)
    assert rescan.step(None, most=10, stale=False).sent == 0


def test_a_record_of_other_bytes_a_claim_and_a_deleted_one_count_as_none(world: World) -> None:
    for key in ("uploads/replaced.png", "uploads/deleted.png"):
        world.tag(world.upload(key))
    put(world, "uploads/replaced.png", "uploads/claimed.png")
    world.dynamodb.update_item(
        TableName=TABLE,
        Key={"ImageID": {"S": "uploads/deleted.png"}},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "Status"},
        ExpressionAttributeValues={":s": {"S": "DELETED"}},
    )
    world.dynamodb.put_item(
        TableName=TABLE, Item={"ImageID": {"S": "uploads/claimed.png"}, "Claim": {"M": {}}}
    )
    tagger = Tagger()
    assert rescanner(world, tagger).step(None, most=10, stale=False).sent == 3
    assert tagger.keys() == ["uploads/claimed.png", "uploads/deleted.png", "uploads/replaced.png"]


def test_a_refused_picture_is_current_it_would_only_be_refused_again(world: World) -> None:
    world.tag(world.upload("uploads/empty.png", b""))
    assert rescanner(world, Tagger()).step(None, most=10, stale=False).sent == 0


def test_records_of_other_settings_are_made_anew_only_when_that_is_asked_for(world: World) -> None:
    world.tag(world.upload("uploads/a.png"))
    other = replace(SETTINGS, min_confidence=20.0)
    assert rescanner(world, Tagger(), other).step(None, most=10, stale=False).sent == 0
    tagger = Tagger()
    assert rescanner(world, tagger, other).step(None, most=10, stale=True).sent == 1
    assert rescanner(world, Tagger()).step(None, most=10, stale=True).sent == 0


def test_a_step_ends_at_its_bound_and_the_next_goes_on_behind_it(world: World) -> None:
    put(world, *(f"uploads/{number:02}.png" for number in range(7)))
    tagger = Tagger()
    rescan = rescanner(world, tagger)
    steps: list[Step] = []
    cursor: str | None = None
    while not steps or cursor:
        steps.append(rescan.step(cursor, most=3, stale=False))
        cursor = steps[-1].cursor
    assert [step.sent for step in steps] == [3, 3, 1]
    assert tagger.keys() == [f"uploads/{number:02}.png" for number in range(7)], "each once"


def test_more_than_a_thousand_objects_are_gone_through_page_by_page(world: World) -> None:
    put(world, *(f"uploads/{number:04}.png" for number in range(1005)))
    rescan = rescanner(world, Tagger())
    first = rescan.step(None, most=10_000, stale=False)
    assert (first.looked_at, first.cursor) == (1000, "uploads/0999.png")
    assert rescan.step(first.cursor, most=10_000, stale=False) == Step(5, 5, None)


def test_in_a_whole_bucket_what_the_functions_wrote_is_passed_over(world: World) -> None:
    put(
        world,
        "a.png",
        *(f"metadata/{number:04}.json" for number in range(1100)),
        "metadata-of-mine.png",
        "z.png",
    )
    tagger = Tagger()
    rescan = rescanner(world, tagger, replace(SETTINGS, trigger_prefix=""))
    first = rescan.step(None, most=10, stale=False)
    assert first.cursor is not None
    assert first.cursor.startswith("metadata/")
    second = rescan.step(first.cursor, most=10, stale=False)
    assert second.cursor is None
    assert second.looked_at < 10, "the other JSON files are not even listed"
    assert tagger.keys() == ["a.png", "metadata-of-mine.png", "z.png"]


def test_a_scheduled_run_finds_its_place_again(world: World) -> None:
    rescan = rescanner(world, Tagger())
    assert rescan.place(stale=False) is None
    rescan.keep_place("uploads/0999.png", stale=False)
    assert rescan.place(stale=False) == "uploads/0999.png"
    assert rescan.place(stale=True) is None
    rescan.keep_place(None, stale=False)
    assert rescan.place(stale=False) is None


def test_an_event_is_one_that_the_tagger_takes_for_s3s() -> None:
    (upload,) = uploads_in(upload_event("b", "uploads/red flower+1.png", "abc"), trigger_prefix="uploads/")
    assert (upload.bucket, upload.key, upload.etag) == ("b", "uploads/red flower+1.png", "abc")


@pytest.mark.parametrize("missing", ["BUCKET_NAME", "TAGGER", "RESCAN_RATE"])
def test_a_wrong_configuration_is_named(world: World, missing: str) -> None:
    from pipeline.errors import ConfigurationError
    from pipeline.rescan import Clients, build_rescanner

    given = {"BUCKET_NAME": BUCKET, "TAGGER": TAGGER, "RESCAN_RATE": "1", "AWS_REGION": "us-east-1"}
    del given[missing]
    with pytest.raises(ConfigurationError, match=missing):
        build_rescanner(Clients("us-east-1"), given)
