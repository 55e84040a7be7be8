"""What no stack of ours may be without, as rules over the template. `make lint` runs them.

Our own, because the usual tools cannot be had here: checkov asks for one old boto3 exactly (1.35.49), and the wheels of
cfn-guard for Python end with 3.11. Each rule looks at the template as it will be deployed (conditions decided,
parameters filled in), with everything on that a parameter can switch on.

`python -m tests.support.policy_rules` prints what is wrong, and ends with 1 if anything is.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.stack.policies import statements
from darkroom.stack.rendering import rendered
from darkroom.stack.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.stack.policies import Statement

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
_CODE = {"CodeBucket": "b", "CodeKey": "k", "CodeHash": "h", "Release": "r"}
_ONLY_EVERYTHING = re.compile(r"(rekognition|xray):\w+")
"""Actions that know no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/"""
_ASYNCHRONOUS = ("AWS::Lambda::EventInvokeConfig",)


@dataclass(frozen=True, slots=True)
class Stack:
    """The template as it will be deployed.

    Attributes:
        resources: logical id -> rendered properties.
        types: logical id -> resource type.
        deletion: logical id -> deletion policy.
    """

    resources: dict[str, dict[str, Any]]
    types: dict[str, str]
    deletion: dict[str, str]

    @classmethod
    def of(cls, template: Template, **parameters: str) -> Stack:
        """The stack with these parameters; the code's are made up."""
        values = template.complete({**_CODE, **parameters})
        return cls(
            rendered(template, values),
            {key: it.type for key, it in template.resources.items()},
            {key: it.deletion_policy for key, it in template.resources.items()},
        )

    def of_type(self, *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
        return ((key, it) for key, it in self.resources.items() if self.types[key] in types)

    def statements(self) -> list[Statement]:
        return list(statements(self.resources, self.types).values())


def buckets_are_private(stack: Stack) -> Iterator[str]:
    """Every bucket blocks public access in all four ways, and no policy lets everybody in."""
    for key, bucket in stack.of_type("AWS::S3::Bucket"):
        block = bucket.get("PublicAccessBlockConfiguration", {})
        for name in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"):
            if str(block.get(name)).lower() != "true":
                yield f"{key}: {name} is not on"
    for it in stack.statements():
        if it.effect == "Allow" and any("everybody" in who or who == "AWS *" for who in it.principals):
            yield f"{it.holder}: everybody is allowed {', '.join(it.actions)}"


def data_is_encrypted(stack: Stack) -> Iterator[str]:
    """Buckets, tables, queues and topics say that they encrypt."""
    for key, bucket in stack.of_type("AWS::S3::Bucket"):
        rules = bucket.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
        if not any(rule.get("ServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules):
            yield f"{key}: no BucketEncryption"
    for key, table in stack.of_type("AWS::DynamoDB::Table"):
        if str(table.get("SSESpecification", {}).get("SSEEnabled")).lower() != "true":
            yield f"{key}: no SSESpecification"
    for key, queue in stack.of_type("AWS::SQS::Queue"):
        if str(queue.get("SqsManagedSseEnabled")).lower() != "true" and "KmsMasterKeyId" not in queue:
            yield f"{key}: no SqsManagedSseEnabled and no KmsMasterKeyId"


def buckets_take_tls_only(stack: Stack) -> Iterator[str]:
    """Every bucket has a policy that refuses plain http for all that it holds."""
    guarded = {policy["Bucket"].strip("${}"): key for key, policy in stack.of_type("AWS::S3::BucketPolicy")}
    for key, _ in stack.of_type("AWS::S3::Bucket"):
        holder = guarded.get(key)
        refusals = [
            it
            for it in stack.statements()
            if it.holder == holder
            and (it.effect, it.actions, it.principals) == ("Deny", ("s3:*",), ("everybody",))
            and it.conditions == ("Bool aws:SecureTransport = false",)
        ]
        if not any(len(it.resources) == 2 for it in refusals):
            yield f"{key}: no policy refuses plain http for the bucket and its objects"


def nothing_is_allowed_wildly(stack: Stack) -> Iterator[str]:
    """No action is a pattern; only actions that know no resources are allowed on everything; no managed policies."""
    for it in stack.statements():
        if it.effect != "Allow":
            continue
        for action in it.actions:
            if "*" in action or action.startswith(("not ", "all of ")):
                yield f"{it.holder} {it.sid}: {action} is no single action"
        if "*" in it.resources or any(name.startswith("not ") for name in it.resources):
            wild = [action for action in it.actions if not _ONLY_EVERYTHING.fullmatch(action)]
            if wild:
                yield f"{it.holder} {it.sid}: {', '.join(wild)} on everything"


def services_are_trusted_for_this_account_only(stack: Stack) -> Iterator[str]:
    """What lets a service invoke a function says from where."""
    for key, permission in stack.of_type("AWS::Lambda::Permission"):
        if "SourceArn" not in permission:
            yield f"{key}: no SourceArn"
        if permission.get("Principal") == "s3.amazonaws.com" and "SourceAccount" not in permission:
            yield f"{key}: no SourceAccount (a bucket's ARN does not name its account)"


def logs_do_not_stay_for_ever(stack: Stack) -> Iterator[str]:
    """Every function has a log group of the template's, and each log group a retention."""
    groups = dict(stack.of_type("AWS::Logs::LogGroup"))
    names = {str(group.get("LogGroupName")) for group in groups.values()}
    for key, group in groups.items():
        if "RetentionInDays" not in group:
            yield f"{key}: no RetentionInDays"
    for key, function in stack.of_type("AWS::Lambda::Function"):
        if f"/aws/lambda/{function.get('FunctionName')}" not in names:
            yield f"{key}: no log group, so Lambda makes one that keeps everything"


def events_are_not_lost(stack: Stack) -> Iterator[str]:
    """Every function that is invoked by events has a dead-letter queue.

    One that reads a stream may do without, if it tries as long as the stream keeps its records: its counts have to take
    every batch in order, and none may be put aside.
    """
    kept = {
        str(it["FunctionName"]).strip("${}")
        for _, it in stack.of_type(*_ASYNCHRONOUS)
        if it.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    }
    aliases = {key: str(it["FunctionName"]).strip("${}") for key, it in stack.of_type("AWS::Lambda::Alias")}
    for key, permission in stack.of_type("AWS::Lambda::Permission"):
        if permission.get("Principal") == "apigateway.amazonaws.com":
            continue  # it waits for the answer: nothing is queued
        target = str(permission["FunctionName"]).strip("${}").partition(".")[0]
        if aliases.get(target, target) not in kept:
            yield f"{key}: {aliases.get(target, target)} has no destination for events that fail"
    for key, mapping in stack.of_type("AWS::Lambda::EventSourceMapping"):
        bounds = [
            it for it in ("MaximumRetryAttempts", "MaximumRecordAgeInSeconds") if mapping.get(it, -1) != -1
        ]
        if bounds and not mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"):
            yield f"{key}: {bounds[0]} gives batches up, and there is no destination for them"


def trouble_rings(stack: Stack) -> Iterator[str]:
    """There are alarms for dead letters, errors and durations."""
    watched = str([alarm for _, alarm in stack.of_type("AWS::CloudWatch::Alarm")])
    for metric in ("ApproximateNumberOfMessagesVisible", "Errors", "Duration"):
        if metric not in watched:
            yield f"no alarm watches {metric}"


def data_outlives_the_stack(stack: Stack) -> Iterator[str]:
    """Buckets, tables, queues and user pools are kept when the stack is deleted."""
    kinds = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Cognito::UserPool")
    for key, _ in stack.of_type(*kinds):
        if not stack.deletion[key].startswith("Retain"):
            yield f"{key}: DeletionPolicy {stack.deletion[key]}"


RULES: tuple[Callable[[Stack], Iterator[str]], ...] = (
    buckets_are_private,
    data_is_encrypted,
    buckets_take_tls_only,
    nothing_is_allowed_wildly,
    services_are_trusted_for_this_account_only,
    logs_do_not_stay_for_ever,
    events_are_not_lost,
    trouble_rings,
    data_outlives_the_stack,
)
EVERYTHING_ON = {"Alarms": "on", "AlarmEmail": "somebody@example.com", "RescanSchedule": "rate(1 day)"}
OPEN = {"SignIn": "off", "CompatibleRoutes": "on"}
VARIANTS: tuple[dict[str, str], ...] = ({}, EVERYTHING_ON, EVERYTHING_ON | OPEN)
"""Together they have every resource of the template."""


def violations(template: Template) -> list[str]:
    """Every rule's findings, in every variant."""
    found = [
        f"{rule.__name__.replace('_', ' ')}: {it}"
        for stack in (Stack.of(template, **variant) for variant in VARIANTS)
        for rule in RULES
        for it in rule(stack)
    ]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    for line in (problems := violations(Template.load(TEMPLATE))):
        print(f"template.yaml: {line}")
    sys.exit(bool(problems))
