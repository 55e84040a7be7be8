"""The template keeps every rule, and each rule is one that a template can break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.stack.template import Template
from tests.support.policy_rules import EVERYTHING_ON, RULES, TEMPLATE, VARIANTS, Stack, violations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY = TEMPLATE.read_text()

BROKEN: dict[str, list[tuple[str, str]]] = {
    "buckets_are_private": [
        ("BlockPublicPolicy: true", "BlockPublicPolicy: false"),
        (
            "            Effect: Deny\n            Principal:",
            "            Effect: Allow\n            Principal:",
        ),
    ],
    "data_is_encrypted": [
        ("SSESpecification: {SSEEnabled: true}", "SSESpecification: {SSEEnabled: false}"),
        ("      SqsManagedSseEnabled: true\n", ""),
        ("      BucketEncryption:", "      Other:"),
    ],
    "buckets_take_tls_only": [
        ('"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"'),
        ('              - !Sub "arn:${AWS::Partition}:s3:::${Bucket}/*"\n', ""),
    ],
    "nothing_is_allowed_wildly": [
        ("Action: s3:ListBucket", "Action: s3:List*"),
        ("Resource: !GetAtt Images.Arn", 'Resource: "*"'),
        ("Action: [s3:PutObject, s3:DeleteObject]", "NotAction: [s3:PutObject, s3:DeleteObject]"),
    ],
    "services_are_trusted_for_this_account_only": [("      SourceAccount: !Ref AWS::AccountId\n", "")],
    "logs_do_not_stay_for_ever": [
        ("      RetentionInDays: !Ref LogRetentionDays\n", ""),
        ('LogGroupName: !Sub "/aws/lambda/${AWS::StackName}-tagger"', 'LogGroupName: "/aws/lambda/other"'),
    ],
    "events_are_not_lost": [
        ("      DestinationConfig: {OnFailure: {Destination: !GetAtt DeadLetters.Arn}}\n", ""),
        ("      BisectBatchOnFunctionError: true\n", "      MaximumRetryAttempts: 3\n"),
    ],
    "trouble_rings": [("MetricName: ApproximateNumberOfMessagesVisible", "MetricName: NumberOfMessagesSent")],
    "data_outlives_the_stack": [("DeletionPolicy: RetainExceptOnCreate", "DeletionPolicy: Delete")],
}


def test_the_template_keeps_every_rule() -> None:
    assert violations(Template.load(TEMPLATE)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_is_broken_by_templates_that_break_it(rule: Callable[[Stack], Iterator[str]]) -> None:
    for old, new in BROKEN[rule.__name__]:
        assert old in BODY, f"the template no longer says {old!r}"
        stack = Stack.of(Template.parse(BODY.replace(old, new)), **EVERYTHING_ON)
        assert list(rule(stack)), (old, new)


def test_every_resource_is_looked_at_in_some_variant() -> None:
    template = Template.load(TEMPLATE)
    seen = {key for variant in VARIANTS for key in Stack.of(template, **variant).resources}
    assert template.resources.keys() - seen == set()
