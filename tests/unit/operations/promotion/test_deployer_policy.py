"""The deployer's policy against what CloudFormation's resource schemas say that it needs.

Which permissions CloudFormation takes from the caller cannot be tried here (the engine does not hold it to the
caller's policy), so it is compared with the `handlers` of the resource schemas that cfn-lint brings:
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from darkroom.operations.promotion.deployer import MAX_INLINE_CHARACTERS, deployer_policy
from darkroom.settings import PROJECT_ROOT
from darkroom.stack import Template
from darkroom.stack.environments import AwsTarget

TEMPLATE = Template.load(PROJECT_ROOT / "template.yaml")
POLICY = deployer_policy(PROJECT_ROOT, AwsTarget("123456789012", "eu-west-1", stack="shop"))
GRANTED = {
    action
    for statement in POLICY["Statement"]
    for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
}
UNUSED = {
    "other services behind features that the template does not use": (
        "codedeploy:*", "ec2:*", "elasticfilesystem:*", "firehose:*", "kinesis:*", "kms:*", "s3files:*", "s3tables:*",
        "secretsmanager:*", "kafka:*", "kafka-cluster:*", "rds:*", "docdb-elastic:*", "elasticache:*",
    ),
    "features of S3 that the template does not use": (
        "s3:*Abac", "s3:*Accelerate*", "s3:*Analytics*", "s3:*Inventory*", "s3:*Metrics*", "s3:*Replication*",
        "s3:*Website", "s3:*ObjectLock*", "s3:*Logging", "s3:*IntelligentTiering*", "s3:*MetadataTable*",
        "s3:*ObjectAcl", "s3:REST.PUT.OBJECT", "s3:GetObjectMetadata", "s3:*Metadata*", "s3:UpdateBucket*",
        "s3:GetObject*", "s3:DeleteObject", "s3:PutBucketAcl", "s3:DeleteBucketCors", "s3:DeleteBucketEncryption",
        "s3:DeleteBucketLifecycle",
    ),
    "features of DynamoDB that the template does not use": (
        "dynamodb:*Kinesis*", "dynamodb:*Import*", "dynamodb:*Replica*", "dynamodb:Scan", "dynamodb:Query",
        "dynamodb:*Item", "dynamodb:*ResourcePolicy", "dynamodb:CreateGlobalTable*", "dynamodb:*GlobalTable*",
    ),
    "features of Lambda that the template does not use": (
        "lambda:PutProvisionedConcurrencyConfig", "lambda:DeleteProvisionedConcurrencyConfig", "lambda:*CodeSigning*",
        "lambda:*CapacityProvider", "lambda:*ScalingConfig", "lambda:*RecursionConfig",
        "lambda:*RuntimeManagementConfig", "lambda:GetLayerVersion", "lambda:AssociateRuntimeAlias",
    ),
    "features of logs and topics that the template does not use": (
        "logs:*DataProtectionPolicy", "logs:*Delivery", "logs:*ResourcePolic*", "logs:*IndexPolic*", "logs:*KmsKey",
        "logs:*DeletionProtection", "logs:*BearerToken*", "logs:*LogStream*", "logs:PutLogEvents",
        "sns:PutDataProtectionPolicy",
    ),
    "features of the API and of user pools that the template does not use": (
        "apigateway:UpdateRestApiPolicy", "cognito-idp:AddCustomAttributes", "cognito-idp:ListUserPoolClientSecrets",
        "cloudfront:updateDistribution",
    ),
    "roles have no managed policies and no boundary here": (
        "iam:*AttachRolePolicy", "iam:DetachRolePolicy", "iam:*PermissionsBoundary", "iam:CreateServiceLinkedRole",
    ),
}  # fmt: skip
"""Permissions in the schemas that are left out of the policy on purpose."""


def needed(kind: str) -> set[str]:
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema.get("handlers", {})
    return {
        action
        for name in ("create", "read", "update", "delete")
        for action in handlers.get(name, {}).get("permissions", ())
    }


TYPES = sorted({it.type for it in TEMPLATE.resources.values()})


@pytest.mark.parametrize("kind", TYPES)
def test_everything_that_a_resource_needs_is_allowed_or_left_out_for_a_reason(kind: str) -> None:
    left_out = [pattern for patterns in UNUSED.values() for pattern in patterns]
    missing = {
        action
        for action in needed(kind)
        if action not in GRANTED and not any(fnmatchcase(action, pattern) for pattern in left_out)
    }
    assert missing == set()


OWN = {
    "sts:GetCallerIdentity": "asks who is calling",
    "cloudformation": "deploys",
    "s3": "keeps packages and history, sends the picture of the smoke test, empties and deletes buckets when told",
    "dynamodb:GetItem": "waits for the record of the smoke test",
    "dynamodb:DeleteItem": "deletes it",
    "logs:FilterLogEvents": "shows what was seen when the smoke test failed",
    "cognito-idp:AdminCreateUser": "makes the user of the smoke test",
    "cognito-idp:AdminSetUserPassword": "gives it a password",
    "cognito-idp:AdminInitiateAuth": "signs it in",
    "cognito-idp:AdminDeleteUser": "deletes it",
    "lambda:ListTags": "CloudFormation reads a function's tags",
    "lambda:GetPolicy": "reads the permissions of a function",
    "logs:DescribeResourcePolicies": "read by CloudFormation",
}


def test_nothing_is_allowed_that_neither_a_resource_nor_the_deployment_needs() -> None:
    by_resources = {action for kind in TYPES for action in needed(kind)}
    unexplained = {
        action
        for action in GRANTED - by_resources
        if action not in OWN and action.partition(":")[0] not in OWN
    }
    assert unexplained == set()


def test_no_action_is_a_pattern_and_everything_only_where_the_action_knows_no_resource() -> None:
    assert not [action for action in GRANTED if "*" in action]
    wild = [it["Action"] for it in POLICY["Statement"] if it["Resource"] == "*"]
    assert wild == [
        "sts:GetCallerIdentity",
        "cloudformation:DescribeStackDriftDetectionStatus",
        ["cognito-idp:CreateUserPool", "cognito-idp:DescribeUserPoolDomain"],
        "lambda:CreateEventSourceMapping",  # for this stack's functions only, by its condition
    ]


def test_every_resource_is_of_this_account_or_of_this_stacks_names() -> None:
    for statement in POLICY["Statement"]:
        resources: Any = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            if resource != "*":
                # the ARNs of API Gateway name no account
                assert "123456789012" in resource or ":apigateway:eu-west-1::/" in resource, resource
                assert "${" not in resource


def test_a_role_is_passed_to_lambda_only() -> None:
    (statement,) = [it for it in POLICY["Statement"] if it["Action"] == "iam:PassRole"]
    assert statement["Condition"]["StringEquals"]["iam:PassedToService"] == "lambda.amazonaws.com"
    assert statement["Resource"] == "arn:aws:iam::123456789012:role/shop-*"


def test_it_fits_a_roles_inline_policy() -> None:
    assert len(re.sub(r"\s", "", json.dumps(POLICY))) < MAX_INLINE_CHARACTERS


def test_other_partitions_have_their_own_arns() -> None:
    policy = json.dumps(deployer_policy(PROJECT_ROOT, AwsTarget("123456789012", "cn-north-1")))
    assert "arn:aws-cn:s3:::" in policy
    assert "arn:aws:" not in policy
