"""Drift, the end of a stack, its data's return, and a deployer who may do no more than the policy file says."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.errors import DeployError, NotFoundError, UsageError
from darkroom.operations.promotion.deployer import deployer_policy
from darkroom.operations.promotion.destroy import destroy, ending
from darkroom.stack.drift import detect_drift
from darkroom.stack.environments import StandIn
from darkroom.stack.plan import ResourceAction
from tests.promotion.conftest import ACCOUNT, SKIP, STACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.operations.promotion.promote import Promotion
    from tests.promotion.conftest import Stage

BUCKET = f"{STACK}-{ACCOUNT}"


@pytest.fixture(scope="module", autouse=True)
def deployed(stage: Stage) -> None:
    stage.deploy()


def test_credentials_of_another_account_change_nothing(stage: Stage) -> None:
    found = stage.promotion(account="333333333333").preflight()
    with pytest.raises(
        UsageError, match=f"account {ACCOUNT}, but environments/prod.toml is for 333333333333"
    ):
        found.insist()
    assert [check.name for check in found.checks] == ["account"]


def test_a_region_without_rekognition_is_refused_with_those_that_offer_it(stage: Stage) -> None:
    promotion = stage.promotion()
    assert promotion.environment.aws is not None
    promotion.environment = dataclasses.replace(
        promotion.environment, aws=dataclasses.replace(promotion.environment.aws, region="eu-north-1")
    )
    checks = promotion.preflight().checks
    region = next(check for check in checks if check.name == "region")
    assert not region.ok
    assert "us-east-1" in region.hint


def test_nothing_drifted_right_after_a_deployment(stage: Stage) -> None:
    drift = detect_drift(stage.promotion().session(), STACK)
    assert drift.drifted == ()
    assert drift.checked > 0


def test_a_change_past_cloudformation_is_told_with_both_values(stage: Stage) -> None:
    functions = stage.client("lambda")
    size = functions.get_function_configuration(FunctionName=f"{STACK}-tagger")["MemorySize"]
    functions.update_function_configuration(FunctionName=f"{STACK}-tagger", MemorySize=size + 64)
    try:
        (drifted,) = detect_drift(stage.promotion().session(), STACK).drifted
    finally:
        functions.update_function_configuration(FunctionName=f"{STACK}-tagger", MemorySize=size)
    assert (drifted.logical_id, drifted.deleted) == ("Tagger", False)
    assert [str(it) for it in drifted.properties] == [f"MemorySize: {size} → {size + 64}"]


def test_destroy_keeps_what_holds_data_and_a_new_deployment_adopts_it(stage: Stage) -> None:
    s3: Any = stage.client("s3")
    s3.put_object(Bucket=BUCKET, Key="uploads/kept.jpg", Body=b"no picture")
    s3.put_object(Bucket=BUCKET, Key="metadata/kept.json", Body=b"{}")
    ended = destroy(stage.promotion(), who="me", delete_data=False, empty_buckets=False)
    assert ended.deleted == (f"stack {STACK}",)
    assert {BUCKET, "ImageLabels", f"{STACK}-dead-letters"} <= set(ended.kept)
    with pytest.raises(NotFoundError):
        stage.promotion().outputs()
    assert s3.get_object(Bucket=BUCKET, Key="metadata/kept.json")["Body"].read() == b"{}"

    adopted = {it.name for it in stage.plan().plan.resources if it.action is ResourceAction.ADOPT}
    assert {BUCKET, "ImageLabels", f"{STACK}-dead-letters"} <= adopted
    done = stage.deploy()
    assert done.smoke is not None
    assert done.smoke.ok
    assert s3.get_object(Bucket=BUCKET, Key="metadata/kept.json")["Body"].read() == b"{}"
    assert not stage.plan().plan.changes_anything


ASKED_FOR_BY_THE_ENGINE_ONLY = ["lambda:ListAliases", "logs:DescribeLogGroups"]
"""The first where AWS asks for lambda:GetAlias; the second on `*`, where AWS asks for it on a log group's ARN."""


def policy_for(promotion: Promotion, stage: Stage) -> dict[str, Any]:
    policy = deployer_policy(stage.project, promotion.target)
    more = {"Effect": "Allow", "Action": ASKED_FOR_BY_THE_ENGINE_ONLY, "Resource": "*"}
    return {**policy, "Statement": [*policy["Statement"], more]}


@pytest.fixture
def as_deployer(stage: Stage) -> Iterator[Promotion]:
    """A promotion with the keys of a user who has the deployer's policy and nothing else."""
    iam: Any = stage.client("iam")
    promotion = stage.promotion()
    iam.create_user(UserName="deployer")
    iam.put_user_policy(
        UserName="deployer",
        PolicyName="deployer",
        PolicyDocument=json.dumps(policy_for(promotion, stage)),
    )
    made = iam.create_access_key(UserName="deployer")["AccessKey"]
    home = stage.project / "deployer"
    home.mkdir()
    keys = {
        "root_key": "",
        "token": "",
        "access_key_id": made["AccessKeyId"],
        "secret_access_key": made["SecretAccessKey"],
    }
    (home / "instance.json").write_text(json.dumps(keys))
    promotion.environment = dataclasses.replace(
        promotion.environment, stand_in=StandIn(stage.engine.endpoint, home)
    )
    yield promotion
    iam.delete_access_key(UserName="deployer", AccessKeyId=made["AccessKeyId"])
    iam.delete_user_policy(UserName="deployer", PolicyName="deployer")
    iam.delete_user(UserName="deployer")
    (home / "instance.json").unlink()
    home.rmdir()


def test_the_deployers_policy_is_enough_for_everything_that_a_promotion_asks_for_itself(
    stage: Stage, as_deployer: Promotion
) -> None:
    stage.append_to_code("\nBY_THE_DEPLOYER = 1\n")
    who, release = as_deployer.preflight().insist()
    assert who == f"arn:aws:iam::{ACCOUNT}:user/deployer"
    done = as_deployer.deploy(release, who=who, choices=SKIP)
    assert done.smoke is not None
    assert done.smoke.ok, done.smoke
    detect_drift(as_deployer.session(), STACK)
    back = as_deployer.roll_back(who=who, choices=SKIP)
    assert back.smoke is not None
    assert back.smoke.ok, back.smoke


def test_a_deployer_without_the_stacks_statement_is_told_what_is_missing(
    stage: Stage, as_deployer: Promotion
) -> None:
    iam: Any = stage.client("iam")
    policy = policy_for(as_deployer, stage)
    policy["Statement"] = [it for it in policy["Statement"] if it.get("Sid") != "TheStack"]
    iam.put_user_policy(UserName="deployer", PolicyName="deployer", PolicyDocument=json.dumps(policy))
    _, release = as_deployer.preflight().insist()
    with pytest.raises(DeployError, match="DescribeStacks is not allowed") as caught:
        as_deployer.plan(release)
    assert "deployer-policy.json" in caught.value.hint


@pytest.mark.parametrize(
    "attempt", ["read an upload", "read the records", "create a user", "assume the role"]
)
def test_a_deployer_may_not_look_at_the_data_nor_become_somebody_else(
    as_deployer: Promotion, attempt: str
) -> None:
    session: Any = as_deployer.session()
    calls = {
        "read an upload": lambda: session.client("s3").get_object(Bucket=BUCKET, Key="uploads/kept.jpg"),
        "read the records": lambda: session.client("dynamodb").scan(TableName="ImageLabels"),
        "create a user": lambda: session.client("iam").create_user(UserName="other"),
        "assume the role": lambda: session.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{STACK}-anything", RoleSessionName="other"
        ),
    }
    with pytest.raises(session.client("s3").exceptions.ClientError) as caught:
        calls[attempt]()
    assert "AccessDenied" in caught.value.response["Error"]["Code"]


def test_buckets_that_hold_something_stay_unless_they_may_be_emptied(stage: Stage) -> None:
    with pytest.raises(DeployError, match="not empty") as caught:
        destroy(stage.promotion(), who="me", delete_data=True, empty_buckets=False)
    assert "--empty-buckets" in caught.value.hint
    assert stage.status().endswith("_COMPLETE")


def test_with_data_and_buckets_nothing_is_left_that_costs(stage: Stage) -> None:
    ended = destroy(stage.promotion(), who="me", delete_data=True, empty_buckets=True)
    assert ended.kept == ()
    assert stage.client("s3").list_buckets()["Buckets"] == []
    assert stage.client("dynamodb").list_tables()["TableNames"] == []
    assert stage.client("sqs").list_queues().get("QueueUrls", []) == []
    with pytest.raises(NotFoundError):
        ending(stage.promotion())
