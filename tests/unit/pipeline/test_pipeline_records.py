from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import documents
from pipeline.records import MAX_ITEM_BYTES, Record, fit, from_item, to_attribute, to_item

values = st.recursive(
    st.text()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(-1e100, 1e100, allow_subnormal=False).filter(lambda it: it == 0 or abs(it) > 1e-100),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(min_size=1), values, max_size=5))
def test_a_record_survives_the_table(record: Record) -> None:
    assert from_item(to_item(record)) == record


@given(st.floats(1e-6, 100))
def test_dynamodb_reads_every_digit_of_a_confidence(confidence: float) -> None:
    assert TypeDeserializer().deserialize({"N": to_attribute(confidence)["N"]}) == Decimal(repr(confidence))


def test_none_is_kept_inside_a_record() -> None:
    assert from_item(to_item({"a": None})) == {"a": None}


def test_a_value_without_a_type_in_dynamodb_is_an_error() -> None:
    with pytest.raises(TypeError, match="set"):
        to_item({"a": {1}})


def many_labels(count: int, boxes: int) -> Record:
    box: dict[str, Any] = {
        "Confidence": 90.12345678901234,
        "BoundingBox": {"Left": 0.123456789012345, "Top": 0.1},
    }
    labels = [{"Name": f"Label {n}", "Confidence": 90.5, "Instances": [box] * boxes} for n in range(count)]
    return {"ImageID": "uploads/a.jpg", "Labels": labels, "LabelNames": [it["Name"] for it in labels]}


def test_a_record_that_fits_is_kept_whole() -> None:
    record = many_labels(50, 2)
    assert fit(record) == record


def test_boxes_that_would_pass_the_item_limit_stay_in_the_file_and_are_named() -> None:
    fitted = fit(many_labels(500, 20))
    assert fitted["LeftInDocument"] == ["Labels.Instances"]
    assert len(fitted["Labels"]) == 500
    assert all(label["Instances"] == [] for label in fitted["Labels"])
    assert len(json.dumps(to_item(fitted)).encode()) < 2 * MAX_ITEM_BYTES


def test_what_is_still_too_large_is_left_to_the_file() -> None:
    record = {
        "ImageID": "uploads/a.jpg",
        "Labels": [{"Name": "x" * 1000, "Instances": []} for _ in range(500)],
        "Text": [],
    }
    fitted = fit(record)
    assert fitted["LeftInDocument"] == ["Labels.Instances", "Labels"]
    assert "Labels" not in fitted


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("uploads/cat.jpg", "uploads/", "metadata/cat.jpg.json"),
        ("uploads/2026/a b.jpg", "uploads/", "metadata/2026/a b.jpg.json"),
        ("uploads/uploads/cat.jpg", "uploads/", "metadata/uploads/cat.jpg.json"),
        ("holiday/cat.jpg", "", "metadata/holiday/cat.jpg.json"),
        ("uploads/cat.jpg", "", "metadata/uploads/cat.jpg.json"),
    ],
)
def test_the_file_follows_the_path_of_the_image(key: str, prefix: str, expected: str) -> None:
    assert documents.metadata_key(key, trigger_prefix=prefix) == expected


def test_a_key_near_the_limit_gets_a_file_of_its_own_below_the_limit() -> None:
    first, second = ("uploads/" + "ä" * 505 + ending for ending in ("1.jpg"[:4] + "a", "1.jpg"[:4] + "b"))
    keys = {documents.metadata_key(key, trigger_prefix="uploads/") for key in (first, second)}
    assert len(keys) == 2
    assert all(len(key.encode()) <= 1024 and key.endswith(".json") for key in keys)


def test_the_file_is_readable_and_the_same_each_time() -> None:
    record = {"ImageID": "uploads/Bär.jpg", "Labels": [{"Name": "Bear", "Confidence": 99.5}]}
    text = documents.render(record).decode()
    assert text == documents.render(dict(record)).decode()
    assert '"ImageID": "uploads/Bär.jpg"' in text
    assert list(json.loads(text)) == ["ImageID", "Labels"]
