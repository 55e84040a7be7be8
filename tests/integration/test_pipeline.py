"""A photograph dropped into the folder ends as record and JSON: the whole way, over HTTP, on a running engine."""

from __future__ import annotations

import json
import os
import time
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pytest

from darkroom.settings import PROJECT_ROOT
from tests.support import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom.operations.records import Record
    from tests.integration.conftest import Running

PHOTOGRAPHS = PROJECT_ROOT / "fixtures" / "images"
pytestmark = pytest.mark.integration


def names(record: Record) -> set[str]:
    return {label["Name"] for label in record["Labels"]}


@pytest.mark.parametrize("photograph", sorted(path.name for path in PHOTOGRAPHS.glob("*.[jp][pn]g")))
def test_each_photograph_of_the_fixtures_ends_with_authored_labels(running: Running, photograph: str) -> None:
    key = running.drop(f"photographs/{photograph}", (PHOTOGRAPHS / photograph).read_bytes())
    record = running.record(key)
    assert record["Status"] == "TAGGED"
    assert record["Source"] == "authored"
    assert record["Labels"]
    assert record["LabelNames"] == [label["Name"] for label in record["Labels"]]


def test_a_photograph_ends_as_record_and_json_that_agree(running: Running) -> None:
    content = pictures.jpeg(1, size=(400, 300))
    key = running.drop("agree.jpg", content)
    record = running.record(key)
    document = running.document(key)
    assert record["Status"] == "TAGGED"
    assert record["Source"] == "synthetic"
    assert (record["Width"], record["Height"], record["Bytes"]) == (400, 300, len(content))
    assert record["ContentType"] == "image/jpeg"
    assert record["S3Bucket"] == running.bucket
    assert record["S3Key"] == record["ImageID"] == key
    for field in ("ImageID", "Status", "Labels", "LabelNames", "ETag", "TaggedAt", "Source"):
        assert document[field] == record[field], field


def test_ten_photographs_at_once_have_each_their_own_record(running: Running) -> None:
    sizes = {
        running.drop(f"ten/{number}.jpg", pictures.jpeg(100 + number, size=(200 + number, 200))): 200 + number
        for number in range(10)
    }
    for key, width in sizes.items():
        assert running.record(key)["Width"] == width


def test_an_overwritten_photograph_is_tagged_anew(running: Running) -> None:
    key = running.drop("overwritten.jpg", pictures.jpeg(2, size=(300, 200)))
    first = running.record(key)
    running.drop("overwritten.jpg", pictures.jpeg(3, size=(500, 400)))
    second = running.record(key, until=lambda record: record["ETag"] != first["ETag"])
    assert (second["Width"], second["Height"]) == (500, 400)
    assert running.document(key)["ETag"] == second["ETag"]


@pytest.mark.parametrize(
    "name",
    [
        "with space.jpg",
        "a+b.jpg",
        "percent%2Fslash.jpg",
        "hash#tag.jpg",
        "100%.jpg",
        "quote'\".jpg",
        "a&b=c?.jpg",
        unicodedata.normalize("NFC", "größe.jpg"),
        unicodedata.normalize("NFD", "größe.jpg"),
        "emoji-📷🐈.jpg",
        "日本語/写真.jpg",
        "deep/er/than/this/photo.jpg",
        "<img src=x onerror=alert(1)>.jpg",
    ],
    ids=ascii,
)
def test_a_name_arrives_as_it_is(running: Running, name: str) -> None:
    key = running.drop(f"names/{name}", pictures.jpeg(abs(hash(name)) % 10_000))
    record = running.record(key)
    assert record["Status"] == "TAGGED"
    assert record["ImageID"] == key
    assert running.document(key)["S3Key"] == key


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.jpg", b"", "EmptyObject"),
        ("text.jpg", b"this is no photograph\n" * 50, "InvalidImageFormatException"),
        ("truncated.jpg", pictures.jpeg(4)[:-2000], "InvalidImageFormatException"),
        ("tiny.png", pictures.png(7, size=(40, 40)), "InvalidParameterException"),
    ],
    ids=["zero bytes", "text named .jpg", "truncated JPEG", "40 pixels"],
)
def test_a_picture_that_cannot_be_analysed_ends_as_failed_with_its_reason(
    running: Running, name: str, content: bytes, code: str
) -> None:
    key = running.drop(f"bad/{name}", content)
    record = running.record(key)
    assert record["Status"] == "FAILED"
    assert record["ErrorCode"] == code
    assert record["ErrorMessage"]
    assert running.document(key)["Status"] == "FAILED"


def test_a_bad_picture_stops_no_other(running: Running) -> None:
    bad = running.drop("mixed/bad.jpg", b"not a picture")
    good = running.drop("mixed/good.jpg", pictures.jpeg(8))
    assert running.record(bad)["Status"] == "FAILED"
    assert running.record(good)["Status"] == "TAGGED"


def test_a_file_that_grows_for_seconds_ends_whole(running: Running) -> None:
    content = pictures.noisy_jpeg(9, size_bytes=400_000)
    path = running.inbox / "growing.jpg"
    with path.open("wb") as file:
        for start in range(0, len(content), len(content) // 12 + 1):
            file.write(content[start : start + len(content) // 12 + 1])
            file.flush()
            time.sleep(0.2)
    record = running.record("uploads/growing.jpg")
    assert record["Status"] == "TAGGED"
    assert record["Bytes"] == len(content)


def test_temporary_names_and_dotfiles_are_left_out_and_said(running: Running) -> None:
    running.drop("left/out.jpg.part", pictures.jpeg(10))
    running.drop("left/.hidden.jpg", pictures.jpeg(11))
    running.record(running.drop("left/after.jpg", pictures.jpeg(12)))
    listed = running.s3.list_objects_v2(Bucket=running.bucket, Prefix="uploads/left/")
    assert [item["Key"] for item in listed["Contents"]] == ["uploads/left/after.jpg"]
    said = running.environment.layout.logs.joinpath("sync.log").read_text()
    assert "left/out.jpg.part" in said
    assert "left/.hidden.jpg" in said


def test_a_link_out_of_the_folder_is_not_followed(running: Running, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(pictures.jpeg(13))
    (running.inbox / "link.jpg").symlink_to(secret)
    running.record(running.drop("beside-link.jpg", pictures.jpeg(14)))
    keys = running.s3.list_objects_v2(Bucket=running.bucket, Prefix="uploads/link")
    assert keys["KeyCount"] == 0


def test_a_touched_file_with_the_same_content_is_neither_uploaded_nor_tagged_again(running: Running) -> None:
    key = running.drop("touched.jpg", pictures.jpeg(15))
    first = running.record(key)
    os.utime(running.inbox / "touched.jpg")
    running.record(running.drop("after-touch.jpg", pictures.jpeg(16)))
    assert running.record(key) == first


def test_a_folder_marker_is_ignored(running: Running) -> None:
    running.s3.put_object(Bucket=running.bucket, Key="uploads/marker/", Body=b"")
    running.record(running.drop("after-marker.jpg", pictures.jpeg(17)))
    assert running.images.get("uploads/marker/") is None


def test_a_duplicate_event_costs_no_second_analysis(running: Running) -> None:
    content = pictures.jpeg(18)
    key = running.drop("duplicate.jpg", content)
    first = running.record(key)
    event = {"Records": [_s3_record(running.bucket, key, first)]}
    client = running.environment.session().client("lambda")
    answer = client.invoke(FunctionName="darkroom-tagger", Payload=json.dumps(event).encode())
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert running.record(key)["TaggedAt"] == first["TaggedAt"]


def _s3_record(bucket: str, key: str, record: Record) -> dict[str, object]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": record["Bytes"],
                "eTag": record["ETag"],
                "sequencer": record["Sequencer"],
            },
        },
    }
