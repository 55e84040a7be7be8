"""Counters follow the records, whatever the stream tells and how often."""

from __future__ import annotations

import importlib
import random
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pipeline import counting, transactions
from pipeline.catalogue import Kind
from pipeline.counters import Suggestion
from pipeline.counting import ContendedError, Counting
from tests.unit.pipeline.test_pipeline_catalogue import Shelf
from tests.unit.pipeline.world import INDEX, STATISTICS, TABLE, CancelledTransactions, World, counted_anew

if TYPE_CHECKING:
    from pipeline.counting import Tally
    from pipeline.records import Record


@pytest.fixture
def shelf(world: World) -> Shelf:
    return Shelf(world)


def ids(*records: Record) -> list[str]:
    return [record["ImageID"] for record in records]


def test_images_are_counted_by_all_that_charts_show(shelf: Shelf) -> None:
    cat = [{"Name": "Cat", "Confidence": 98.5, "Categories": ["Animals and Pets"]}]
    records = [
        shelf.add_record(1, Labels=cat, Celebrities=[{"Name": "Ada", "Confidence": 99.0}]),
        shelf.add_record(2, Labels=cat, Moderation=[{"Name": "Violence", "Confidence": 60.0}]),
        shelf.add_record(3, Status="FAILED"),
        shelf.add_record(90_000, Labels=[{"Name": "Cat", "Confidence": 100.0, "Categories": []}]),
    ]
    assert shelf.world.counting().count(ids(*records)) == 4
    counts = shelf.catalogue().counts()
    assert counts.images == 4
    assert counts.labels == {"Cat": 3}
    assert counts.categories == {"Animals and Pets": 2}
    assert counts.celebrities == {"Ada": 1}
    assert counts.moderation == {"Violence": 1}
    assert counts.statuses == {"TAGGED": 3, "FAILED": 1}
    assert counts.bands == {"90": 3}
    assert sum(counts.days.values()) == 4


def test_a_batch_that_comes_twice_changes_nothing(shelf: Shelf) -> None:
    records = [shelf.add(number, Cat=90, Dog=80 + number) for number in range(5)]
    assert shelf.world.counting().count(ids(*records)) == 5
    before = shelf.world.statistics()
    assert shelf.world.counting(slot=3).count([*ids(*records), *ids(*records)]) == 0
    assert shelf.world.statistics() == before


def test_an_image_that_changed_is_counted_as_what_it_is_now(shelf: Shelf) -> None:
    record = shelf.add(1, Cat=90, Dog=90)
    shelf.world.counting().count(ids(record))
    shelf.add(1, Dog=91, Bird=92)
    shelf.world.counting(slot=2).count(ids(record))
    assert shelf.catalogue().counts().labels == {"Bird": 1, "Dog": 1}


def test_an_image_that_is_gone_is_counted_no_more(shelf: Shelf) -> None:
    record = shelf.add(1, Cat=90)
    shelf.world.counting().count(ids(record))
    shelf.world.dynamodb.delete_item(TableName=TABLE, Key={"ImageID": {"S": record["ImageID"]}})
    shelf.world.counting().count(ids(record))
    assert shelf.catalogue().counts().images == 0
    assert not [key for key in shelf.world.statistics() if key.startswith("image#")]


def test_a_claim_is_no_image_yet(world: World) -> None:
    world.dynamodb.put_item(TableName=TABLE, Item={"ImageID": {"S": "x"}, "Claim": {"M": {}}})
    assert world.counting().count(["x", "missing"]) == 0
    assert world.statistics() == {}


def test_nothing_is_counted_twice_when_a_transaction_is_cancelled_for_a_moment(shelf: Shelf) -> None:
    record = shelf.add(1, Cat=90)
    with CancelledTransactions(shelf.world.dynamodb, "TransactionConflict", times=3):
        assert shelf.world.counting().count(ids(record)) == 1
    assert shelf.catalogue().counts().labels == {"Cat": 1}


def test_a_batch_that_was_cut_off_is_finished_by_the_next_attempt(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [shelf.add(number, **{f"L{number}-{n}": 90 for n in range(40)}) for number in range(6)]
    real = transactions.write
    written: list[int] = []

    def cut(client: Any, actions: Any) -> None:
        if len(written) == 2:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems")
        real(client, actions)
        written.append(len(actions))

    monkeypatch.setattr(transactions, "write", cut)
    with pytest.raises(ClientError):
        shelf.world.counting().count(ids(*records))
    assert written
    monkeypatch.setattr(transactions, "write", real)
    shelf.world.counting().count(ids(*records))
    assert shelf.world.counters() == counted_anew(shelf.world)


def test_who_finds_an_image_counted_meanwhile_looks_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = shelf.add(1, Cat=90)
    mine, other = shelf.world.counting(), shelf.world.counting(slot=1)
    real = Counting._counted

    def meanwhile(self: Counting, image_ids: Any) -> Any:
        found = real(self, image_ids)
        if self is mine:
            other.count(image_ids)
        return found

    monkeypatch.setattr(Counting, "_counted", meanwhile)
    assert mine.count(ids(record)) == 0
    assert shelf.catalogue().counts().labels == {"Cat": 1}


def test_who_never_gets_a_turn_gives_up_with_an_error(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    record = shelf.add(1, Cat=90)

    def refused(*_: Any) -> None:
        raise transactions.ConditionRefusedError([0])

    monkeypatch.setattr(transactions, "write", refused)
    with pytest.raises(ContendedError, match=r"uploads/1\.jpg"):
        shelf.world.counting().count(ids(record))


def random_tally(randomly: random.Random, size: int) -> Tally:
    return Counter(randomly.choices([f"label:{n}" for n in range(400)], k=size))


@pytest.mark.parametrize("seed", range(5))
def test_every_transaction_fits_and_each_leaves_tallies_true_to_the_counters(seed: int) -> None:
    randomly = random.Random(seed)
    images = {
        str(number): (
            counting.Counted(random_tally(randomly, randomly.choice([0, 5, 150]))),
            random_tally(randomly, randomly.choice([0, 5, 200])),
        )
        for number in range(20)
    }
    tallies = {key: before.tally for key, (before, _) in images.items()}
    total: Tally = Counter()
    for tally in tallies.values():
        total = counting.sum_of(total, tally)
    for batch in counting.batches(images):
        assert len(batch.images) + len(batch.deltas) <= transactions.MAX_ACTIONS
        for key, (before, after) in batch.images.items():
            assert tallies[key] == before.tally
            tallies[key] = after
        total = counting.sum_of(total, batch.deltas)
        expected: Tally = Counter()
        for tally in tallies.values():
            expected = counting.sum_of(expected, tally)
        assert total == expected
    assert tallies == {key: wanted for key, (_, wanted) in images.items()}


def test_names_are_suggested_by_their_beginning_the_most_frequent_first(shelf: Shelf) -> None:
    records = [shelf.add(number, Cat=90, **({"Castle": 90} if number else {})) for number in range(3)]
    records.append(shelf.add_record(9, Celebrities=[{"Name": "Cat Stevens", "Confidence": 99.0}]))
    shelf.world.counting().count(ids(*records[:2]))
    shelf.world.counting(slot=1).count(ids(*records[2:]))
    suggest = shelf.catalogue().suggestions
    assert suggest("ca", limit=10) == [
        Suggestion(Kind.LABEL, "Cat", 3),
        Suggestion(Kind.LABEL, "Castle", 2),
        Suggestion(Kind.CELEBRITY, "Cat Stevens", 1),
    ]
    assert [it.name for it in suggest("CAT", limit=1)] == ["Cat"]
    assert suggest("dog", limit=10) == []
    assert len(suggest("", limit=10)) == 3


def test_the_handler_counts_whom_the_stream_names(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TABLE_NAME": TABLE,
        "STATISTICS_TABLE_NAME": STATISTICS,
        "INDEX_SHARDS": str(INDEX.shards),
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/25/[1]abc",
        "POWERTOOLS_SERVICE_NAME": "statistics",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "pipeline.statistics", raising=False)
    module = importlib.import_module("pipeline.statistics")
    for output in module.logger.handlers:
        output.stream = sys.stdout
    from tests.unit.pipeline.test_pipeline_handler import Context

    record = Shelf(world).add(1, Cat=90)
    change = {"eventName": "MODIFY", "dynamodb": {"Keys": {"ImageID": {"S": record["ImageID"]}}}}
    assert module.handler({"Records": [change, change]}, Context()) == {"images": 1, "changed": 1}
    assert world.counters()["label#cat"] == 1
