"""A template's resources as they will be: parameters filled in, conditions decided, the rest left readable.

`{"Ref": "Bucket"}` becomes `${Bucket}` and `{"Fn::GetAtt": ["Images", "Arn"]}` becomes `${Images.Arn}`: what only
CloudFormation knows keeps its name, so that two renderings can be compared and shown to a person.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from darkroom.stack.template import Scope, Template, UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


def rendered(template: Template, values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Logical id -> properties of every active resource.

    Args:
        template: the template.
        values: all of its parameters; pseudo parameters may stand among them.
    """
    scope = Scope(template, values)
    return {
        key: _render(scope, values, dict(resource.properties))
        for key, resource in template.active(values).items()
    }


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, before, after) of every value that differs; None where there is none."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif _comparable(before) != _comparable(after):
        yield path, before, after


def short(value: Any, *, limit: int = 60) -> str:
    """A value on one line for a person."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _comparable(value: Any) -> Any:
    """Scalars as CloudFormation compares them: `75` and `"75"` are the same."""
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None else str(value)


def _render(scope: Scope, values: Mapping[str, str], value: Any) -> Any:
    if isinstance(value, list):
        items = (_render(scope, values, item) for item in value)
        return [item for item in items if item is not _NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" or name.startswith("Fn::"):
            return _function(scope, values, name, argument)
    items_of = {key: _render(scope, values, item) for key, item in value.items()}
    return {key: item for key, item in items_of.items() if item is not _NO_VALUE}


def _function(scope: Scope, values: Mapping[str, str], name: str, argument: Any) -> Any:
    match name:
        case "Ref":
            if argument == "AWS::NoValue":
                return _NO_VALUE
            return values.get(argument, f"${{{argument}}}")
        case "Fn::GetAtt":
            return f"${{{argument if isinstance(argument, str) else '.'.join(argument)}}}"
        case "Fn::If":
            condition, then, otherwise = argument
            return _render(scope, values, then if scope.holds(condition) else otherwise)
        case "Fn::Sub":
            return _substituted(scope, values, argument)
        case "Fn::Join":
            separator, parts = argument
            rendered_parts = _render(scope, values, parts)
            if isinstance(rendered_parts, list):
                return str(separator).join(str(part) for part in rendered_parts)
    try:
        return scope.resolve({name: argument})
    except UnresolvableError:
        return {name: _render(scope, values, argument)}


def _substituted(scope: Scope, values: Mapping[str, str], argument: str | list[Any]) -> str:
    text, own = (argument, {}) if isinstance(argument, str) else argument
    named = {name: str(_render(scope, values, value)) for name, value in own.items()}
    known = {**values, **named}
    return _VARIABLE.sub(lambda found: known.get(found[1], found[0]), text)
