"""A CloudFormation in a few lines, over moto's S3, DynamoDB and SQS.

It really makes the resources of a template. Every request and every answer is checked against botocore's model of
the service, so that the fake cannot accept or return what CloudFormation does not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from darkroom.stack.template import Scope, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGION = "us-east-1"
ACCOUNT = "123456789012"
STACK = "darkroom"
SESSION = boto3.Session("AKIDEXAMPLE", "example", region_name=REGION)
_MODEL = SESSION.client("cloudformation").meta.service_model
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/1"


@dataclass
class Stack:
    """The one stack."""

    status: str = "REVIEW_IN_PROGRESS"
    parameters: dict[str, str] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    body: str = ""


class FakeCloudFormation:
    """One account's CloudFormation with one stack.

    Args set by a test:
        fail_at: logical id of the resource whose change fails.
        refuse: reason for which a change set cannot be made.
        skip: logical ids that are reported as complete and not made.
        in_progress_looks: so many looks at the stack see it still changing.
    """

    def __init__(self) -> None:
        self.stack: Stack | None = None
        self.calls: list[str] = []
        self.fail_at: str | None = None
        self.refuse: str | None = None
        self.skip: frozenset[str] = frozenset()
        self.in_progress_looks = 0
        self.change_sets: dict[str, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = "".join(part.capitalize() for part in name.split("_"))
        method = getattr(type(self), f"_on_{name}")

        def call(**request: Any) -> Any:
            self.calls.append(name)
            model = _MODEL.operation_model(operation)
            _valid(request, model.input_shape)
            answer = method(self, **request)
            if model.output_shape is not None:
                _valid(answer, model.output_shape)
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        call = getattr(self, name)

        class Pages:
            def paginate(self, **request: Any) -> Iterator[Any]:
                yield call(**request)

        return Pages()

    def _on_describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        stack = self._existing()
        status = stack.status
        if self.in_progress_looks and status.endswith("_COMPLETE") and self._events:
            self.in_progress_looks -= 1
            status = "UPDATE_IN_PROGRESS"
        described = {
            "StackName": STACK,
            "StackId": STACK_ID,
            "StackStatus": status,
            "CreationTime": "2026-01-01T00:00:00Z",
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in stack.parameters.items()],
            "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in stack.resources.items()],
        }
        assert StackName in (STACK, STACK_ID)
        return {"Stacks": [described]}

    def _on_create_change_set(self, **request: Any) -> dict[str, Any]:
        kind, name = request["ChangeSetType"], request["ChangeSetName"]
        if kind == "UPDATE":
            self._existing()
        elif self.stack is None:
            self.stack = Stack()
        elif self.stack.status != "REVIEW_IN_PROGRESS":
            raise _error("ValidationError", f"Stack [{STACK}] already exists", "CreateChangeSet")
        assert request["Capabilities"] == ["CAPABILITY_IAM"]
        arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/{name}/1"
        self.change_sets[arn] = request
        return {"Id": arn, "StackId": STACK_ID}

    def _on_describe_change_set(self, ChangeSetName: str, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == STACK
        if self.refuse:
            return {"Status": "FAILED", "StatusReason": self.refuse}
        return {
            "Status": "CREATE_COMPLETE",
            "ExecutionStatus": "AVAILABLE",
            "ChangeSetName": ChangeSetName[:9],
        }

    def _on_get_template(self, StackName: str, TemplateStage: str) -> dict[str, Any]:  # noqa: N803
        assert (StackName, TemplateStage) == (STACK, "Original")
        return {"TemplateBody": self._existing().body}

    def _on_delete_change_set(self, ChangeSetName: str, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == STACK
        del self.change_sets[ChangeSetName]
        return {}

    def _on_execute_change_set(self, ChangeSetName: str, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == STACK
        request, stack = self.change_sets[ChangeSetName], self._existing()
        kind = request["ChangeSetType"]
        parameters = {it["ParameterKey"]: it["ParameterValue"] for it in request["Parameters"]}
        template = Template.parse(request["TemplateBody"])
        imported = {it["LogicalResourceId"] for it in request.get("ResourcesToImport", [])}
        for key, resource in template.resources.items():
            if key == self.fail_at:
                self._event("Other", "CREATE_FAILED", "Resource creation cancelled")
                self._event(key, f"{kind}_FAILED", "The quota is used up", resource.type)
                stack.status = "ROLLBACK_COMPLETE" if kind == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
                return {}
            self._event(key, f"{kind}_COMPLETE", "", resource.type)
            scope = Scope(template, parameters | {"AWS::StackName": STACK, "AWS::AccountId": ACCOUNT})
            physical_id = MAKERS[resource.type](
                scope.resolve(dict(resource.properties)),
                exists=key in imported | self.skip | set(stack.resources),
            )
            stack.resources[key] = physical_id
        stack.parameters, stack.status = parameters, f"{kind}_COMPLETE"
        stack.body = request["TemplateBody"]
        stack.tags = {it["Key"]: it["Value"] for it in request.get("Tags", [])}
        return {}

    def _on_delete_stack(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == STACK
        self.stack = None
        return {}

    def _on_list_stack_resources(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == STACK
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": key,
                    "PhysicalResourceId": value,
                    "ResourceType": "AWS::Some::Type",
                    "LastUpdatedTimestamp": "2026-01-01T00:00:00Z",
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for key, value in self._existing().resources.items()
            ]
        }

    def _on_describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == STACK
        return {"StackEvents": self._events[::-1]}

    def _event(self, logical_id: str, status: str, reason: str, kind: str = "AWS::Some::Type") -> None:
        self._events.append(
            {
                "StackId": STACK_ID,
                "EventId": str(len(self._events)),
                "StackName": STACK,
                "LogicalResourceId": logical_id,
                "ResourceType": kind,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": "2026-01-01T00:00:00Z",
            }
        )

    def _existing(self) -> Stack:
        if self.stack is None:
            raise _error("ValidationError", f"Stack with id {STACK} does not exist", "DescribeStacks")
        return self.stack


@dataclass
class FakeSession:
    """moto's services and the fake CloudFormation."""

    cloudformation: FakeCloudFormation = field(default_factory=FakeCloudFormation)
    region_name: str = REGION

    def client(self, name: Any) -> Any:
        return self.cloudformation if name == "cloudformation" else SESSION.client(name)


def _bucket(properties: dict[str, Any], *, exists: bool) -> str:
    if not exists:
        SESSION.client("s3").create_bucket(Bucket=properties["BucketName"])
    return str(properties["BucketName"])


def _table(properties: dict[str, Any], *, exists: bool) -> str:
    if not exists:
        SESSION.client("dynamodb").create_table(**properties)
    return str(properties["TableName"])


def _queue(properties: dict[str, Any], *, exists: bool) -> str:
    sqs = SESSION.client("sqs")
    name = properties["QueueName"]
    return (sqs.get_queue_url if exists else sqs.create_queue)(QueueName=name)["QueueUrl"]


MAKERS: dict[str, Callable[..., str]] = {
    "AWS::S3::Bucket": _bucket,
    "AWS::DynamoDB::Table": _table,
    "AWS::SQS::Queue": _queue,
}


def _valid(value: Any, shape: Any) -> None:
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()


def _error(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def body(request: dict[str, Any]) -> Any:
    """The template of a request that was sent as JSON."""
    return json.loads(request["TemplateBody"])
