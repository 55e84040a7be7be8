"""Which properties of a resource can only be changed by making it anew, for the types where a mistake is dear.

A change set answers "Conditional" where a property depends on a resource that changes too, also for properties that
never ask for a replacement: a bucket whose notification names a new version of a function would seem to be in danger
at every deployment. Here stands what decides: the create-only properties of CloudFormation's resource schemas
(https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html); a test compares them with
the schemas that cfn-lint brings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

CREATE_ONLY: dict[str, frozenset[str]] = {
    "AWS::S3::Bucket": frozenset({"BucketName", "BucketNamePrefix", "BucketNamespace"}),
    "AWS::DynamoDB::Table": frozenset({"TableName", "ImportSourceSpecification", "KeySchema"}),
    "AWS::Cognito::UserPool": frozenset(),
    "AWS::SQS::Queue": frozenset({"QueueName", "FifoQueue"}),
    "AWS::Lambda::Alias": frozenset({"Name", "FunctionName"}),
}


def may_recreate(kind: str, properties: Collection[str]) -> bool:
    """Whether a change of these properties could replace a resource; of an unknown type any may."""
    create_only = CREATE_ONLY.get(kind)
    return create_only is None or not properties or bool(create_only & set(properties))
