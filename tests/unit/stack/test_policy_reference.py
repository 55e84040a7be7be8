"""The template's roles against the service authorisation reference: what no local engine can enforce."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from darkroom.stack.template import Template
from tests.support.permissions import ROLES, Permission, Proof

TEMPLATE = Template.load(Path(__file__).parents[3] / "template.yaml")
LEVELS = {"Read", "List", "Write", "Tagging", "Permissions management"}
SERVICES = {
    "s3",
    "rekognition",
    "dynamodb",
    "sqs",
    "sns",
    "logs",
    "lambda",
    "kms",
    "events",
    "cloudwatch",
    "xray",
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resource_text(resource: Any) -> str:
    """A Resource as the template writes it; an attribute of another resource as `Type.Attribute`."""
    if isinstance(resource, str):
        return resource
    ((function, value),) = resource.items()
    if function == "Fn::Sub":
        return value if isinstance(value, str) else str(value[0])
    if function == "Ref":
        return TEMPLATE.resources[value].type
    assert function == "Fn::GetAtt", resource
    logical_id, attribute = value.split(".") if isinstance(value, str) else value
    return f"{TEMPLATE.resources[logical_id].type}.{attribute}"


def given(role: str) -> list[tuple[str, Any]]:
    """(action, resource as the template writes it) pairs of a role's inline policies."""
    pairs = []
    for policy in TEMPLATE.resources[role].properties["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement)
            resources = as_list(statement["Resource"])
            pairs += [(action, each) for action in as_list(statement["Action"]) for each in resources]
    return pairs


def granted(role: str) -> list[tuple[str, str]]:
    """(action, resource) pairs of a role's inline policies."""
    return [(action, resource_text(resource)) for action, resource in given(role)]


def of(role: str) -> dict[str, Permission]:
    return {each.action: each for each in ROLES[role]}


def test_every_role_of_the_template_is_in_the_table() -> None:
    roles = {name for name, resource in TEMPLATE.resources.items() if resource.type == "AWS::IAM::Role"}
    assert roles == set(ROLES), (
        "a role came or went: tests/support/permissions.py says what each may do and why"
    )


@pytest.mark.parametrize("role", ROLES)
def test_the_table_names_exactly_the_actions_that_the_template_gives(role: str) -> None:
    assert sorted({action for action, _ in granted(role)}) == sorted(of(role)), (
        "an action came or went: say in tests/support/permissions.py what for, and how it is proven"
    )


@pytest.mark.parametrize("role", ROLES)
def test_no_action_is_given_twice_or_with_a_wildcard(role: str) -> None:
    pairs = [(action, repr(resource)) for action, resource in given(role)]
    assert len(pairs) == len(set(pairs))
    assert not [action for action, _ in pairs if "*" in action or "?" in action]


@pytest.mark.parametrize("role", ROLES)
def test_every_resource_is_as_narrow_as_its_action_allows(role: str) -> None:
    for action, resource in granted(role):
        assert of(role)[action].resource.matches(resource), (action, resource)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_uses_no_managed_policy_and_trusts_the_lambda_service_only(role: str) -> None:
    properties = TEMPLATE.resources[role].properties
    assert "ManagedPolicyArns" not in properties
    (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert statement["Action"] == "sts:AssumeRole"


@pytest.mark.parametrize(
    "permission", [each for role in ROLES.values() for each in role], ids=lambda each: each.action
)
def test_a_permission_has_a_reason_a_level_and_where_it_is_only_static_a_note(permission: Permission) -> None:
    assert permission.action.partition(":")[0] in SERVICES
    assert permission.level in LEVELS
    assert len(permission.reason) > 10
    assert (permission.proof is Proof.STATIC) == bool(permission.note)
