"""Every resource of a stack really exists: asked of its own service, not of CloudFormation.

Some engines report CREATE_COMPLETE for what they left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from darkroom.errors import DeployError

if TYPE_CHECKING:
    import boto3

    from darkroom.stack.template import Resource

Check = Callable[["boto3.Session", str], object]
"""Session and physical id; raises ClientError where the resource is missing."""


class _MissingError(Exception):
    """A list does not hold what was looked for."""


def prove(
    session: boto3.Session,
    *,
    stack_name: str,
    active: Mapping[str, Resource],
    physical_ids: Mapping[str, str],
) -> None:
    """Ask for every active resource of the template.

    Raises:
        DeployError: some are missing; the message names them all.
    """
    missing = [
        f"{resource.logical_id} ({resource.type})"
        for resource in active.values()
        if not _exists(session, resource, physical_ids.get(resource.logical_id))
    ]
    if missing:
        raise DeployError(
            f"The stack {stack_name} is reported as complete, but lacks {', '.join(missing)}.",
            hint="The engine does not support this kind of resource, or somebody removed it. "
            "Delete the stack and deploy it again.",
        )


def _exists(session: boto3.Session, resource: Resource, physical_id: str | None) -> bool:
    if not physical_id:
        return False
    check = _CHECKS.get(resource.type)
    if check is None:
        return True  # a part of another resource, such as a permission, with no way to ask for it alone
    try:
        check(session, physical_id)
    except _MissingError:
        return False
    except ClientError as error:
        denied = "AccessDenied" in error.response["Error"]["Code"]  # with status 400 from some services
        if not denied and error.response["ResponseMetadata"].get("HTTPStatusCode") in (400, 404):
            return False
        raise
    return True


def _log_group(session: boto3.Session, name: str) -> None:
    groups = session.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if not any(group["logGroupName"] == name for group in groups):
        raise _MissingError(name)


_CHECKS: Mapping[str, Check] = {
    "AWS::S3::Bucket": lambda session, name: session.client("s3").head_bucket(Bucket=name),
    "AWS::DynamoDB::Table": lambda session, name: session.client("dynamodb").describe_table(TableName=name),
    "AWS::SQS::Queue": lambda session, url: session.client("sqs").get_queue_attributes(QueueUrl=url),
    "AWS::Logs::LogGroup": _log_group,
    "AWS::IAM::Role": lambda session, name: session.client("iam").get_role(RoleName=name),
    "AWS::Lambda::Function": lambda session, name: session.client("lambda").get_function_configuration(
        FunctionName=name
    ),
    "AWS::Lambda::Alias": lambda session, arn: session.client("lambda").get_alias(
        FunctionName=arn.rpartition(":")[0], Name=arn.rpartition(":")[2]
    ),
    # The physical ids of alias and version are ARNs that end in their qualifier.
    "AWS::Lambda::Version": lambda session, arn: session.client("lambda").get_function_configuration(
        FunctionName=arn
    ),
}
