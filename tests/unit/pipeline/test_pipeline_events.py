from __future__ import annotations

import unicodedata
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import Upload, uploads_in
from tests.unit.pipeline.world import BUCKET, event

COMPOSED = unicodedata.normalize("NFC", "uploads/Bär.jpg")
DECOMPOSED = unicodedata.normalize("NFD", "uploads/Bär.jpg")


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("uploads/my+cat.jpg", "uploads/my cat.jpg"),
        ("uploads/my%20cat.jpg", "uploads/my cat.jpg"),
        ("uploads/one%2Btwo.jpg", "uploads/one+two.jpg"),
        ("uploads/not%252Fa+slash.jpg", "uploads/not%2Fa slash.jpg"),
        ("uploads/a%2Fslash.jpg", "uploads/a/slash.jpg"),
        ("uploads/100%25.jpg", "uploads/100%.jpg"),
        ("uploads/no%231.jpg", "uploads/no#1.jpg"),
        ("uploads/what%3F%26%3D.jpg", "uploads/what?&=.jpg"),
        ("uploads/B%C3%A4r.jpg", COMPOSED),
        ("uploads/Ba%CC%88r.jpg", DECOMPOSED),
        ("uploads/%F0%9F%90%B1.jpg", "uploads/🐱.jpg"),
        ("uploads/2026/11/20/a.jpg", "uploads/2026/11/20/a.jpg"),
        ("uploads/%3Cimg+src%3Dx%3E.jpg", "uploads/<img src=x>.jpg"),
        ("uploads/ends+in+space+", "uploads/ends in space "),
    ],
)
def test_keys_are_decoded_as_s3_encodes_them(encoded: str, key: str) -> None:
    raw = event(Upload(BUCKET, "uploads/x"))
    raw["Records"][0]["s3"]["object"]["key"] = encoded
    assert [it.key for it in uploads_in(raw, trigger_prefix="uploads/")] == [key]


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1).filter(
        lambda it: not it.endswith("/")
    )
)
def test_every_key_survives_the_way_through_an_event(name: str) -> None:
    key = "uploads/" + name
    raw = event(Upload(BUCKET, key))
    assert raw["Records"][0]["s3"]["object"]["key"] == quote_plus(key, safe="/")
    assert [it.key for it in uploads_in(raw, trigger_prefix="uploads/")] == [key]


@pytest.mark.parametrize(
    "key",
    ["uploads/", "uploads/holiday/", "metadata/cat.jpg.json", "previews/cat.jpg", "other/cat.jpg", "cat.jpg"],
)
def test_folder_markers_and_foreign_prefixes_are_left_out(key: str) -> None:
    assert uploads_in(event(Upload(BUCKET, key)), trigger_prefix="uploads/") == []


def test_with_the_whole_bucket_as_trigger_only_what_the_functions_write_is_left_out() -> None:
    keys = ["cat.jpg", "a/b.jpg", "uploads/c.jpg", "metadata/cat.jpg.json", "previews/cat.jpg", "folder/"]
    found = uploads_in(event(*(Upload(BUCKET, key) for key in keys)), trigger_prefix="")
    assert [it.key for it in found] == ["cat.jpg", "a/b.jpg", "uploads/c.jpg"]


@pytest.mark.parametrize(
    "name", ["ObjectRemoved:Delete", "ObjectRestore:Completed", "LifecycleExpiration:Delete"]
)
def test_what_was_not_created_is_left_out(name: str) -> None:
    assert uploads_in(event(Upload(BUCKET, "uploads/cat.jpg"), name=name), trigger_prefix="uploads/") == []


@pytest.mark.parametrize(
    "name", ["ObjectCreated:Put", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"]
)
def test_every_way_of_creating_counts(name: str) -> None:
    assert (
        len(uploads_in(event(Upload(BUCKET, "uploads/cat.jpg"), name=name), trigger_prefix="uploads/")) == 1
    )


def test_the_test_event_of_a_new_notification_is_no_upload() -> None:
    assert (
        uploads_in({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}, trigger_prefix="")
        == []
    )


def test_an_event_tells_tag_version_and_sequencer() -> None:
    upload = Upload(BUCKET, "uploads/cat.jpg", "abc", "v1", "0055")
    assert uploads_in(event(upload), trigger_prefix="uploads/") == [upload]


def test_the_version_null_of_a_suspended_bucket_is_none() -> None:
    (found,) = uploads_in(
        event(Upload(BUCKET, "uploads/cat.jpg", version_id="null")), trigger_prefix="uploads/"
    )
    assert found.version_id is None


def test_an_event_made_by_hand_needs_only_bucket_and_key() -> None:
    raw = {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": BUCKET}, "object": {"key": "uploads/cat.jpg"}},
            }
        ]
    }
    assert uploads_in(raw, trigger_prefix="uploads/") == [Upload(BUCKET, "uploads/cat.jpg")]
