"""Lists and searches of the pictures that were dropped, read from the running engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.settings import PROJECT_ROOT
from pipeline.catalogue import Catalogue, Entry, Kind
from tests.support import pictures

if TYPE_CHECKING:
    from tests.integration.conftest import Running

PHOTOGRAPHS = PROJECT_ROOT / "fixtures" / "images"
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def catalogue(running: Running) -> Catalogue:
    return Catalogue(
        running.environment.session().client("dynamodb"),
        images_table="ImageLabels",
        index_table="LabelIndex",
        statistics_table="Statistics",
        shards=4,
    )


def all_entries(catalogue: Catalogue, name: str, *, least: float = 0.0, limit: int = 3) -> list[Entry]:
    """The entries of a label, all pages."""
    page = catalogue.search(Kind.LABEL, name, min_confidence=least, limit=limit)
    entries = [*page.entries]
    while page.cursor:
        page = catalogue.search(Kind.LABEL, name, min_confidence=least, limit=limit, cursor=page.cursor)
        entries += page.entries
    return entries


def test_a_photograph_is_found_by_its_labels_with_the_confidence_of_its_record(
    running: Running, catalogue: Catalogue
) -> None:
    key = running.drop("catalogue/coffee.png", (PHOTOGRAPHS / "coffee.png").read_bytes())
    record = running.record(key)
    assert record["Labels"]
    for label in record["Labels"]:
        (entry,) = [it for it in all_entries(catalogue, label["Name"].upper()) if it.image_id == key]
        assert (entry.name, entry.confidence) == (label["Name"], label["Confidence"])
        assert entry.uploaded_at == record["UploadedAt"]
    assert catalogue.records([key]) == [record]


def test_each_picture_of_many_is_on_one_page_of_a_search_newest_first(
    running: Running, catalogue: Catalogue
) -> None:
    keys = [
        running.drop(f"catalogue/many-{number}.jpg", pictures.jpeg(9000 + number)) for number in range(12)
    ]
    records = {key: running.record(key) for key in keys}
    every = {name for record in records.values() for name in record["LabelNames"]}
    for name in sorted(every)[:5]:
        entries = all_entries(catalogue, name)
        uploaded = [entry.uploaded_at for entry in entries]
        assert uploaded == sorted(uploaded, reverse=True)
        found = [entry.image_id for entry in entries]
        assert len(found) == len(set(found))
        assert {key for key in keys if name in records[key]["LabelNames"]} == set(found) & set(keys)


def test_a_picture_that_is_overwritten_leaves_the_labels_that_it_has_no_more(
    running: Running, catalogue: Catalogue
) -> None:
    key = running.drop("catalogue/changes.png", (PHOTOGRAPHS / "coffee.png").read_bytes())
    before = running.record(key)
    running.drop("catalogue/changes.png", (PHOTOGRAPHS / "rocket-launch.jpg").read_bytes())
    after = running.record(key, until=lambda record: record["ETag"] != before["ETag"])
    gone = set(before["LabelNames"]) - set(after["LabelNames"])
    assert gone
    for name in gone:
        assert key not in {entry.image_id for entry in all_entries(catalogue, name)}
    for name in after["LabelNames"]:
        assert key in {entry.image_id for entry in all_entries(catalogue, name)}


def test_the_newest_picture_is_the_first_of_the_list(running: Running, catalogue: Catalogue) -> None:
    key = running.drop("catalogue/newest.jpg", pictures.jpeg(9100))
    record = running.record(key)
    page = catalogue.newest(limit=50)
    (entry,) = [it for it in page.entries if it.image_id == key]
    assert entry.uploaded_at == record["UploadedAt"]
    uploaded = [it.uploaded_at for it in page.entries]
    assert uploaded == sorted(uploaded, reverse=True)
    assert page.read_units > 0
