"""Lists and searches, page by page, over a table of thousands of postings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from pipeline import postings
from pipeline.catalogue import EXAMINED_PER_PAGE, Catalogue, CursorError, Kind, Page
from pipeline.records import Status, to_item
from tests.unit.pipeline.conftest import make_world
from tests.unit.pipeline.world import INDEX, TABLE, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.records import Record


@dataclass
class Shelf:
    """Records put into the tables as the tagger's transaction does, without the tagger."""

    world: World
    records: list[Record] = field(default_factory=list)

    def add(self, number: int, **labels: float) -> Record:
        return self.add_record(number, Labels=[{"Name": n, "Confidence": c} for n, c in labels.items()])

    def add_record(self, number: int, **fields: Any) -> Record:
        record = {
            "ImageID": f"uploads/{number}.jpg",
            "Status": "TAGGED",
            "UploadedAt": f"2026-11-25T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z",
            **fields,
        }
        indexed = postings.index_of(record, shards=INDEX.shards)
        changes = postings.changes(record, indexed, None, INDEX)
        put = {"TableName": TABLE, "Item": {**to_item(record), "Indexed": indexed.to_attribute()}}
        actions: Any = [{"Put": put}, *changes]
        self.world.dynamodb.transact_write_items(TransactItems=actions)
        self.records.append(record)
        return record

    def catalogue(self) -> Catalogue:
        return Catalogue(
            self.world.dynamodb,
            images_table=TABLE,
            index_table=INDEX.table,
            statistics_table="Statistics",
            shards=INDEX.shards,
        )


@pytest.fixture
def shelf(world: World) -> Shelf:
    return Shelf(world)


def pages(read: Callable[[str | None], Page]) -> Iterator[Page]:
    """All pages from the first to the last."""
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return


def numbers(page: Page) -> list[int]:
    return [int(entry.image_id.removeprefix("uploads/").removesuffix(".jpg")) for entry in page.entries]


def test_the_newest_images_come_first_page_by_page_each_once(shelf: Shelf) -> None:
    for number in range(25):
        shelf.add(number, Cat=90)
    catalogue = shelf.catalogue()
    read = list(pages(lambda cursor: catalogue.newest(limit=10, cursor=cursor)))
    assert [numbers(page) for page in read] == [
        [*range(24, 14, -1)],
        [*range(14, 4, -1)],
        [*range(4, -1, -1)],
    ]
    assert (read[0].entries[0].name, read[0].entries[0].confidence) == (None, None)


def test_the_last_full_page_has_no_cursor(shelf: Shelf) -> None:
    for number in range(10):
        shelf.add(number)
    assert shelf.catalogue().newest(limit=10).cursor is None


def test_a_page_goes_on_where_it_ended_when_images_are_added_meanwhile(shelf: Shelf) -> None:
    for number in range(10):
        shelf.add(number)
    first = shelf.catalogue().newest(limit=5)
    shelf.add(11)
    second = shelf.catalogue().newest(limit=5, cursor=first.cursor)
    assert numbers(first) + numbers(second) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_a_search_finds_a_label_in_any_case_with_at_least_a_confidence(shelf: Shelf) -> None:
    shelf.add(1, Cat=79.5)
    shelf.add(2, Cat=85, Dog=99.9)
    shelf.add(3, Cat=91.25)
    shelf.add(4, Dog=99)
    shelf.add(5, Cat=99.5)
    shelf.add(6, Caterpillar=99)
    catalogue = shelf.catalogue()

    def found(least: float, name: str = "cat") -> list[int]:
        return numbers(catalogue.search(Kind.LABEL, name, min_confidence=least, limit=10))

    assert found(0) == [5, 3, 2, 1]
    assert found(79.5) == [5, 3, 2, 1]
    assert found(79.6) == [5, 3, 2]
    assert found(91.25) == [5, 3]
    assert found(91.26, " CAT ") == [5]
    assert found(100) == []
    assert found(0, "") == []
    (entry,) = catalogue.search(Kind.LABEL, "cat", min_confidence=99, limit=1).entries
    assert (entry.name, entry.confidence, entry.status) == ("Cat", 99.5, Status.TAGGED)


def test_celebrities_and_moderation_categories_are_searched_by_themselves(shelf: Shelf) -> None:
    shelf.add_record(1, Celebrities=[{"Name": "Ada Lovelace", "Confidence": 97.0}])
    shelf.add_record(2, Moderation=[{"Name": "Violence", "Confidence": 82.0}])
    shelf.add(3, Violence=90)
    catalogue = shelf.catalogue()
    assert numbers(catalogue.search(Kind.CELEBRITY, "ada lovelace", limit=10)) == [1]
    assert numbers(catalogue.search(Kind.MODERATION, "violence", limit=10)) == [2]
    assert numbers(catalogue.search(Kind.LABEL, "violence", limit=10)) == [3]


def test_failures_are_listed_by_themselves(shelf: Shelf) -> None:
    shelf.add(1, Cat=99)
    shelf.add_record(2, Status="FAILED", ErrorCode="ImageTooLarge")
    shelf.add_record(3, Status="PARTIAL")
    catalogue = shelf.catalogue()
    assert numbers(catalogue.newest(limit=10)) == [3, 2, 1]
    assert numbers(catalogue.newest(limit=10, status=Status.FAILED)) == [2]
    assert numbers(catalogue.newest(limit=10, status=Status.PARTIAL)) == [3]
    assert numbers(catalogue.newest(limit=10, status=Status.TAGGED)) == [1]
    assert catalogue.newest(limit=10, status=Status.DELETED) == Page((), None, 0.0)


def test_a_preview_is_named_where_there_is_one(shelf: Shelf) -> None:
    shelf.add_record(1, PreviewKey="previews/1.jpg")
    assert [entry.preview_key for entry in shelf.catalogue().newest(limit=1).entries] == ["previews/1.jpg"]


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "WzEsMl0", "e30", "WyJhIiwgImIiXQ", "é"])
def test_a_damaged_cursor_is_refused(shelf: Shelf, cursor: str) -> None:
    with pytest.raises(CursorError):
        shelf.catalogue().newest(limit=10, cursor=cursor)


def test_a_cursor_of_another_search_is_refused(shelf: Shelf) -> None:
    for number in range(4):
        shelf.add(number, Cat=99, Dog=99)
    catalogue = shelf.catalogue()
    cursor = catalogue.search(Kind.LABEL, "cat", limit=2).cursor
    with pytest.raises(CursorError, match="another"):
        catalogue.search(Kind.LABEL, "dog", limit=2, cursor=cursor)
    with pytest.raises(CursorError, match="another"):
        catalogue.newest(limit=2, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_a_limit_out_of_bounds_is_refused(shelf: Shelf, limit: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 200"):
        shelf.catalogue().newest(limit=limit)


def test_where_few_of_many_match_a_page_ends_early_and_goes_on(world: World) -> None:
    """Written directly: a thousand transactions would take long."""
    amount = EXAMINED_PER_PAGE + 100
    with world.dynamodb_batch() as put:
        for number in range(amount):
            put(
                {
                    "pk": f"label:cat#90#{number % INDEX.shards}",
                    "sk": f"2026-11-25T{number:08}#x",
                    "ImageID": f"uploads/{number}.jpg",
                    "UploadedAt": "2026-11-25",
                    "Status": "TAGGED",
                    "Name": "Cat",
                    "Confidence": 98.5 if number < 2 else 90.0,
                }
            )
    catalogue = Shelf(world).catalogue()
    first = catalogue.search(Kind.LABEL, "cat", min_confidence=98, limit=10)
    assert (first.entries, first.cursor is None) == ((), False)
    second = catalogue.search(Kind.LABEL, "cat", min_confidence=98, limit=10, cursor=first.cursor)
    assert (numbers(second), second.cursor) == ([1, 0], None)


def test_what_a_page_costs_does_not_grow_with_the_table(world: World) -> None:
    def fill(first: int, last: int) -> None:
        with world.dynamodb_batch() as put:
            for number in range(first, last):
                put(
                    {
                        "pk": f"image:all#{number % INDEX.shards}",
                        "sk": f"2026-11-25T{number:08}#x",
                        "ImageID": f"uploads/{number}.jpg",
                        "UploadedAt": "2026-11-25T12:00:00.000Z",
                        "Status": "TAGGED",
                    }
                )

    catalogue = Shelf(world).catalogue()
    fill(0, 200)
    small = catalogue.newest(limit=50)
    fill(200, 3000)
    large = catalogue.newest(limit=50)
    assert len(small.entries) == len(large.entries) == 50
    assert 0 < large.read_units <= small.read_units


def test_records_come_in_the_order_asked_for_without_those_that_are_none(shelf: Shelf) -> None:
    for number in range(3):
        shelf.add(number, Cat=90)
    shelf.world.dynamodb.put_item(
        TableName=TABLE, Item=to_item({"ImageID": "uploads/claimed.jpg", "Claim": {}})
    )
    shelf.world.dynamodb.put_item(
        TableName=TABLE, Item=to_item({"ImageID": "uploads/gone.jpg", "Status": "DELETED"})
    )
    asked = [f"uploads/{name}.jpg" for name in (2, "claimed", 0, "missing", "gone", 2, 1)]
    assert shelf.catalogue().records(asked) == [shelf.records[2], shelf.records[0], shelf.records[1]]
    assert shelf.catalogue().records([]) == []


def test_records_that_dynamodb_did_not_get_to_are_asked_for_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        shelf.add(number)
    real = shelf.world.dynamodb.batch_get_item

    def partly(*, RequestItems: Any) -> Any:  # noqa: N803 - boto3's name
        keys = RequestItems[TABLE]["Keys"]
        answer = real(RequestItems={TABLE: {"Keys": keys[:2]}})
        answer["UnprocessedKeys"] = {TABLE: {"Keys": keys[2:]}} if keys[2:] else {}
        return answer

    monkeypatch.setattr(shelf.world.dynamodb, "batch_get_item", partly)
    assert len(shelf.catalogue().records([it["ImageID"] for it in shelf.records])) == 5


def test_alerts_are_read_newest_first(world: World) -> None:
    with world.dynamodb_batch() as put:
        for number in range(5):
            put({"pk": f"alerts#{number % 4}", "sk": f"2026-11-25T{number}#id", "AlertID": str(number)})
    catalogue = Shelf(world).catalogue()
    first = catalogue.alerts(limit=3)
    second = catalogue.alerts(limit=3, cursor=first.cursor)
    assert [it["AlertID"] for it in first.alerts + second.alerts] == ["4", "3", "2", "1", "0"]
    assert second.cursor is None


searches = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([0, 80, 85.5, 90, 99]), st.integers(1, 5))
images = st.lists(
    st.dictionaries(st.sampled_from("ab"), st.sampled_from([50.0, 80.0, 85.5, 90.0, 99.0, 100.0])),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(images, searches)
def test_the_pages_of_a_search_together_hold_what_a_full_scan_finds(
    found: list[dict[str, float]], search: tuple[str, float, int]
) -> None:
    name, least, limit = search
    with mock_aws():
        shelf = Shelf(make_world())
        for number, labels in enumerate(found):
            shelf.add(number, **labels)
        catalogue = shelf.catalogue()
        read = pages(
            lambda cursor: catalogue.search(
                Kind.LABEL, name, min_confidence=least, limit=limit, cursor=cursor
            )
        )
        assert [number for page in read for number in numbers(page)] == [
            number for number, labels in reversed([*enumerate(found)]) if labels.get(name, -1) >= least
        ]
