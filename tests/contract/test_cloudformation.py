"""What the engine's CloudFormation takes though AWS refuses it, and what it leaves out: why the template is linted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.contract.conftest import Engine


def deploy(engine: Engine, name: str, resources: dict[str, Any]) -> str:
    """Create a stack. Returns its status."""
    client = engine.client("cloudformation")
    client.create_stack(
        StackName=name,
        TemplateBody=json.dumps({"Resources": resources}),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    client.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 5}
    )
    return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def table(**properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "ImageID", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "ImageID", "KeyType": "HASH"}],
            **properties,
        },
    }


def test_an_unknown_property_is_taken_though_aws_refuses_it(engine: Engine) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "unknown-property", "Nonsense": 1}}
    assert deploy(engine, "unknown-property", {"Bucket": bucket}) == "CREATE_COMPLETE"


def test_a_notification_to_a_missing_function_is_taken_though_aws_refuses_it(engine: Engine) -> None:
    missing = "arn:aws:lambda:us-east-1:000000000000:function:missing"
    configured = {"LambdaConfigurations": [{"Event": "s3:ObjectCreated:*", "Function": missing}]}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "notifies-nobody", "NotificationConfiguration": configured},
    }
    assert deploy(engine, "notifies-nobody", {"Bucket": bucket}) == "CREATE_COMPLETE"


def test_a_bucket_that_is_not_empty_is_deleted_though_aws_refuses_it(engine: Engine) -> None:
    deploy(
        engine,
        "not-empty",
        {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "not-empty"}}},
    )
    engine.client("s3").put_object(Bucket="not-empty", Key="k", Body=b"x")
    client = engine.client("cloudformation")
    client.delete_stack(StackName="not-empty")
    client.get_waiter("stack_delete_complete").wait(
        StackName="not-empty", WaiterConfig={"Delay": 1, "MaxAttempts": 5}
    )
    with pytest.raises(ClientError):
        engine.client("s3").head_bucket(Bucket="not-empty")


def test_lifecycle_rules_of_a_bucket_are_not_applied(engine: Engine) -> None:
    rule = {"Id": "r", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "lifecycle", "LifecycleConfiguration": {"Rules": [rule]}},
    }
    deploy(engine, "lifecycle", {"Bucket": bucket})
    with pytest.raises(ClientError) as error:
        engine.client("s3").get_bucket_lifecycle_configuration(Bucket="lifecycle")
    assert error.value.response["Error"]["Code"] == "NoSuchLifecycleConfiguration"


def test_time_to_live_and_point_in_time_recovery_of_a_table_are_not_applied(engine: Engine) -> None:
    properties = {
        "TableName": "not-applied",
        "TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    deploy(engine, "not-applied", {"Table": table(**properties)})
    client = engine.client("dynamodb")
    ttl = client.describe_time_to_live(TableName="not-applied")["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"
    backups = client.describe_continuous_backups(TableName="not-applied")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"


def test_a_missing_capability_is_refused_as_on_aws(engine: Engine) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}},
    }
    with pytest.raises(ClientError) as error:
        engine.client("cloudformation").create_stack(
            StackName="no-capability", TemplateBody=json.dumps({"Resources": {"Role": role}})
        )
    assert error.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"


def test_what_cloudformation_does_is_not_held_to_the_callers_policy_though_on_aws_it_is(
    engine: Engine,
) -> None:
    from tests.contract.conftest import create_user

    key, secret = create_user(engine, "deployer", ["cloudformation:*"])
    client = engine.client("cloudformation", key=key, secret=secret)
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "by-deployer"}}
    client.create_stack(StackName="by-deployer", TemplateBody=json.dumps({"Resources": {"Bucket": bucket}}))
    client.get_waiter("stack_create_complete").wait(
        StackName="by-deployer", WaiterConfig={"Delay": 1, "MaxAttempts": 5}
    )
    engine.client("s3").head_bucket(Bucket="by-deployer")
