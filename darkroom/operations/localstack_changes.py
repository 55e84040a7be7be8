"""What LocalStack's CloudFormation cannot do, found out before it is asked.

It reports an update of most kinds of resources as done and does nothing; only functions are really updated. And it
reports resources that it does not know as made. Both are read from the templates here, so that nothing is silently
ignored.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from darkroom.errors import DeployError, UsageError
from darkroom.stack.plan import CODE_PARAMETERS
from darkroom.stack.template import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.stack import Template
    from darkroom.stack.template import Resource

_UPDATED = frozenset({"AWS::Lambda::Function"})
"""The types that an update really changes, measured with 4.14.0."""
_NOT_ENFORCED = frozenset(
    {"AWS::IAM::Role", "AWS::IAM::Policy", "AWS::Lambda::Permission", "AWS::S3::BucketPolicy"}
)
"""Permissions: LocalStack community asks for none, so that a stale one makes no difference."""


@cache
def supported_types() -> frozenset[str]:
    """What LocalStack community 4.14.0 has plugins for (`cloudformation.resource_providers`), in lower case."""
    return frozenset((files("darkroom.engine.localstack") / "resource_types.txt").read_text().split())


def refuse_unsupported(template: Template, values: Mapping[str, str]) -> None:
    """
    Raises:
        DeployError: an active resource is of a type that LocalStack leaves out; all of them are named.
    """
    unknown = [
        f"{resource.logical_id} ({resource.type})"
        for resource in template.active(values).values()
        if resource.type.lower() not in supported_types()
    ]
    if unknown:
        raise DeployError(
            f"LocalStack community 4.14.0 cannot make {', '.join(unknown)}; it would report them as made.",
            hint="Put them under a Condition that is off locally (a parameter in environments/local.toml), or use the "
            "embedded engine.",
        )


def refuse_values(template: Template, values: Mapping[str, str]) -> None:
    """
    Raises:
        UsageError: a value is not what the template allows; LocalStack would take it.
    """
    for name, parameter in template.parameters.items():
        if (value := values.get(name)) is not None and not _allowed(value, parameter.rules):
            words = parameter.rules.get("ConstraintDescription")
            raise UsageError(
                f"{name}={value} is not allowed: {words or 'see its rules in the template'}.",
                hint="The template says what is: "
                + ", ".join(f"{key} {it}" for key, it in _rules(parameter.rules))
                + ".",
            )


def _rules(rules: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (key, rules[key])
        for key in ("AllowedPattern", "AllowedValues", "MinValue", "MaxValue")
        if key in rules
    ]


def _allowed(value: str, rules: Mapping[str, Any]) -> bool:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html"""
    if rules.get("Type") == "Number":
        try:
            number = float(value)
        except ValueError:
            return False
        if not float(rules.get("MinValue", number)) <= number <= float(rules.get("MaxValue", number)):
            return False
    if "AllowedValues" in rules and value not in {str(each) for each in rules["AllowedValues"]}:
        return False
    return "AllowedPattern" not in rules or re.fullmatch(rules["AllowedPattern"], value) is not None


@dataclass(frozen=True, slots=True)
class Ignored:
    """The resources whose change an update would ignore.

    Attributes:
        real: those that need a new stack.
        permissions: those that make no difference on LocalStack, which enforces none.
    """

    real: tuple[str, ...]
    permissions: tuple[str, ...]


def ignored_changes(
    before: tuple[Template, Mapping[str, str]], after: tuple[Template, Mapping[str, str]]
) -> Ignored:
    """What an update would leave as it is.

    Args:
        before: the deployed template with all its parameters.
        after: the wanted one.
    """
    old, new = _signatures(*before), _signatures(*after)
    types = {name: it.type for template, _ in (before, after) for name, it in template.resources.items()}
    come_or_gone = old.keys() ^ new.keys()
    changed = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    permissions = {name for name in changed if types[name] in _NOT_ENFORCED}
    updated = {name for name in changed if types[name] in _UPDATED}
    return Ignored(
        tuple(sorted(come_or_gone | (changed - permissions - updated))), tuple(sorted(permissions))
    )


def _signatures(template: Template, values: Mapping[str, str]) -> dict[str, str]:
    """Everything that decides what a resource is, but its code; for each active resource."""
    scope = Scope(template, values)
    return {
        name: _signature(resource, template, values, scope)
        for name, resource in template.active(values).items()
    }


def _signature(resource: Resource, template: Template, values: Mapping[str, str], scope: Scope) -> str:
    text = json.dumps([resource.type, resource.properties], sort_keys=True, default=str)
    parameters = {
        name: values.get(name, "")
        for name in template.parameters.keys() - CODE_PARAMETERS
        if f'"{name}"' in text or f"${{{name}}}" in text
    }
    conditions = {name: scope.holds(name) for name in template.conditions if f'"{name}"' in text}
    return json.dumps([text, parameters, conditions], sort_keys=True)
