"""What a person does with a running stack: what failed, what was missed, and how it does."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.operations.dead_letters import DeadLetters
from darkroom.operations.figures import collect
from darkroom.operations.rescan import Place, Rescan
from tests.integration.test_least_privilege import Role
from tests.support import pictures
from tests.support.permissions import RESCAN, Proof

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from darkroom.operations.dead_letters import DeadLetter
    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration


@contextmanager
def json_files_refused(running: Running) -> Iterator[None]:
    """Every analysis fails at once at its JSON file, as if somebody had broken the role's policy."""
    session = running.environment.session()
    function = session.client("lambda").get_function_configuration(
        FunctionName=running.environment.target().outputs.function
    )
    role = function["Role"].rsplit("/", 1)[-1]
    iam = session.client("iam")
    denied = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    iam.put_role_policy(RoleName=role, PolicyName="broken", PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="broken")


def wait_for_letters(letters: DeadLetters, *, count: int) -> dict[str, DeadLetter]:
    deadline = time.monotonic() + 30
    found: dict[str, DeadLetter] = {}
    while time.monotonic() < deadline:
        found = {letter.keys[0]: letter for letter in letters.look(limit=100).letters}
        if len(found) >= count:
            return found
        time.sleep(0.2)
    pytest.fail(f"only these came into the dead-letter queue: {found}")


def test_what_lambda_gave_up_is_listed_with_its_reason_and_a_redrive_tags_it(running: Running) -> None:
    target = running.environment.target()
    letters = DeadLetters(target)
    # what tests before this one let fail on purpose
    running.environment.session().client("sqs").purge_queue(QueueUrl=target.outputs.dead_letter_queue_url)
    with json_files_refused(running):
        keys = [running.drop(f"given up/{n}+.jpg", pictures.jpeg(900 + n)) for n in range(3)]
        found = wait_for_letters(letters, count=3)
    assert sorted(found) == sorted(keys)
    for letter in found.values():
        assert "AccessDenied" in letter.error
        assert "PutObject" in letter.error
        assert letter.attempts == 3
        assert letter.condition == "RetriesExhausted"
    assert all(running.images.get(key) is None for key in keys)

    one = letters.redrive([(keys[0],)], rate=50)
    assert [letter.keys for letter in one.sent] == [(keys[0],)]
    assert running.record(keys[0])["Status"] == "TAGGED"
    assert set(wait_for_letters(letters, count=2)) == set(keys[1:])

    rest = letters.redrive(rate=50)
    assert len(rest.sent) == 2
    assert not rest.kept
    for key in keys[1:]:
        assert running.record(key)["Status"] == "TAGGED"
    assert letters.look(limit=10).letters == ()


def scheduled_run(running: Running) -> dict[str, Any]:
    """What the rescan function answers to the schedule's event."""
    answer = (
        running.environment.session()
        .client("lambda")
        .invoke(FunctionName="darkroom-rescan", Payload=json.dumps({"schedule": True}))
    )
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    return result


def forget(running: Running, *keys: str) -> None:
    """Take records away, as if their events had been lost."""
    table = running.environment.target().outputs.table
    for key in keys:
        running.environment.session().client("dynamodb").delete_item(
            TableName=table, Key={"ImageID": {"S": key}}
        )
        assert running.images.get(key) is None


def wait_until_quiet(running: Running) -> None:
    """Until no event waits or runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        queue = running.environment.engine.runtime_status().get("queue", {})
        if not queue.get("waiting") and not queue.get("running"):
            return
        time.sleep(0.1)
    pytest.fail("events are still on their way")


def test_a_rescan_tags_what_has_no_record_and_nothing_else(running: Running, tmp_path: Path) -> None:
    keys = [running.drop(f"rescan/{n}.jpg", pictures.jpeg(930 + n)) for n in range(3)]
    before = {key: running.record(key)["TaggedAt"] for key in keys}
    forget(running, keys[1])
    rescan = Rescan(running.environment.target(), tmp_path / "rescan.json")
    others = Rescan(running.environment.target(), tmp_path / "others.json")
    others.run(Place(stale=True), rate=100, progress=lambda _: None)
    wait_until_quiet(running)
    # what tests before this one left behind for good
    left = others.run(Place(stale=True), rate=100, progress=lambda _: None).sent
    wait_until_quiet(running)
    done = rescan.run(rescan.place(stale=False), rate=100, progress=lambda _: None)
    assert done.looked_at >= 3
    assert running.record(keys[1])["TaggedAt"] > before[keys[1]]
    assert [running.record(key)["TaggedAt"] for key in (keys[0], keys[2])] == [
        before[keys[0]],
        before[keys[2]],
    ]
    wait_until_quiet(running)
    assert rescan.run(Place(stale=True), rate=100, progress=lambda _: None).sent == left


def test_a_scheduled_run_goes_through_the_whole_bucket_by_itself(running: Running) -> None:
    key = running.drop("rescan/scheduled.jpg", pictures.jpeg(940))
    running.record(key)
    forget(running, key)
    answer = scheduled_run(running)
    assert (answer["sent"], answer["cursor"]) == (1, None)
    assert running.record(key)["Status"] == "TAGGED"


def role_of(running: Running, function: str) -> Role:
    session = running.environment.session()
    iam = session.client("iam")
    configured = session.client("lambda").get_function_configuration(FunctionName=function)
    name = configured["Role"].rsplit("/", 1)[-1]
    (policy_name,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy_name)["PolicyDocument"]
    return Role(iam, name, policy_name, document)


@pytest.mark.parametrize("action", [each.action for each in RESCAN if each.proof is Proof.RESCANNING])
def test_without_it_no_rescan(running: Running, action: str) -> None:
    key = running.drop("rescan/least.jpg", pictures.jpeg(941))
    running.record(key)
    forget(running, key)
    with role_of(running, "darkroom-rescan").without(action):
        failed = scheduled_run(running)
    assert "AccessDenied" in failed["errorMessage"], failed
    assert action.partition(":")[2].removesuffix("Function") in failed["errorMessage"], failed
    assert "errorType" not in scheduled_run(running)
    running.record(key)


def test_the_rescans_role_writes_nothing_of_the_index_but_its_own_place(running: Running) -> None:
    """The condition on the partition key, which the policy's text promises."""
    statements = role_of(running, "darkroom-rescan").document["Statement"]
    (place,) = [each for each in statements if each["Sid"] == "KeepItsPlace"]
    assert place["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["rescan"]}}


def test_the_figures_come_from_the_log_of_the_running_function(running: Running) -> None:
    running.record(running.drop("figures.jpg", pictures.jpeg(950)))
    deadline = time.monotonic() + 20
    figures = collect(running.environment.target(), "tagger", period_s=3600)
    while not figures.metrics.get("Tagged") and time.monotonic() < deadline:
        time.sleep(0.3)
        figures = collect(running.environment.target(), "tagger", period_s=3600)
    assert figures.metrics["Tagged"] >= 1
    assert figures.metrics["RekognitionPriceUsd"] >= 0.001
    assert figures.invocations >= 1
    assert figures.size_mb == 1024
    assert 0 < figures.values["memory_mb"][0] < 1024
    assert figures.success_percent is not None
