"""Objects that are removed from the bucket of a running engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_catalogue import all_entries, catalogue
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.catalogue import Catalogue
    from tests.integration.conftest import Running

__all__ = ["catalogue"]
pytestmark = pytest.mark.integration


def until(holds: Callable[[], bool], *, timeout_s: float = 20) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def has_document(running: Running, key: str) -> bool:
    try:
        running.document(key)
    except running.s3.exceptions.NoSuchKey:
        return False
    return True


def test_a_removed_picture_takes_its_record_json_and_postings_with_it(
    running: Running, catalogue: Catalogue
) -> None:
    key = running.drop("deletes/gone.jpg", pictures.jpeg(9500))
    record = running.record(key)
    running.s3.delete_object(Bucket=running.bucket, Key=key)
    assert until(lambda: running.images.get(key) is None and not has_document(running, key))
    assert record["LabelNames"]
    for name in record["LabelNames"]:
        assert key not in {entry.image_id for entry in all_entries(catalogue, name)}
    assert key not in {entry.image_id for entry in catalogue.newest(limit=200).entries}
    client = running.environment.session().client("dynamodb")
    item = client.get_item(TableName="ImageLabels", Key={"ImageID": {"S": key}})["Item"]
    assert item["Status"] == {"S": "DELETED"}
    assert int(item["ExpiresAt"]["N"]) > time.time()


def test_a_picture_that_is_put_back_after_its_removal_is_tagged_again(running: Running) -> None:
    content = pictures.jpeg(9501)
    key = running.drop("deletes/back.jpg", content)
    first = running.record(key)
    running.s3.delete_object(Bucket=running.bucket, Key=key)
    assert until(lambda: running.images.get(key) is None)
    running.s3.put_object(Bucket=running.bucket, Key=key, Body=content)
    second = running.record(key)
    assert second["LabelNames"] == first["LabelNames"]
    assert second["TaggedAt"] > first["TaggedAt"]
    assert running.document(key)["TaggedAt"] == second["TaggedAt"]


def test_many_pictures_removed_at_once_are_all_gone(running: Running) -> None:
    keys = [running.drop(f"deletes/many-{number}.jpg", pictures.jpeg(9510 + number)) for number in range(10)]
    for key in keys:
        running.record(key)
    running.s3.delete_objects(Bucket=running.bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    for key in keys:
        assert until(lambda key=key: running.images.get(key) is None and not has_document(running, key))  # type: ignore[misc]
