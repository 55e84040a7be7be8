"""The table again from the JSON files: what is written, what is left alone, and what has to be analysed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from darkroom.operations.rebuilding import Known, Place, Rebuilder, Rebuilt, Stored
from darkroom.operations.recovery import Recovered, s3_event, still_unsettled
from pipeline import documents, records
from pipeline.events import Removal, Upload, changes_in, uploads_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET, TABLE, INDEX = "darkroom-123456789012", "ImageLabels", "LabelIndex"
PLACE = Place(BUCKET, TABLE, "uploads/", INDEX, 4)
SESSION = boto3.Session("AKIDEXAMPLE", "example", region_name="us-east-1")
NOW = datetime.now(UTC)


class World:
    """A bucket and a table in moto."""

    def __init__(self) -> None:
        self.s3 = SESSION.client("s3")
        self.dynamodb = SESSION.client("dynamodb")
        self.s3.create_bucket(Bucket=BUCKET)
        self.dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "ImageID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "ImageID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.dynamodb.create_table(
            TableName=INDEX,
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def upload(self, key: str, content: bytes = b"picture") -> str:
        """Put an object; returns its ETag."""
        return self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)["ETag"].strip('"')

    def record(self, key: str, etag: str, *, tagged_at: datetime = NOW, **more: Any) -> dict[str, Any]:
        return {
            "ImageID": key,
            "S3Bucket": BUCKET,
            "S3Key": key,
            "Status": "TAGGED",
            "Labels": [{"Name": "Cat", "Confidence": 98.76543426513672, "Parents": [], "Instances": []}],
            "LabelNames": ["Cat"],
            "Width": 120,
            "ETag": etag,
            "UploadedAt": "2026-11-25T12:00:00.000Z",
            "TaggedAt": tagged_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **more,
        }

    def document(self, record: dict[str, Any]) -> None:
        """Write the JSON file as the tagger does."""
        documents.write(self.s3, record, trigger_prefix="uploads/")

    def keep(self, item: dict[str, Any]) -> None:
        self.dynamodb.put_item(TableName=TABLE, Item=records.to_item(item))

    def items(self) -> dict[str, dict[str, Any]]:
        """The records as items, without what says how they are indexed."""
        found = self.dynamodb.scan(TableName=TABLE)["Items"]
        return {
            item["ImageID"]["S"]: {name: value for name, value in item.items() if name != "Indexed"}
            for item in found
        }

    def postings(self) -> set[str]:
        """Partition key without shard, and key of the image."""
        found = [records.from_item(item) for item in self.dynamodb.scan(TableName=INDEX)["Items"]]
        return {f"{it['pk'].rpartition('#')[0]} {it['ImageID']}" for it in found}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield World()


def rebuild() -> Rebuilt:
    return Rebuilder(SESSION, PLACE).run()


def test_a_lost_record_comes_back_exactly_as_the_tagger_had_written_it(world: World) -> None:
    key = "uploads/2026/größe +.jpg"
    record = world.record(key, world.upload(key), Truth=True, Nothing=None, Small=1e-7, Negative=-2)
    world.document(record)
    result = rebuild()
    assert result.written == [key]
    assert not result.unsettled
    assert world.items() == {key: records.to_item(records.fit(record))}


def test_a_second_run_finds_nothing_to_do(world: World) -> None:
    world.document(world.record("uploads/a.jpg", world.upload("uploads/a.jpg")))
    rebuild()
    before = world.items()
    result = rebuild()
    assert (result.written, result.unsettled, result.orphans) == ([], {}, [])
    assert world.items() == before


def test_hundreds_of_records_are_written_in_few_transactions_and_told(world: World) -> None:
    for number in range(120):
        key = f"uploads/{number}.jpg"
        world.document(world.record(key, world.upload(key, b"%d" % number)))
    told: list[str] = []
    result = Rebuilder(SESSION, PLACE, progress=told.append).run()
    assert sorted(result.written) == sorted(f"uploads/{number}.jpg" for number in range(120))
    assert len(world.items()) == 120
    assert [line.endswith(" of 120") for line in told] == [True]
    assert len(world.postings()) == 2 * 120


def test_a_record_of_newer_bytes_is_left_alone(world: World) -> None:
    """The tagger was faster: the JSON file that was read before is not put in its place."""
    etag = world.upload("uploads/a.jpg", b"new")
    newer = world.record("uploads/a.jpg", etag, tagged_at=NOW + timedelta(seconds=5))
    rebuilder = Rebuilder(SESSION, PLACE)
    world.keep(newer)
    other = world.record("uploads/b.jpg", world.upload("uploads/b.jpg"))
    older = world.record("uploads/a.jpg", etag)
    assert rebuilder._write([rebuilder.prepared(it, {}) for it in (older, other)], known={}) == [
        "uploads/b.jpg"
    ]
    assert world.items()["uploads/a.jpg"] == records.to_item(newer)


def test_an_old_record_of_a_replaced_picture_gives_way_to_the_younger_json_file(world: World) -> None:
    """The engine came back as it was at its last clean stop."""
    world.keep(world.record("uploads/a.jpg", "0123", tagged_at=NOW - timedelta(days=1)))
    record = world.record("uploads/a.jpg", world.upload("uploads/a.jpg", b"second"))
    world.document(record)
    assert rebuild().written == ["uploads/a.jpg"]
    assert world.items()["uploads/a.jpg"] == records.to_item(record)


def test_a_later_analysis_of_the_same_bytes_comes_back_too(world: World) -> None:
    etag = world.upload("uploads/a.jpg")
    world.keep(world.record("uploads/a.jpg", etag, tagged_at=NOW - timedelta(hours=1), Settings="old"))
    record = world.record("uploads/a.jpg", etag, Settings="new")
    world.document(record)
    result = rebuild()
    assert result.written == ["uploads/a.jpg"]
    assert not result.unsettled
    assert world.items()["uploads/a.jpg"]["Settings"] == {"S": "new"}


def test_a_claim_of_an_analysis_that_was_cut_off_is_no_record(world: World) -> None:
    record = world.record("uploads/a.jpg", world.upload("uploads/a.jpg"))
    world.keep({"ImageID": "uploads/a.jpg", "Claim": {"Owner": "gone", "Token": "t", "UntilMs": 1}})
    world.document(record)
    assert rebuild().written == ["uploads/a.jpg"]
    assert world.items()["uploads/a.jpg"] == records.to_item(record)


def test_uploads_without_a_json_file_of_their_bytes_have_to_be_analysed(world: World) -> None:
    never = world.upload("uploads/never.jpg")
    replaced = world.upload("uploads/replaced.jpg", b"second")
    world.document(world.record("uploads/replaced.jpg", "of-the-first"))
    broken = world.upload("uploads/broken.jpg")
    world.s3.put_object(Bucket=BUCKET, Key="metadata/broken.jpg.json", Body=b'{"ImageID": "uplo')
    world.s3.put_object(Bucket=BUCKET, Key="uploads/folder/", Body=b"")
    result = rebuild()
    assert result.written == []
    etags = {key: stored.etag for key, stored in result.unsettled.items()}
    assert etags == {
        "uploads/never.jpg": never,
        "uploads/replaced.jpg": replaced,
        "uploads/broken.jpg": broken,
    }


def test_a_json_file_whose_upload_was_deleted_makes_no_record_and_is_named(world: World) -> None:
    world.document(world.record("uploads/deleted.jpg", "0123"))
    result = rebuild()
    assert result.orphans == ["uploads/deleted.jpg"]
    assert result.gone == {"uploads/deleted.jpg"}
    assert world.items() == {}


def test_a_key_that_is_too_long_for_a_suffix_is_found_by_its_content(world: World) -> None:
    key = "uploads/" + "x" * 1010 + ".jpg"
    record = world.record(key, world.upload(key))
    world.document(record)
    result = rebuild()
    assert result.written == [key]
    assert not result.unsettled
    assert not result.orphans


def test_a_file_on_disk_stands_for_the_object_only_with_the_same_content(
    world: World, tmp_path: Path
) -> None:
    written = {}
    for name in ("same", "other", "absent", "../up"):
        key = f"uploads/{name}.jpg"
        written[key] = world.record(key, world.upload(key), Width=1)
        world.document(written[key])
    folder = tmp_path / "disk" / "metadata"
    folder.mkdir(parents=True)
    (folder / "same.jpg.json").write_bytes(documents.render(written["uploads/same.jpg"]))
    (folder / "other.jpg.json").write_bytes(documents.render({**written["uploads/other.jpg"], "Width": 2}))
    (folder.parent / "up.jpg.json").write_bytes(b"{}")
    read: list[str] = []
    rebuilder = Rebuilder(SESSION, PLACE, disk=tmp_path / "disk")
    from_bucket = rebuilder._from_bucket

    def noted(name: str) -> bytes:
        read.append(name)
        return from_bucket(name)

    rebuilder._from_bucket = noted  # type: ignore[method-assign]
    rebuilder.run()
    assert world.items() == {key: records.to_item(record) for key, record in written.items()}
    assert sorted(read) == ["metadata/../up.jpg.json", "metadata/absent.jpg.json", "metadata/other.jpg.json"]


def test_with_the_whole_bucket_as_trigger_what_the_functions_wrote_is_no_upload(world: World) -> None:
    etag = world.upload("a.jpg")
    record = world.record("a.jpg", etag)
    documents.write(world.s3, record, trigger_prefix="")
    world.upload("previews/a.jpg")
    result = Rebuilder(SESSION, Place(BUCKET, TABLE, "", INDEX, 4)).run()
    assert result.written == ["a.jpg"]
    assert not result.unsettled


def test_a_lost_record_comes_back_with_its_postings(world: World) -> None:
    key = "uploads/a.jpg"
    world.document(world.record(key, world.upload(key)))
    rebuild()
    assert world.postings() == {f"image:all {key}", f"label:cat#90 {key}"}


def test_the_postings_of_an_old_record_that_is_replaced_go(world: World) -> None:
    key = "uploads/a.jpg"
    first = world.record(key, world.upload(key, b"first"), tagged_at=NOW - timedelta(days=1))
    world.document(first | {"Labels": [{"Name": "Old", "Confidence": 95.0}]})
    rebuild()
    assert f"label:old#90 {key}" in world.postings()
    world.document(world.record(key, world.upload(key, b"second")))
    rebuild()
    assert world.postings() == {f"image:all {key}", f"label:cat#90 {key}"}


def test_a_record_whose_upload_was_deleted_is_named_and_a_tombstone_is_not(world: World) -> None:
    world.keep(world.record("uploads/deleted.jpg", "0123"))
    world.keep({"ImageID": "uploads/buried.jpg", "Status": "DELETED", "TaggedAt": "2026"})
    assert rebuild().gone == {"uploads/deleted.jpg"}


def test_a_removal_of_the_recovery_is_one_that_the_tagger_reads() -> None:
    event = json.loads(json.dumps(s3_event(BUCKET, "eu-west-1", "uploads/a b.jpg", None)))
    assert changes_in(event, trigger_prefix="uploads/") == [Removal(BUCKET, "uploads/a b.jpg")]


def test_an_event_of_the_recovery_is_one_that_the_tagger_reads(world: World) -> None:
    key = "uploads/a b+c/ü%.jpg"
    event = json.loads(json.dumps(s3_event(BUCKET, "eu-west-1", key, Stored("0123", NOW))))
    assert uploads_in(event, trigger_prefix="uploads/") == [Upload(BUCKET, key, "0123")]


def test_what_got_its_record_meanwhile_is_not_sent_again() -> None:
    uploads = {"a": Stored("1", NOW), "b": Stored("2", NOW), "c": Stored("3", NOW)}
    known = {"a": Known("1", "t"), "b": Known("old", "t")}
    assert set(still_unsettled(uploads, known)) == {"b", "c"}


def test_a_recovery_says_in_one_sentence_what_it_did() -> None:
    assert str(Recovered(True, 1, 0, 0, 0.51)) == (
        "recovered from a crash in 0.5 s: deployed the stack again, 1 record rebuilt from JSON files"
    )
    assert str(Recovered(False, 12, 3, 1, 2.0)) == (
        "recovered from a crash in 2.0 s: 12 records rebuilt from JSON files, 3 uploads sent to the tagger again, "
        "1 image without an upload removed"
    )
