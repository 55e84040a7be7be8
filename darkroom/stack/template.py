"""What a CloudFormation template says: parameters, resources, and which of them are active.

Only so much of CloudFormation's functions is evaluated here as can be known before a deployment: conditions,
and names made of parameters and pseudo parameters. The rest is the engine's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from darkroom.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_WITHOUT_PREFIX = frozenset({"Ref", "Condition"})
"""Short tags whose long form has no `Fn::`."""
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


class UnresolvableError(Exception):
    """A value depends on something that only the engine knows, such as a resource's identity."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the template; `default` is None where a value must be given."""

    name: str
    default: str | None
    rules: Mapping[str, Any] = field(default_factory=dict)
    """AllowedPattern, AllowedValues, MinValue, MaxValue and ConstraintDescription, as they stand in the template."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the template."""

    logical_id: str
    type: str
    condition: str | None
    deletion_policy: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A template as text and as data."""

    body: str
    parameters: Mapping[str, Parameter]
    resources: Mapping[str, Resource]
    conditions: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.body.encode()).hexdigest()

    @property
    def document(self) -> dict[str, Any]:
        """The whole template as data, with functions in their long form; a copy for the caller."""
        found: dict[str, Any] = yaml.load(self.body, _Loader)  # noqa: S506  (a SafeLoader with CloudFormation's tags)
        return found

    @classmethod
    def load(cls, path: Path) -> Template:
        """Read a template file.

        Raises:
            UsageError: the file is missing, is no YAML, or has no resources.
        """
        try:
            body = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"The template {path} cannot be read: {error.strerror}.") from error
        return cls.parse(body, name=str(path))

    @classmethod
    def parse(cls, body: str, *, name: str = "template") -> Template:
        """Read a template's text; `name` stands in error messages."""
        try:
            data = yaml.load(body, _Loader)  # noqa: S506  (a SafeLoader with CloudFormation's tags)
        except yaml.YAMLError as error:
            raise UsageError(f"{name} is no valid YAML: {error}") from error
        if not isinstance(data, dict) or not isinstance(data.get("Resources"), dict):
            raise UsageError(f"{name} is no CloudFormation template: it has no Resources.")
        return cls(
            body=body,
            parameters={
                key: Parameter(key, None if "Default" not in value else _text(value["Default"]), value)
                for key, value in data.get("Parameters", {}).items()
            },
            resources={key: _resource(key, value) for key, value in data["Resources"].items()},
            conditions=data.get("Conditions", {}),
        )

    def complete(self, given: Mapping[str, str]) -> dict[str, str]:
        """All parameters with the given values and the defaults of the others.

        Raises:
            UsageError: a name is unknown or a value is missing; the message lists what there is.
        """
        unknown = sorted(given.keys() - self.parameters.keys())
        if unknown:
            raise UsageError(
                f"The template has no parameter {', '.join(unknown)}.",
                hint=f"It has {', '.join(sorted(self.parameters))}.",
            )
        missing = sorted(
            name for name, known in self.parameters.items() if known.default is None and name not in given
        )
        if missing:
            raise UsageError(f"A value is missing for the template's parameter {', '.join(missing)}.")
        return {name: given.get(name, known.default or "") for name, known in self.parameters.items()}

    def active(self, values: Mapping[str, str]) -> dict[str, Resource]:
        """The resources whose conditions hold for these parameters (all of them, as `complete` returns)."""
        scope = Scope(self, values)
        return {
            key: resource
            for key, resource in self.resources.items()
            if resource.condition is None or scope.holds(resource.condition)
        }


class Scope:
    """Evaluates conditions and names with given parameters.

    Args:
        template: whose conditions.
        values: every parameter; pseudo parameters (`AWS::StackName` and so on) may stand among them.
    """

    def __init__(self, template: Template, values: Mapping[str, str]) -> None:
        self._conditions = template.conditions
        self._values = values

    def holds(self, condition: str) -> bool:
        """Whether a named condition holds.

        Raises:
            UsageError: the template has no such condition.
        """
        if condition not in self._conditions:
            raise UsageError(f"The template refers to the condition {condition}, which it does not define.")
        return bool(self.resolve(self._conditions[condition]))

    def resolve(self, value: Any) -> Any:
        """The value with its functions evaluated.

        Raises:
            UnresolvableError: a part of it is known to the engine only.
        """
        if isinstance(value, list):
            return [self.resolve(element) for element in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
            if name.startswith("Fn::"):
                raise UnresolvableError(name)
        return {key: self.resolve(element) for key, element in value.items()}

    def _ref(self, name: str) -> str:
        if name not in self._values:
            raise UnresolvableError(name)
        return self._values[name]

    def _equals(self, sides: list[Any]) -> bool:
        first, second = (_text(self.resolve(side)) for side in sides)
        return first == second

    def _if(self, arguments: list[Any]) -> Any:
        condition, then, otherwise = arguments
        return self.resolve(then if self.holds(condition) else otherwise)

    def _sub(self, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        named = {name: _text(self.resolve(value)) for name, value in own.items()}
        return _VARIABLE.sub(lambda found: named.get(found[1]) or self._ref(found[1]), text)


_FUNCTIONS: dict[str, Callable[[Scope, Any], Any]] = {
    "Ref": lambda scope, name: scope._ref(name),
    "Condition": lambda scope, name: scope.holds(name),
    "Fn::Equals": lambda scope, sides: scope._equals(sides),
    "Fn::Not": lambda scope, parts: not scope.resolve(parts[0]),
    "Fn::And": lambda scope, parts: all(scope.resolve(part) for part in parts),
    "Fn::Or": lambda scope, parts: any(scope.resolve(part) for part in parts),
    "Fn::If": lambda scope, arguments: scope._if(arguments),
    "Fn::Sub": lambda scope, argument: scope._sub(argument),
}


class _Loader(yaml.SafeLoader):
    """Plain YAML and CloudFormation's short tags (`!Ref x` is `{"Ref": "x"}`)."""


def _construct_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]
        if suffix == "GetAtt":
            value = value.split(".", 1)
    return {suffix if suffix in _WITHOUT_PREFIX else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _construct_tag)


def _resource(logical_id: str, data: Mapping[str, Any]) -> Resource:
    return Resource(
        logical_id=logical_id,
        type=data["Type"],
        condition=data.get("Condition"),
        deletion_policy=data.get("DeletionPolicy", "Delete"),
        properties=data.get("Properties", {}),
    )


def _text(value: Any) -> str:
    """A scalar as CloudFormation compares and passes it: text, and truth values in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)
