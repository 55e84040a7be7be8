from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from darkroom.errors import DeployError, NotFoundError, UsageError
from darkroom.stack import Deployment, Leftovers, StackEvent, Template, deploy, read_outputs
from darkroom.stack.plan import Action
from tests.unit.stack.fake_cloudformation import SESSION, STACK, FakeSession, body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import boto3

ARTEFACTS = "artefacts-123456789012"
TEMPLATE = """
Parameters:
  CodeBucket: {Type: String}
  CodeKey: {Type: String}
  CodeHash: {Type: String}
  Release: {Type: String}
  MinConfidence: {Type: Number, Default: 75}
  TableName: {Type: String, Default: ImageLabels}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    DeletionPolicy: RetainExceptOnCreate
    Properties: {BucketName: !Sub "${AWS::StackName}-${AWS::AccountId}"}
  Images:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: RetainExceptOnCreate
    Properties:
      TableName: !Ref TableName
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: ImageID, AttributeType: S}]
      KeySchema: [{AttributeName: ImageID, KeyType: HASH}]
  DeadLetters:
    Type: AWS::SQS::Queue
    DeletionPolicy: RetainExceptOnCreate
    Properties: {QueueName: dead-letters}
"""


class Stage:
    """A project folder and an account."""

    def __init__(self, folder: Path) -> None:
        self.session = FakeSession()
        self.cloudformation = self.session.cloudformation
        self.code = folder / "lambda"
        self.write("x = 1\n")

    def write(self, text: str) -> None:
        self.code.mkdir(exist_ok=True)
        (self.code / "handler.py").write_text(text)

    def deploy(self, body: str = TEMPLATE, **more: Any) -> Deployment:
        self.cloudformation.calls.clear()
        options: dict[str, Any] = {"parameters": {}, "timeout_s": 5} | more
        return deploy(
            cast("boto3.Session", self.session),
            stack_name=STACK,
            template=Template.parse(body),
            code_root=self.code,
            artefact_bucket=ARTEFACTS,
            **options,
        )

    def leave_data(self) -> None:
        """What an earlier stack left behind: the engine forgot the stack and kept the data."""
        self.deploy()
        SESSION.client("s3").put_object(Bucket="darkroom-123456789012", Key="uploads/cat.jpg", Body=b"cat")
        self.cloudformation.stack = None


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with mock_aws():
        yield Stage(tmp_path)


def test_a_first_deployment_makes_everything_and_tells_the_outputs(stage: Stage) -> None:
    done = stage.deploy()
    assert (done.changed, done.plan.action) == (True, Action.CREATE)
    assert done.outputs["Bucket"] == "darkroom-123456789012"
    assert set(done.physical_ids) == {"Bucket", "Images", "DeadLetters"}
    (package,) = SESSION.client("s3").list_objects_v2(Bucket=ARTEFACTS)["Contents"]
    assert done.actions == (f"uploaded the code ({package['Size']} bytes, 1 file)", "the stack is created")


def test_with_nothing_changed_one_call_tells_so(stage: Stage) -> None:
    first = stage.deploy()
    second = stage.deploy()
    assert (second.changed, second.plan.action, second.actions) == (False, Action.NOTHING, ())
    assert second.outputs == first.outputs
    assert stage.cloudformation.calls == ["describe_stacks"]


def test_changed_code_reaches_the_stack_under_a_new_key(stage: Stage) -> None:
    stage.deploy()
    assert stage.cloudformation.stack is not None
    before = dict(stage.cloudformation.stack.parameters)
    stage.write("x = 2\n")
    done = stage.deploy()
    after = stage.cloudformation.stack.parameters
    assert (done.plan.action, done.plan.summary) == (Action.UPDATE, "changed: code")
    assert {name for name in after if after[name] != before[name]} == {"CodeKey", "CodeHash", "Release"}
    SESSION.client("s3").head_object(Bucket=after["CodeBucket"], Key=after["CodeKey"])


def test_a_changed_parameter_uploads_nothing_and_names_the_change(stage: Stage) -> None:
    stage.deploy()
    done = stage.deploy(parameters={"MinConfidence": "80"})
    assert done.actions == ("changed: MinConfidence 75 → 80",)


def test_tags_are_put_on_the_stack(stage: Stage) -> None:
    stage.deploy(tags={"team": "x"})
    assert stage.cloudformation.stack is not None
    assert stage.cloudformation.stack.tags == {"team": "x"}


def test_every_step_is_reported_once_and_in_order(stage: Stage) -> None:
    events: list[StackEvent] = []
    stage.cloudformation.in_progress_looks = 3
    stage.deploy(on_event=events.append)
    assert [it.logical_id for it in events] == ["Bucket", "Images", "DeadLetters"]


def test_a_failure_names_the_resource_and_its_reason_not_the_consequences(stage: Stage) -> None:
    stage.cloudformation.fail_at = "Images"
    with pytest.raises(DeployError) as caught:
        stage.deploy()
    assert "Images (AWS::DynamoDB::Table): The quota is used up" in str(caught.value)
    assert "cancelled" not in str(caught.value)
    assert "ROLLBACK_COMPLETE" in caught.value.hint


def test_a_stack_that_failed_at_its_creation_is_made_anew(stage: Stage) -> None:
    stage.cloudformation.fail_at = "Bucket"
    with pytest.raises(DeployError):
        stage.deploy()
    stage.cloudformation.fail_at = None
    done = stage.deploy()
    assert done.plan.action is Action.RECREATE
    assert "removed the stack that had failed at its creation" in done.actions
    assert "delete_stack" in stage.cloudformation.calls


def test_a_stack_left_in_review_is_created(stage: Stage) -> None:
    stage.cloudformation.refuse = "Parameter MinConfidence must be a number"
    with pytest.raises(DeployError, match="must be a number"):
        stage.deploy()
    assert stage.cloudformation.stack is not None
    assert stage.cloudformation.stack.status == "REVIEW_IN_PROGRESS"
    stage.cloudformation.refuse = None
    assert stage.deploy().plan.action is Action.CREATE


def test_a_change_set_without_changes_is_no_failure(stage: Stage) -> None:
    stage.deploy()
    stage.cloudformation.refuse = "The submitted information didn't contain changes."
    done = stage.deploy(parameters={"MinConfidence": "75.0"})
    assert "CloudFormation saw no change" in done.actions
    assert len(stage.cloudformation.change_sets) == 1


def test_an_unknown_parameter_is_refused_before_anything_happens(stage: Stage) -> None:
    with pytest.raises(UsageError, match="MaxLabel"):
        stage.deploy(parameters={"MaxLabel": "1"})
    assert stage.cloudformation.calls == []


def test_a_resource_that_is_only_reported_is_found_out(stage: Stage) -> None:
    stage.cloudformation.skip = frozenset({"Images"})
    with pytest.raises(DeployError, match=r"lacks Images \(AWS::DynamoDB::Table\)"):
        stage.deploy()


def test_a_change_that_never_ends_is_given_up(stage: Stage) -> None:
    stage.cloudformation.in_progress_looks = 10_000
    with pytest.raises(DeployError, match="took longer than"):
        stage.deploy(timeout_s=0.1)


def test_leftovers_are_named_and_nothing_is_done_to_them(stage: Stage) -> None:
    stage.leave_data()
    with pytest.raises(DeployError, match=r"darkroom-123456789012 \(AWS::S3::Bucket\), ImageLabels"):
        stage.deploy()
    assert stage.cloudformation.stack is None


def test_leftovers_are_adopted_with_what_they_hold(stage: Stage) -> None:
    stage.leave_data()
    done = stage.deploy(leftovers=Leftovers.ADOPT)
    assert done.actions[0].startswith("adopted darkroom-123456789012 (AWS::S3::Bucket)")
    SESSION.client("s3").head_object(Bucket="darkroom-123456789012", Key="uploads/cat.jpg")
    requests = list(stage.cloudformation.change_sets.values())
    imported, updated = requests[-2:]
    assert (imported["ChangeSetType"], updated["ChangeSetType"]) == ("IMPORT", "UPDATE")
    assert body(imported)["Resources"]["Bucket"]["Properties"] == {"BucketName": "darkroom-123456789012"}
    assert set(body(imported)["Resources"]["Images"]["Properties"]) == {
        "TableName",
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
    }
    assert not stage.deploy().changed


def test_leftovers_are_dropped_with_what_they_hold(stage: Stage) -> None:
    stage.leave_data()
    stage.deploy(leftovers=Leftovers.DROP)
    with pytest.raises(ClientError, match="404"):
        SESSION.client("s3").head_object(Bucket="darkroom-123456789012", Key="uploads/cat.jpg")


def test_code_of_another_region_goes_to_a_bucket_of_that_region(stage: Stage) -> None:
    stage.session.region_name = "eu-west-1"
    stage.deploy()
    assert SESSION.client("s3").get_bucket_location(Bucket=ARTEFACTS)["LocationConstraint"] == "eu-west-1"


def test_the_code_bucket_is_private(stage: Stage) -> None:
    stage.deploy()
    block = SESSION.client("s3").get_public_access_block(Bucket=ARTEFACTS)["PublicAccessBlockConfiguration"]
    assert all(block.values())


def test_the_outputs_of_a_stack_that_is_not_there_are_not_found(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="darkroom"):
        read_outputs(cast("boto3.Session", stage.session), STACK)


def test_the_outputs_of_another_template_are_refused_by_name(stage: Stage) -> None:
    stage.deploy()
    with pytest.raises(DeployError, match="BucketName"):
        read_outputs(cast("boto3.Session", stage.session), STACK)


def test_the_outputs_are_read_by_their_names_in_the_template(stage: Stage) -> None:
    stage.deploy()
    assert stage.cloudformation.stack is not None
    stage.cloudformation.stack.resources |= {
        "BucketName": "b",
        "TableName": "t",
        "TaggerFunctionName": "f",
        "TaggerAliasArn": "a",
        "TaggerLogGroup": "l",
        "DeadLetterQueueUrl": "q",
    }
    outputs = read_outputs(cast("boto3.Session", stage.session), STACK)
    assert (outputs.bucket, outputs.table, outputs.function) == ("b", "t", "f")
    assert (outputs.alias_arn, outputs.log_group, outputs.dead_letter_queue_url) == ("a", "l", "q")
