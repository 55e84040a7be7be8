"""Records as people and programs see them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from darkroom.errors import NotFoundError, NotRunningError
from darkroom.operations.records import Images, candidate_keys, find, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        made = boto3.Session("testing", "testing", region_name="us-east-1")
        made.client("dynamodb").create_table(
            TableName="ImageLabels",
            KeySchema=[{"AttributeName": "ImageID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "ImageID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield made


def put(session: boto3.Session, key: str, **fields: str) -> None:
    item = {"ImageID": {"S": key}, "Status": {"S": "TAGGED"}, "TaggedAt": {"S": "2026-11-20T12:00:00Z"}}
    item |= {name: {"S": value} for name, value in fields.items()}
    session.client("dynamodb").put_item(TableName="ImageLabels", Item=item)


def test_numbers_and_sets_become_jsons() -> None:
    stored = {
        "Width": Decimal(640),
        "Confidence": Decimal("98.5"),
        "Names": {"b", "a"},
        "Parts": [Decimal("1.0")],
    }
    assert plain(stored) == {"Width": 640, "Confidence": 98.5, "Names": ["a", "b"], "Parts": [1.0]}
    assert isinstance(plain(Decimal(640)), int)


def test_an_analysis_under_way_is_no_record_yet(session: boto3.Session) -> None:
    session.client("dynamodb").put_item(
        TableName="ImageLabels", Item={"ImageID": {"S": "uploads/a.jpg"}, "Claim": {"S": "x"}}
    )
    images = Images(session, table="ImageLabels")
    assert images.get("uploads/a.jpg") is None
    assert list(images.all()) == []


def test_the_newest_stands_first(session: boto3.Session) -> None:
    put(session, "uploads/old.jpg", TaggedAt="2026-11-20T11:00:00Z")
    put(session, "uploads/new.jpg", TaggedAt="2026-11-20T13:00:00Z")
    put(session, "uploads/mid.jpg", TaggedAt="2026-11-20T12:00:00Z")
    found = [record["ImageID"] for record in Images(session, table="ImageLabels").newest_first()]
    assert found == ["uploads/new.jpg", "uploads/mid.jpg", "uploads/old.jpg"]


def test_a_missing_table_says_what_to_do(session: boto3.Session) -> None:
    with pytest.raises(NotRunningError) as error:
        list(Images(session, table="Another").all())
    assert "make up" in error.value.hint


@pytest.mark.parametrize("name", ["cats/tom.jpg", "./cats/tom.jpg", "uploads/cats/tom.jpg"])
def test_a_record_is_found_by_path_and_by_key(session: boto3.Session, tmp_path: Path, name: str) -> None:
    put(session, "uploads/cats/tom.jpg")
    found = find(Images(session, table="ImageLabels"), name, inbox=tmp_path)
    assert found["ImageID"] == "uploads/cats/tom.jpg"


def test_a_file_of_the_inbox_is_found_by_its_path(session: boto3.Session, tmp_path: Path) -> None:
    put(session, "uploads/tom.jpg")
    (tmp_path / "tom.jpg").touch()
    assert find(Images(session, table="ImageLabels"), str(tmp_path / "tom.jpg"), inbox=tmp_path)


def test_an_unknown_name_is_met_with_what_is_near(session: boto3.Session, tmp_path: Path) -> None:
    put(session, "uploads/coffee.png")
    with pytest.raises(NotFoundError) as error:
        find(Images(session, table="ImageLabels"), "cofee.png", inbox=tmp_path)
    assert "uploads/coffee.png" in error.value.hint


def test_a_file_that_has_no_record_yet_is_not_called_unknown(session: boto3.Session, tmp_path: Path) -> None:
    (tmp_path / "waiting.jpg").touch()
    with pytest.raises(NotFoundError) as error:
        find(Images(session, table="ImageLabels"), "waiting.jpg", inbox=tmp_path)
    assert "no record yet" in error.value.message


def test_the_likeliest_key_is_tried_first(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert candidate_keys(str(tmp_path / "a.jpg"), inbox=tmp_path)[0] == "uploads/a.jpg"
    assert candidate_keys("uploads/x/b.jpg", inbox=tmp_path)[0] == "uploads/x/b.jpg"
