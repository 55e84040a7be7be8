"""One stack's life on the account, from the first deployment to its end; the tests build on each other."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from darkroom.errors import DeployError, NotFoundError
from darkroom.operations.promotion import saved
from darkroom.operations.promotion.history import Outcome
from darkroom.operations.promotion.promote import SmokeError
from darkroom.stack.plan import Action, ResourceAction
from tests.promotion.conftest import ACCOUNT, SKIP, STACK

if TYPE_CHECKING:
    from pathlib import Path

    from tests.promotion.conftest import Stage

BUCKET = f"{STACK}-{ACCOUNT}"
ARTEFACTS = f"{STACK}-artefacts-{ACCOUNT}-us-east-1"


def test_without_a_result_of_the_suite_nothing_is_deployed(stage: Stage) -> None:
    with pytest.raises(DeployError, match="The gate “suite” is closed"):
        stage.deploy(dataclasses.replace(SKIP, skipped_gates=()))
    with pytest.raises(NotFoundError):
        stage.promotion().outputs()


def test_the_first_plan_tells_everything_and_changes_nothing(stage: Stage) -> None:
    prepared = stage.plan()
    assert prepared.plan.action is Action.CREATE
    assert {it.action for it in prepared.plan.resources} == {ResourceAction.ADD}
    assert any("rekognition:DetectLabels" in str(it.statement) for it in prepared.plan.statements)
    with pytest.raises(NotFoundError):
        stage.promotion().outputs()


def test_the_first_deployment_is_proven_by_a_picture_that_leaves_nothing_behind(stage: Stage) -> None:
    done = stage.deploy()
    assert done.smoke is not None
    assert done.smoke.ok, done.smoke
    assert {"upload", "record", "json", "delete"} <= set(done.smoke.steps_ms)
    assert stage.status() == "CREATE_COMPLETE"
    versions = stage.client("s3").list_object_versions(Bucket=BUCKET)
    assert (versions.get("Versions", []), versions.get("DeleteMarkers", [])) == ([], [])
    items = stage.client("dynamodb").scan(TableName="ImageLabels")["Items"]
    assert [it for it in items if it.get("Status", {}).get("S") != "DELETED"] == []


def test_what_was_deployed_is_kept_with_its_gates_and_its_smoke_test(stage: Stage) -> None:
    (record,) = stage.promotion().history().newest_first()
    assert record.outcome is Outcome.SUCCEEDED
    assert record.who == f"arn:aws:iam::{ACCOUNT}:user/darkroom"
    assert record.gates[0]["left_out"] == "a test"
    assert record.smoke["ok"] is True
    assert record.plan["action"] == "create"


def test_the_artefact_bucket_is_private_encrypted_versioned_and_tls_only(stage: Stage) -> None:
    s3 = stage.client("s3")
    block = s3.get_public_access_block(Bucket=ARTEFACTS)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    assert s3.get_bucket_versioning(Bucket=ARTEFACTS)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=ARTEFACTS)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=ARTEFACTS)["Policy"]


def test_a_second_deployment_of_the_same_changes_nothing(stage: Stage) -> None:
    stage.events.clear()
    done = stage.deploy()
    assert (done.deployment.changed, done.record, stage.events) == (False, None, [])
    assert not stage.plan().plan.changes_anything


def test_code_alone_changes_the_function_and_publishes_a_version_behind_the_alias(stage: Stage) -> None:
    before = stage.code()
    stage.append_to_code("\nCHANGED = 1\n")
    plan = stage.plan().plan
    assert (plan.code_changed, plan.parameter_changes, plan.statements) == (True, (), ())
    assert not [it for it in plan.resources if it.endangers_data]
    assert {it.logical_id for it in plan.resources} >= {"Tagger", "TaggerVersion", "TaggerAlias"}
    stage.deploy()
    assert stage.code() not in ("", before)


def test_a_parameter_is_told_with_both_values_and_reaches_the_function(stage: Stage) -> None:
    stage.parameters["MinConfidence"] = "60"
    plan = stage.plan().plan
    (change,) = plan.parameter_changes
    assert (change.name, change.before, change.after) == ("MinConfidence", "75", "60")
    tagger = next(it for it in plan.resources if it.logical_id == "Tagger")
    assert "Environment.Variables.MIN_CONFIDENCE: 75 → 60" in [str(it) for it in tagger.properties]
    stage.deploy()
    assert stage.deployed_parameters()["MinConfidence"] == "60"


def test_a_wider_policy_is_spelled_out(stage: Stage) -> None:
    path = stage.project / "template.yaml"
    body = path.read_text()
    path.write_text(
        body.replace("Action: s3:ListBucket\n", "Action: [s3:ListBucket, s3:GetBucketTagging]\n", 1)
    )
    try:
        (change,) = stage.plan().plan.statements
    finally:
        path.write_text(body)
    assert (change.details, change.widens) == (("+ s3:GetBucketTagging",), True)


def test_a_plan_that_would_replace_the_table_is_refused_before_anything_is_done(stage: Stage) -> None:
    stage.parameters["TableName"] = "Other"
    stage.events.clear()
    try:
        with pytest.raises(
            DeployError, match=r"Images \(ImageLabels\) is replaced because of TableName"
        ) as caught:
            stage.deploy()
    finally:
        del stage.parameters["TableName"]
    assert caught.value.hint == "If you mean it: --allow-loss Images"
    assert stage.events == []
    assert stage.promotion().history().newest_first()[0].outcome is Outcome.SUCCEEDED
    change_sets = stage.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"]
    assert not [it for it in change_sets if it["ExecutionStatus"] == "AVAILABLE"]


def test_a_plan_that_would_remove_the_bucket_is_refused(stage: Stage) -> None:
    path = stage.project / "template.yaml"
    body = path.read_text()
    without = body.replace("  Bucket:\n    Type: AWS::S3::Bucket", "  Photos:\n    Type: AWS::S3::Bucket")
    path.write_text(without.replace("!Ref Bucket\n", "!Ref Photos\n").replace("${Bucket}", "${Photos}"))
    try:
        with pytest.raises(DeployError, match=r"Bucket .* is removed"):
            stage.deploy()
    finally:
        path.write_text(body)


def test_a_saved_plan_is_executed_as_it_was_reviewed(stage: Stage, tmp_path: Path) -> None:
    stage.parameters["MaxLabels"] = "40"
    who, release = stage.release()
    promotion = stage.promotion()
    file = tmp_path / "plan.json"
    shown = saved.save(promotion, promotion.plan(release), file, who=who)
    stage.append_to_code("\nAFTER_THE_REVIEW = 1\n")
    loaded = saved.load(stage.promotion(), file)
    assert loaded.plan == shown.plan
    done = stage.promotion().deploy_prepared(loaded, who=who, choices=SKIP)
    assert done.record is not None
    assert stage.deployed_parameters()["MaxLabels"] == "40"
    assert stage.deployed_parameters()["CodeHash"] == release.code.lambda_hash == stage.code()


def test_a_saved_plan_is_refused_once_the_stack_has_changed(stage: Stage, tmp_path: Path) -> None:
    stage.parameters["MaxLabels"] = "41"
    who, release = stage.release()
    promotion = stage.promotion()
    file = tmp_path / "plan.json"
    saved.save(promotion, promotion.plan(release), file, who=who)
    stage.parameters["MaxLabels"] = "42"
    stage.deploy()
    with pytest.raises(DeployError) as caught:
        saved.load(stage.promotion(), file)
    assert caught.value.hint == "Plan again, and review that."


def test_a_failure_in_the_middle_ends_with_the_stack_as_it_was(stage: Stage) -> None:
    before = stage.deployed_parameters()
    path = stage.project / "template.yaml"
    body = path.read_text()
    # the engine refuses metric math, which only shows when the alarm is made
    stage.parameters["Alarms"] = "on"
    try:
        with pytest.raises(DeployError, match="ErrorRateAlarm"):
            stage.deploy()
    finally:
        stage.parameters["Alarms"] = "off"
        path.write_text(body)
    assert stage.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert stage.deployed_parameters() == before
    last = stage.promotion().history().newest_first()[0]
    assert last.outcome is Outcome.FAILED
    assert "ErrorRateAlarm" in last.reason


def test_a_failing_smoke_test_ends_on_the_release_before_and_says_what_was_seen(stage: Stage) -> None:
    code, parameters = stage.code(), stage.deployed_parameters()
    tagger = stage.project / "lambda" / "pipeline" / "tagger.py"
    text = tagger.read_text()
    tagger.write_text(text + '\nraise RuntimeError("this release is broken")\n')
    stage.parameters["MinConfidence"] = "55"
    try:
        with pytest.raises(SmokeError, match="had no record") as caught:
            stage.deploy()
    finally:
        tagger.write_text(text)
        stage.parameters["MinConfidence"] = "60"
    assert "is deployed again" in str(caught.value)
    assert caught.value.exit_code == 5
    assert "this release is broken" in str(caught.value.smoke.seen["log"])
    assert stage.code() == code
    assert stage.deployed_parameters() == parameters
    last = stage.promotion().history().newest_first()[0]
    assert (last.outcome, last.smoke["ok"]) == (Outcome.ROLLED_BACK, False)


def test_rollback_deploys_the_release_before_again_and_proves_it(stage: Stage) -> None:
    done = stage.promotion().roll_back(who="me", choices=SKIP)
    assert done.smoke is not None
    assert done.smoke.ok
    assert stage.deployed_parameters()["MaxLabels"] == "40"


KILLED = """
import sys
from pathlib import Path
from darkroom.operations.promotion.promote import Choices, Promotion
from darkroom.operations.promotion.gates import GateName
from darkroom.stack import load_environment

def event(event):
    print(event.logical_id, flush=True)
    sys.stdin.readline()   # wait to be killed

project = Path(sys.argv[1])
promotion = Promotion(load_environment(project / "environments" / "prod.toml"), project, project, on_event=event)
who, release = promotion.preflight().insist()
promotion.deploy(release, who=who, choices=Choices(skipped_gates=(GateName.SUITE,), reason="killed"))
"""


def test_an_interrupted_deployment_converges_when_it_is_repeated(stage: Stage) -> None:
    stage.parameters["MaxLabels"] = "33"
    stage.promotion()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(stage.project)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert stage.promotion().history().newest_first()[0].outcome is Outcome.STARTED
    stage.said.clear()
    done = stage.deploy()
    assert any("was interrupted: going on with it" in line for line in stage.said)
    assert done.smoke is not None
    assert done.smoke.ok
    assert stage.deployed_parameters()["MaxLabels"] == "33"
    assert stage.promotion().history().newest_first()[0].outcome is Outcome.SUCCEEDED
    assert stage.deploy().record is None


def test_a_second_deployment_at_the_same_time_is_told_who_is_at_work(stage: Stage) -> None:
    stage.parameters["MaxLabels"] = "34"
    who, release = stage.release()

    def meanwhile(_: object) -> None:
        with pytest.raises(DeployError, match=f"Another deployment is under way: by {who} on") as caught:
            stage.promotion().deploy(release, who=who, choices=SKIP)
        assert "Wait for it to end" in caught.value.hint

    stage.promotion().deploy(release, who=who, choices=dataclasses.replace(SKIP, confirm=meanwhile))
    assert stage.deployed_parameters()["MaxLabels"] == "34"


def test_a_change_that_somebody_else_has_set_off_is_waited_for(stage: Stage) -> None:
    stage.client("cloudformation").delete_stack(StackName=STACK)
    deadline = time.monotonic() + 20
    done = stage.deploy()
    assert time.monotonic() < deadline + 40
    assert done.smoke is not None
    assert done.smoke.ok
