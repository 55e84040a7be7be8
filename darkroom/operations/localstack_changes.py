"""What LocalStack's CloudFormation cannot do, found out before it is asked.

It reports an update of most kinds of resources as done and does nothing; only functions are really updated. And it
reports resources that it does not know as made. Both are read from the templates here, so that nothing is silently
ignored.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from darkroom.errors import DeployError
from darkroom.stack.plan import CODE_PARAMETERS
from darkroom.stack.template import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.stack import Template
    from darkroom.stack.template import Resource

_UPDATED = frozenset({"AWS::Lambda::Function"})
"""The types that an update really changes, measured with 4.14.0."""


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


def must_recreate(
    before: tuple[Template, Mapping[str, str]], after: tuple[Template, Mapping[str, str]]
) -> tuple[str, ...]:
    """The resources whose change an update would ignore; empty where an update does.

    Args:
        before: the deployed template with all its parameters.
        after: the wanted one.
    """
    old, new = _signatures(*before), _signatures(*after)
    types = {**before[0].resources, **after[0].resources}
    return tuple(
        sorted(
            name
            for name in old.keys() | new.keys()
            if old.get(name) != new.get(name)
            and (name not in old or name not in new or types[name].type not in _UPDATED)
        )
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
