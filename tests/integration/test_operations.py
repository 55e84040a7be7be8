"""What a person does with a running stack when something failed."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from darkroom.operations.dead_letters import DeadLetters
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    letters = DeadLetters(running.environment.target())
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
