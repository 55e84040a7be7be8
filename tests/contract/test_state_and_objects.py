"""What survives a stop and a crash of the engine, and what it keeps in memory."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import create_function, create_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Engine

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def restarted(new_engine: Callable[[], Engine]) -> Engine:
    """An engine of these tests' own, which they may stop."""
    return new_engine()


def resident_mib(engine: Engine) -> float:
    return psutil.Process(engine.process.pid).memory_info().rss / MIB


def fill(engine: Engine, name: str) -> None:
    engine.client("s3").create_bucket(Bucket=name)
    engine.client("s3").put_object(
        Bucket=name, Key="uploads/ä b.jpg", Body=b"content", ContentType="image/jpeg"
    )
    engine.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "ImageID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "ImageID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    engine.client("dynamodb").put_item(TableName=name, Item={"ImageID": {"S": "one"}})


def kept(engine: Engine, name: str) -> dict[str, Any]:
    try:
        answer = engine.client("s3").get_object(Bucket=name, Key="uploads/ä b.jpg")
        stored = (answer["Body"].read(), answer["ContentType"])
    except ClientError as error:
        stored = (error.response["Error"]["Code"].encode(), "")
    functions = engine.client("lambda").list_functions()["Functions"]
    return {
        "object": stored,
        "table": name in engine.client("dynamodb").list_tables()["TableNames"],
        "user": name in {user["UserName"] for user in engine.client("iam").list_users()["Users"]},
        "function": name in {function["FunctionName"] for function in functions},
    }


def test_a_clean_stop_saves_everything_and_a_killed_engine_keeps_users_objects_bytes_and_no_tables(
    restarted: Engine,
) -> None:
    fill(restarted, "saved")
    create_user(restarted, "saved", [])
    create_function(restarted, "saved")
    restarted.stop(signal.SIGTERM)
    restarted.start()
    everything = {"object": (b"content", "image/jpeg"), "table": True, "user": True, "function": True}
    assert kept(restarted, "saved") == everything

    fill(restarted, "lost")
    create_user(restarted, "lost", [])
    create_function(restarted, "lost")
    restarted.stop(signal.SIGKILL)
    restarted.start()
    after = kept(restarted, "lost")
    assert (after["table"], after["user"], after["function"]) == (False, False, False)
    assert after["object"][0] == b"content", "objects lie on disk as soon as they are acknowledged"
    assert kept(restarted, "saved") == everything, "what an earlier clean stop saved is still there"


def test_objects_are_files_with_their_bytes(engine: Engine) -> None:
    engine.client("s3").create_bucket(Bucket="files")
    engine.client("s3").put_object(Bucket="files", Key="a/b.jpg", Body=b"these very bytes")
    objects = engine.settings.home / "engine" / "objects"
    contents = [path.read_bytes() for path in objects.rglob("*") if path.is_file() and "files" in str(path)]
    assert b"these very bytes" in contents


def test_a_bucket_without_versions_keeps_no_bytes_in_memory_and_one_with_versions_keeps_all(
    restarted: Engine,
) -> None:
    s3 = restarted.client("s3")
    for name in ("suspended", "enabled"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket="enabled", VersioningConfiguration={"Status": "Enabled"})
    grown = {}
    for name in ("suspended", "enabled"):
        for number in range(8):  # what an upload needs once is allocated before it is measured
            s3.put_object(Bucket=name, Key=f"warm-{number}", Body=bytes([number]) * MIB)
        before = resident_mib(restarted)
        for number in range(60):
            s3.put_object(Bucket=name, Key=f"key-{number}", Body=bytes([number]) * MIB)
        grown[name] = resident_mib(restarted) - before
    assert grown["suspended"] < 30, grown
    assert grown["enabled"] > 45, grown
