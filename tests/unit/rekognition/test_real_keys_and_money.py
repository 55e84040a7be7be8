"""What reaching real AWS may not do: use the wrong keys, or spend more than it was given."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from darkroom.rekognition.control import ControlError
from darkroom.rekognition.credentials import CredentialsError, Keys, given_access
from darkroom.rekognition.prices import dollars, prices
from darkroom.rekognition.spending import Ledger, LedgerError, Limits
from pipeline import metering
from tests.support.pictures import noisy_jpeg
from tests.support.stand_in_aws import KEY, SESSION_KEY, SESSION_SECRET, SESSION_TOKEN, stand_in_aws

from .helpers import ROOT, photo, picture
from .live_world import LOCAL_KEY, World, headers, s3, serve

if TYPE_CHECKING:
    from pathlib import Path

IMAGE: Any = {"Bytes": photo("coffee.png")}
SESSION = {"access_key_id": SESSION_KEY, "secret_access_key": SESSION_SECRET, "token": SESSION_TOKEN}


@pytest.mark.parametrize(
    ("credentials", "sentence"),
    [
        ({"access_key_id": LOCAL_KEY, "secret_access_key": "x"}, "keys of the local environment"),
        ({"access_key_id": "test", "secret_access_key": "test"}, "none of AWS's"),
        ({"access_key_id": "000000000000", "secret_access_key": "test"}, "none of AWS's"),
        (
            {"access_key_id": KEY, "secret_access_key": "wrong"},
            "refuses these credentials: SignatureDoesNotMatch",
        ),
        ({"access_key_id": "AKIANOBODYKNOWSTHIS1", "secret_access_key": "x"}, "InvalidClientTokenId"),
        ({"access_key_id": KEY}, "need access_key_id and secret_access_key"),
        (
            {**SESSION, "expires": "2026-01-01T00:00:00+00:00"},
            r"expired at 00:00:00 UTC. Switch the mode again",
        ),
    ],
)
def test_keys_that_are_not_for_aws_leave_the_mode_as_it_was(
    world: World, credentials: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ControlError, match=sentence) as refused:
        world.use("proxy", credentials=credentials)
    assert "123456789012" not in str(refused.value)
    assert world.status()["mode"] == "stub"
    if "secret_access_key" in credentials and credentials["access_key_id"] in {
        LOCAL_KEY,
        "test",
        "000000000000",
    }:
        assert world.aws.seen == []


def test_keys_of_a_session_are_used_with_their_token(world: World) -> None:
    world.use("proxy", credentials=SESSION)
    assert headers(world.client().detect_labels(Image=IMAGE))["x-darkroom-source"] == "aws"


def test_a_session_that_aws_ends_is_told_and_costs_nothing(world: World) -> None:
    world.use("proxy", credentials=SESSION)
    world.aws.session_ends = time.time() - 1
    with pytest.raises(
        ClientError, match=r"RealAwsCredentialsException.*ExpiredTokenException. Sign in again"
    ):
        world.client().detect_labels(Image=IMAGE)
    assert world.status()["spent"]["calls"] == 0


def test_a_session_that_ends_while_the_mode_is_on_is_told() -> None:
    ends = datetime(2026, 11, 25, 12, tzinfo=UTC)
    times = iter((ends - timedelta(seconds=1), ends))
    access = given_access(Keys(SESSION_KEY, SESSION_SECRET, SESSION_TOKEN, ends), now=lambda: next(times))
    assert access.keys().token == SESSION_TOKEN
    with pytest.raises(CredentialsError, match=r"expired at 12:00:00 UTC\. Switch the mode again"):
        access.keys()


def test_without_permission_the_error_names_what_is_missing_and_no_account(world: World) -> None:
    world.use("proxy")
    world.aws.error = (
        400,
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/x is not authorized",
    )
    with pytest.raises(ClientError, match=r"AccessDeniedException\. The role needs rekognition") as refused:
        world.client().detect_labels(Image=IMAGE)
    assert "123456789012" not in str(refused.value)


def test_when_aws_cannot_be_reached_the_caller_may_try_again_and_nothing_is_spent(world: World) -> None:
    with pytest.raises(ControlError, match="cannot be reached"):
        world.use("proxy", endpoint="http://127.0.0.1:9")
    with stand_in_aws(world.folder / "fixtures") as another:
        world.use("proxy", endpoint=another.endpoint)
    with pytest.raises(ClientError, match=r"InternalServerError.*Real AWS .* cannot be reached"):
        world.client().detect_labels(Image=IMAGE)
    assert world.status()["spent"]["calls"] == 0


def test_the_budget_stops_before_it_would_be_passed(world: World) -> None:
    world.use("proxy", budget_dollars=0.003)
    client = world.client()
    for _ in range(3):
        client.detect_labels(Image=IMAGE)
    with pytest.raises(
        ClientError, match=r"BudgetExceededException.*budget of \$0.003.*\$0.003 are spent"
    ) as stopped:
        client.detect_labels(Image=IMAGE)
    assert "--budget" in str(stopped.value)
    assert len(world.aws.calls) == 3
    assert world.status()["spent"] == {"month": f"{datetime.now(UTC):%Y-%m}", "calls": 3, "micros": 3000}


def test_the_number_of_calls_stops_too(world: World) -> None:
    world.use("proxy", max_calls=2)
    for _ in range(2):
        world.client().detect_labels(Image=IMAGE)
    with pytest.raises(ClientError, match="--max-calls allows 2"):
        world.client().detect_labels(Image=IMAGE)
    assert len(world.aws.calls) == 2


def test_a_restart_does_not_give_the_budget_back(world: World) -> None:
    world.use("proxy", budget_dollars=0.002)
    world.client().detect_labels(Image=IMAGE)
    for again in serve(World(world.aws, world.folder, source=world.source)):
        again.use("proxy", budget_dollars=0.002)
        again.client().detect_labels(Image=IMAGE)
        with pytest.raises(ClientError, match="BudgetExceededException"):
            again.client().detect_labels(Image=IMAGE)
    assert len(world.aws.calls) == 2


def test_calls_at_once_do_not_pass_the_budget_together(world: World) -> None:
    world.use("proxy", budget_dollars=0.005)
    world.aws.delay_s = 0.05
    client = world.client()

    def ask(number: int) -> bool:
        try:
            client.detect_labels(Image={"Bytes": picture(100 + number, 100)})
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        answered = sum(pool.map(ask, range(16)))
    assert answered == len(world.aws.calls) == 5


def test_what_aws_refuses_is_not_spent(world: World) -> None:
    world.use("proxy", budget_dollars=0.001)
    for _ in range(3):
        with pytest.raises(ClientError, match="InvalidImageFormatException"):
            world.client().detect_labels(Image={"Bytes": b"no picture"})
    world.client().detect_labels(Image=IMAGE)
    assert world.status()["spent"]["calls"] == 1


def test_a_picture_over_five_megabytes_is_an_error_or_on_request_a_smaller_copy(world: World) -> None:
    large = noisy_jpeg(1, size_bytes=9_000_000)
    assert len(large) > 5 * 1024 * 1024
    world.source.objects["large.jpg"] = large
    world.use("record-missing")
    with pytest.raises(
        ClientError, match=r"ImageTooLargeException.*s3://photos-bucket/large.jpg.*--downscale"
    ):
        world.client().detect_labels(Image=s3("large.jpg"))
    assert world.files() == []
    world.use("record-missing", downscale=True)
    answer = world.client().detect_labels(Image=s3("large.jpg"))
    assert headers(answer)["x-darkroom-source"] == "aws"
    (file,) = world.files()
    document = json.loads(file.read_text())
    assert document["downscaled"] is True
    assert document["image"]["sha256"] == headers(answer)["x-darkroom-image"]
    world.use("replay", credentials=None)
    assert world.client().detect_labels(Image=s3("large.jpg"))["Labels"] == answer["Labels"]


SPEND = """
import sys
from pathlib import Path
from darkroom.rekognition.spending import BudgetReachedError, Ledger, Limits
ledger, made = Ledger(Path(sys.argv[1])), 0
try:
    while made < 50:
        ledger.settle(ledger.reserve("DetectLabels", 1000, Limits(budget_micros=60_000)), is_billed=True)
        made += 1
except BudgetReachedError:
    pass
print(made)
"""


def test_parallel_processes_share_one_budget(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SPEND, str(tmp_path / "ledger")]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    made = [int(process.communicate(timeout=50)[0]) for process in processes]
    assert sum(made) == 60
    assert Ledger(tmp_path / "ledger").spent().micros == 60_000


def test_a_call_that_nobody_settled_counts_as_spent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "ledger")
    assert ledger.spent().calls == 0
    ledger.reserve("DetectLabels", 1000, Limits())
    released = ledger.reserve("DetectText", 1000, Limits())
    ledger.settle(released, is_billed=False)
    ledger.settle(released, is_billed=True)
    assert ledger.spent().operations == {"DetectLabels": (1, 1000)}


def test_a_new_month_has_a_new_budget(tmp_path: Path) -> None:
    days = iter((datetime(2026, 11, 30, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)))
    ledger = Ledger(tmp_path / "ledger", now=lambda: next(days))
    ledger.reserve("DetectLabels", 1000, Limits(budget_micros=1000))
    ledger.reserve("DetectLabels", 1000, Limits(budget_micros=1000))


def test_a_ledger_that_cannot_be_written_lets_nothing_be_asked(world: World) -> None:
    (world.folder / "ledger.sqlite3").write_bytes(
        b"this is no database, and it is long enough to be read as one"
    )
    world.use("proxy")
    with pytest.raises(ClientError, match=r"BudgetExceededException.*ledger.sqlite3 cannot be"):
        world.client().detect_labels(Image=IMAGE)
    assert world.aws.calls == []
    with pytest.raises(LedgerError):
        Ledger(world.folder / "ledger.sqlite3").spent()


def test_prices_are_per_operation_and_feature_and_err_upwards_in_other_regions() -> None:
    table = prices()
    assert table.micros("DetectLabels", {}, region="us-east-1") == 1000
    both = {"Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]}
    assert table.micros("DetectLabels", both, region="us-east-1") == 1750
    assert table.micros("DetectLabels", {"Features": ["IMAGE_PROPERTIES"]}, region="us-east-1") == 750
    assert table.micros("CompareFaces", {}, region="eu-west-1") == 1500
    assert table.micros("GetCelebrityInfo", {}, region="us-east-1") == 0
    assert table.read >= "2026-08-08"
    assert table.source.startswith("https://aws.amazon.com/")


def test_what_the_functions_report_as_cost_is_of_the_same_table() -> None:
    """AWS runs `lambda/` without this project, so it has the two prices that it needs by itself."""
    assert round(metering.USD_PER_IMAGE * 1e6) == prices().micros("DetectLabels", {}, region="us-east-1")
    only = {"Features": ["IMAGE_PROPERTIES"]}
    properties = prices().micros("DetectLabels", only, region="us-east-1")
    assert round(metering.USD_PER_IMAGE_PROPERTIES * 1e6) == properties


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "$0.00"), (750, "$0.00075"), (500_000, "$0.50"), (1_000_000, "$1.00"), (12, "$0.000012")],
)
def test_dollars_for_people(micros: int, text: str) -> None:
    assert dollars(micros) == text
