"""Somebody's own Lambda, unchanged, in the tagger's place: in the manner of the systems that Darkroom follows.

The handlers of docs/examples/own-lambda know nothing of Darkroom: boto3 clients without an endpoint, tables and
buckets of their own names.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.operations.environment import Environment
from darkroom.settings import PROJECT_ROOT
from tests.integration.conftest import quiet, settings_for
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

CAT = (PROJECT_ROOT / "fixtures" / "images" / "cat-chelsea.png").read_bytes()
ASTRONAUT = (PROJECT_ROOT / "fixtures" / "images" / "astronaut-eileen-collins.png").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, copied, as a user has them outside the project."""
    target = tmp_path_factory.mktemp("theirs") / "own-lambda"
    shutil.copytree(PROJECT_ROOT / "docs" / "examples" / "own-lambda", target)
    return target


@pytest.fixture(scope="module")
def environment(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(settings_for(tmp_path_factory.mktemp("own")))
    try:
        yield environment
    finally:
        environment.down()


def items(environment: Environment, *, count: int) -> list[dict[str, Any]]:
    """The items of the handler's table, once there are so many."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = environment.images().items()
        if len(found) >= count:
            return found
        time.sleep(0.1)
    pytest.fail(f"only these items came: {found}")


def test_a_labels_generator_keeps_an_item_under_a_random_id_per_event(
    environment: Environment, folder: Path
) -> None:
    up = environment.up(overrides=(), report=quiet, preset=str(folder / "generator.toml"))
    assert up.table == "media-labels"
    (environment.settings.inbox / "my cat+1.png").write_bytes(CAT)
    (item,) = items(environment, count=1)
    assert uuid.UUID(item["id"]).version == 4
    assert (item["bucket"], item["key"]) == (up.bucket, "uploads/my cat+1.png")
    assert item["labels"] == ["Animal", "Mammal", "Pet", "Cat"], "at most ten, from 70 % on"
    assert item["timestamp"] > "2020"


def test_it_may_do_what_its_policy_says_and_nothing_else(environment: Environment) -> None:
    session = environment.session()
    configured = session.client("lambda").get_function_configuration(
        FunctionName=environment.target().outputs.function
    )
    role = configured["Role"].rsplit("/", 1)[-1]
    iam = session.client("iam")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    allowed = {each["Action"] for each in document["Statement"] if isinstance(each["Action"], str)}
    assert allowed == {"s3:GetObject", "rekognition:DetectLabels", "dynamodb:PutItem", "sqs:SendMessage"}


def test_an_image_intelligence_lists_its_hard_coded_bucket_and_one_bad_image_stops_no_other(
    environment: Environment, folder: Path
) -> None:
    up = environment.up(overrides=(), report=quiet, preset=str(folder / "intelligence.toml"))
    assert (up.bucket, up.table) == ("image-intelligence-photos", "image-intelligence")
    inbox = environment.settings.inbox
    (inbox / "broken.jpg").write_bytes(b"no picture")
    (inbox / "astronaut.png").write_bytes(ASTRONAUT)
    (inbox / "plain.jpg").write_bytes(pictures.jpeg(1))
    found = {item["image_id"]: item for item in items(environment, count=3)}
    assert set(found) == {"uploads-astronaut-png", "uploads-my-cat-1-png", "uploads-plain-jpg"}
    astronaut = found["uploads-astronaut-png"]
    assert float(json.loads(astronaut["labels"])["Astronaut"]) == pytest.approx(97.8)
    (face,) = json.loads(astronaut["faces"])
    assert face["gender"] == "Female"
    assert json.loads(astronaut["celebrities"])[0]["name"] == "Eileen Collins"


def test_saved_code_of_it_answers_at_once(environment: Environment, folder: Path) -> None:
    file = folder / "intelligence" / "index.py"
    file.write_text(file.read_text().replace('return {"done": done', 'return {"saved": True, "done": done'))
    client = environment.session().client("lambda")
    answer: dict[str, Any] = {}
    deadline = time.monotonic() + 20
    while "saved" not in answer and time.monotonic() < deadline:
        sent = client.invoke(FunctionName="darkroom-tagger", Payload=b"{}")
        answer = json.loads(sent["Payload"].read())
    assert answer["saved"] is True
    assert answer["failed"] == ["uploads/broken.jpg"]


def test_the_way_back_to_darkrooms_tagger_finds_its_bucket_and_tables_again(environment: Environment) -> None:
    up = environment.up(overrides=(), report=quiet)
    assert (up.bucket, up.table) == ("darkroom-000000000000", "ImageLabels")
    (environment.settings.inbox / "after.jpg").write_bytes(pictures.jpeg(2))
    environment.wait_for_name("after.jpg", timeout_s=20)
    record = environment.images().get("uploads/after.jpg")
    assert record is not None
    assert record["Status"] == "TAGGED"
