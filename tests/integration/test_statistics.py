"""Counts on a running engine: they follow the pictures, and each permission of the role that counts is needed."""

from __future__ import annotations

import copy
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_catalogue import catalogue
from tests.integration.test_deletes import until
from tests.support import pictures
from tests.support.permissions import COUNTER, Proof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.catalogue import Catalogue
    from tests.integration.conftest import Running

__all__ = ["catalogue"]
pytestmark = pytest.mark.integration


def counted(running: Running, catalogue: Catalogue) -> bool:
    """Whether the counts are those of the records that there are."""
    records = list(running.images.all())
    counts = catalogue.counts()
    labels: dict[str, int] = {}
    for record in records:
        for name in record.get("LabelNames", ()):
            labels[name] = labels.get(name, 0) + 1
    return counts.images == len(records) and dict(counts.labels) == labels


def test_the_counts_follow_pictures_that_come_change_and_go(running: Running, catalogue: Catalogue) -> None:
    keys = [running.drop(f"statistics/{n}.jpg", pictures.jpeg(9700 + n)) for n in range(8)]
    records = [running.record(key) for key in keys]
    assert until(lambda: counted(running, catalogue))
    before = catalogue.counts()
    assert before.statuses["TAGGED"] >= len(keys)
    assert sum(before.days.values()) == before.images

    running.drop("statistics/0.jpg", pictures.jpeg(9800))
    running.record(keys[0], until=lambda record: record["ETag"] != records[0]["ETag"])
    running.s3.delete_object(Bucket=running.bucket, Key=keys[1])
    assert until(lambda: running.images.get(keys[1]) is None)
    assert until(lambda: counted(running, catalogue))
    assert catalogue.counts().images == before.images - 1


def test_a_frequent_label_is_suggested_with_its_count(running: Running, catalogue: Catalogue) -> None:
    record = running.record(running.drop("statistics/suggest.jpg", pictures.jpeg(9710)))
    assert until(lambda: counted(running, catalogue))
    name = record["LabelNames"][0]
    found = {it.name: it.count for it in catalogue.suggestions(name[:3], limit=50)}
    assert found[name] == catalogue.counts().labels[name]


def test_a_change_that_is_told_again_is_not_counted_again(running: Running, catalogue: Catalogue) -> None:
    key = running.drop("statistics/again.jpg", pictures.jpeg(9711))
    running.record(key)
    assert until(lambda: counted(running, catalogue))
    before = catalogue.counts()
    assert tell(running, key) == {"images": 1, "changed": 0}
    assert catalogue.counts() == before


def tell(running: Running, key: str) -> dict[str, Any]:
    """Invoke the function with a change of this image, as the stream words it."""
    change = {
        "eventSource": "aws:dynamodb",
        "eventName": "MODIFY",
        "dynamodb": {"Keys": {"ImageID": {"S": key}}},
    }
    name = f"{running.environment.settings.stack}-statistics"
    client = running.environment.session().client("lambda")
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"Records": [change]}).encode())
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    return result


@contextmanager
def role_without(running: Running, action: str) -> Iterator[None]:
    """The role of the function without one action; the stream waits meanwhile."""
    session = running.environment.session()
    iam: Any = session.client("iam")
    config = session.client("lambda").get_function_configuration(
        FunctionName=f"{running.environment.settings.stack}-statistics"
    )
    role = config["Role"].rpartition("/")[2]
    whole = iam.get_role_policy(RoleName=role, PolicyName="statistics")["PolicyDocument"]
    narrowed = copy.deepcopy(whole)
    for statement in narrowed["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [each for each in actions if each != action]
    narrowed["Statement"] = [each for each in narrowed["Statement"] if each["Action"]]
    assert narrowed != whole
    put = {"RoleName": role, "PolicyName": "statistics"}
    iam.put_role_policy(**put, PolicyDocument=json.dumps(narrowed))
    try:
        yield
    finally:
        iam.put_role_policy(**put, PolicyDocument=json.dumps(whole))


@pytest.mark.parametrize("action", [each.action for each in COUNTER if each.proof is Proof.COUNTING])
def test_without_it_nothing_is_counted_and_nothing_is_lost(
    running: Running, catalogue: Catalogue, action: str
) -> None:
    deletes = action == "dynamodb:DeleteItem"
    key = f"uploads/statistics/without-{action.partition(':')[2]}-{time.monotonic_ns()}.jpg"
    if deletes:
        running.s3.put_object(Bucket=running.bucket, Key=key, Body=pictures.jpeg(9720))
        running.record(key)
        assert until(lambda: counted(running, catalogue))
    with role_without(running, action):
        if deletes:
            running.s3.delete_object(Bucket=running.bucket, Key=key)
            assert until(lambda: running.images.get(key) is None)
        else:
            running.s3.put_object(Bucket=running.bucket, Key=key, Body=pictures.jpeg(9721))
            running.record(key)
        refused = tell(running, key)
        assert "AccessDenied" in refused.get("errorMessage", ""), refused
        assert action in refused["errorMessage"], refused
        assert not counted(running, catalogue)
    assert until(lambda: counted(running, catalogue)), "the stream tells it again until it is counted"
