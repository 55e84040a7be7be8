"""Events for `invoke`: read from files, or made as S3 would."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.errors import UsageError
from darkroom.operations.invoke import StoredObject, full_name, next_sequencer, read_event, s3_event
from pipeline.events import uploads_in
from pipeline.ordering import Order, Position

if TYPE_CHECKING:
    from pathlib import Path

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def event_of(key: str, version_id: str | None = None) -> dict[str, object]:
    stored = StoredObject("bucket", key, 1024, "d41d8", WHEN, version_id)
    return s3_event(stored, region="eu-west-1", sequencer="00A1")


@given(st.text(min_size=1, max_size=40).filter(lambda text: not text.endswith("/")))
def test_every_key_comes_back_as_it_was(name: str) -> None:
    key = "uploads/" + name
    assert [each.key for each in uploads_in(event_of(key), trigger_prefix="uploads/")] == [key]


def test_an_event_has_the_documented_members() -> None:
    record = event_of("uploads/red flower+1.jpg", "v1")["Records"][0]  # type: ignore[index]
    assert record["eventVersion"] == "2.1"
    assert record["eventSource"] == "aws:s3"
    assert record["awsRegion"] == "eu-west-1"
    assert record["eventTime"] == "2026-03-04T05:06:07.000Z"
    assert record["eventName"] == "ObjectCreated:Put"
    assert set(record["s3"]) == {"s3SchemaVersion", "configurationId", "bucket", "object"}
    assert record["s3"]["bucket"]["arn"] == "arn:aws:s3:::bucket"
    described = record["s3"]["object"]
    assert described == {
        "key": "uploads/red+flower%2B1.jpg",
        "size": 1024,
        "eTag": "d41d8",
        "versionId": "v1",
        "sequencer": "00A1",
    }
    assert unquote_plus(described["key"]) == "uploads/red flower+1.jpg"


def position(sequencer: str | None) -> Position:
    return Position(sequencer, "2026-01-01T00:00:00Z", "etag")


@given(st.integers(min_value=1, max_value=2**60), st.integers(min_value=1, max_value=40))
def test_a_made_sequencer_is_newer_than_the_last_and_older_than_the_next_real_one(
    number: int, times: int
) -> None:
    real, following = f"{number:018X}", f"{number + 1:018X}"
    last = real
    for _ in range(times):
        made = next_sequencer(last)
        assert position(made).compared_to(position(last)) is Order.NEWER
        assert position(made).compared_to(position(following)) is Order.OLDER
        last = made


@pytest.mark.parametrize(
    "last", ["0055AED6DCD90281E5", "0055AED6DCD90281E5FFFF", "0055AED6DCD90281E50009", "00A1"]
)
def test_a_sequencer_grows_in_every_form(last: str) -> None:
    assert position(next_sequencer(last)).compared_to(position(last)) is Order.NEWER


def test_without_a_record_the_sequencer_is_older_than_every_real_one() -> None:
    assert position(next_sequencer(None)).compared_to(position("000650000000000000")) is Order.OLDER


def test_a_json_error_names_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text('{\n  "a": 1,\n  b\n}')
    with pytest.raises(UsageError, match=r"event\.json, line 3, column 3: "):
        read_event(str(path))


@pytest.mark.parametrize("content", [b"\xff\xfe", b""])
def test_a_file_that_is_no_json_is_a_users_mistake(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "event.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"event\.json"):
        read_event(str(tmp_path / "event.json"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_event(str(tmp_path / "none.json"))


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": [1]}'))
    assert read_event("-") == {"a": [1]}


def test_a_function_is_named_short_or_in_full() -> None:
    assert full_name("tagger", stack="darkroom") == "darkroom-tagger"
    assert full_name("darkroom-tagger", stack="darkroom") == "darkroom-tagger"
