"""Requests and answers against the service's model.

Requests: a wrong JSON type is a SerializationException at once; violated constraints are collected and
become one ValidationException, in the words that AWS's framework uses (``Value '200.0' at 'minConfidence'
failed to satisfy constraint: …``; paths in camelCase). Unknown members are ignored, as the framework does.

Answers: stricter than any client. Unknown members, wrong types, values outside an enum or range, numbers
that are not finite: each is a sentence that names the place.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

from darkroom.rekognition.errors import serialization_error, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.rekognition.model import Shape

_JSON_WORDS = {dict: "START_OBJECT", list: "START_ARRAY", str: "STRING_VALUE", bool: "BOOLEAN_VALUE"}


def parse_request(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Empty means ``{}``, as for AWS.

    Raises:
        ServiceError: SerializationException where it is not a JSON object in UTF-8.
    """
    if not body:
        return {}
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise serialization_error("The request body is not valid JSON") from None
    if not isinstance(document, dict):
        raise serialization_error("The request body is not a JSON object")
    return document


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


def read_request(shape: Shape, document: dict[str, Any]) -> dict[str, Any]:
    """The typed request: blobs decoded, nulls and unknown members dropped.

    Raises:
        ServiceError: SerializationException or ValidationException.
    """
    problems: list[str] = []
    try:
        request = _read_structure(shape, document, "", problems)
    except RecursionError:
        raise serialization_error("The request body is nested too deeply") from None
    if problems:
        raise validation_error(problems)
    return request


def _read(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    return _READERS[shape.kind](shape, value, path, problems)


def _read_structure(shape: Shape, value: Any, path: str, problems: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(value, "Object")
    result = {}
    for name, member in shape.members.items():
        inner = value.get(name)
        where = f"{path}.{_camel(name)}" if path else _camel(name)
        if inner is not None:
            result[name] = _read(member, inner, where, problems)
        elif name in shape.required:
            problems.append(_sentence("null", where, "Member must not be null"))
    return result


def _read_list(shape: Shape, value: Any, path: str, problems: list[str]) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(value, "List")
    assert shape.element is not None  # noqa: S101 -- a list of the model always has an element
    _check_length(shape, len(value), _listed(value), path, problems)
    if shape.element.enum or shape.element.kind == "string":
        return _read_strings(shape.element, value, path, problems)
    return [
        _read(shape.element, inner, f"{path}.{number}.member", problems)
        for number, inner in enumerate(value, start=1)
        if inner is not None
    ]


def _read_strings(element: Shape, value: list[Any], path: str, problems: list[str]) -> list[str]:
    """A list of strings: the framework reports its elements together, as ``constraint: […]``."""
    inner_problems: list[str] = []
    result = [_read_string(element, inner, path, inner_problems) for inner in value if inner is not None]
    if inner_problems:
        constraint = inner_problems[0].split("failed to satisfy constraint: ", 1)[1]
        problems.append(
            _sentence(f"'{_listed(value)}'", path, f"Member must satisfy constraint: [{constraint}]")
        )
    return result


def _read_string(shape: Shape, value: Any, path: str, problems: list[str]) -> str:
    if isinstance(value, bool | int | float):
        # The framework reads a scalar where a string is due.
        value = json.dumps(value)
    if not isinstance(value, str):
        raise _wrong_type(value, "String")
    shown = f"'{value}'"
    _check_length(shape, len(value), value, path, problems)
    if shape.enum and value not in shape.enum:
        problems.append(
            _sentence(shown, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
        )
    if shape.pattern and not shape.pattern.fullmatch(value):
        problems.append(
            _sentence(shown, path, f"Member must satisfy regular expression pattern: {shape.pattern_text}")
        )
    return value


def _read_blob(shape: Shape, value: Any, path: str, problems: list[str]) -> bytes:
    if not isinstance(value, str):
        raise _wrong_type(value, "Blob")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise serialization_error(f"The value at '{path}' is not valid Base64") from None
    size = len(data)
    _check_length(shape, size, f"java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]", path, problems)
    return data


def _read_integer(shape: Shape, value: Any, path: str, problems: list[str]) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**31:
        raise _wrong_type(value, "Integer")
    _check_value(shape, value, path, problems)
    return value


def _read_float(shape: Shape, value: Any, path: str, problems: list[str]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(value, "Float")
    try:
        number = float(value)
    except OverflowError:
        raise _wrong_type(value, "Float") from None
    if not math.isfinite(number):
        raise _wrong_type(value, "Float")
    _check_value(shape, number, path, problems)
    return number


def _read_boolean(_shape: Shape, value: Any, _path: str, _problems: list[str]) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(value, "Boolean")
    return value


_READERS: dict[str, Callable[[Shape, Any, str, list[str]], Any]] = {
    "structure": _read_structure,
    "list": _read_list,
    "string": _read_string,
    "blob": _read_blob,
    "integer": _read_integer,
    "float": _read_float,
    "boolean": _read_boolean,
}


def _check_length(shape: Shape, size: int, shown: str, path: str, problems: list[str]) -> None:
    if shape.minimum is not None and size < shape.minimum:
        constraint = f"Member must have length greater than or equal to {shape.minimum}"
        problems.append(_sentence(f"'{shown}'", path, constraint))
    if shape.maximum is not None and size > shape.maximum:
        constraint = f"Member must have length less than or equal to {shape.maximum}"
        problems.append(_sentence(f"'{shown}'", path, constraint))


def _check_value(shape: Shape, number: float, path: str, problems: list[str]) -> None:
    if shape.minimum is not None and number < shape.minimum:
        constraint = f"Member must have value greater than or equal to {shape.minimum}"
        problems.append(_sentence(f"'{number}'", path, constraint))
    if shape.maximum is not None and number > shape.maximum:
        constraint = f"Member must have value less than or equal to {shape.maximum}"
        problems.append(_sentence(f"'{number}'", path, constraint))


def _sentence(shown: str, path: str, constraint: str) -> str:
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _listed(value: list[Any]) -> str:
    return f"[{', '.join(str(item) for item in value)}]"


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _wrong_type(value: object, wanted: str) -> Exception:
    found = _JSON_WORDS.get(type(value), "NUMBER_VALUE")
    return serialization_error(f"{found} can not be converted to {wanted}")


def answer_problems(shape: Shape, value: Any, path: str = "") -> list[str]:
    """What in an answer would not be the service's shape: one sentence each, empty when it is right."""
    problems: list[str] = []
    _check_answer(shape, value, path or shape.name, problems)
    return problems


def _check_answer(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    _CHECKERS[shape.kind](shape, value, path, problems)


def _check_structure(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    if not isinstance(value, dict):
        problems.append(f"{path} must be a mapping")
        return
    members = shape.members
    for name, inner in value.items():
        member = members.get(name)
        if member is None:
            problems.append(f"{path}.{name} is not a member of the service's {shape.name}")
        else:
            _CHECKERS[member.kind](member, inner, f"{path}.{name}", problems)
    problems.extend(f"{path}.{name} is missing" for name in shape.required if name not in value)


def _check_list(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    if not isinstance(value, list):
        problems.append(f"{path} must be a list")
        return
    _check_bounds(shape, len(value), path, problems)
    element = shape.element
    assert element is not None  # noqa: S101 -- a list of the model always has an element
    check = _CHECKERS[element.kind]
    for number, inner in enumerate(value):
        check(element, inner, f"{path}[{number}]", problems)


def _check_string(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    if not isinstance(value, str):
        problems.append(f"{path} must be a string")
        return
    if shape.enum and value not in shape.enum:
        problems.append(f"{path} is {value!r}, which is not one of {', '.join(shape.enum)}")
    if shape.pattern and not shape.pattern.fullmatch(value):
        problems.append(f"{path} is {value!r}, which does not match {shape.pattern_text}")
    _check_bounds(shape, len(value), path, problems)


def _check_integer(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        problems.append(f"{path} must be a whole number")
        return
    _check_bounds(shape, value, path, problems)


def _check_float(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        problems.append(f"{path} must be a finite number")
        return
    _check_bounds(shape, value, path, problems)


def _check_boolean(_shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    if not isinstance(value, bool):
        problems.append(f"{path} must be true or false")


def _check_bounds(shape: Shape, size: float, path: str, problems: list[str]) -> None:
    if (shape.minimum is not None and size < shape.minimum) or (
        shape.maximum is not None and size > shape.maximum
    ):
        low = "" if shape.minimum is None else f"{shape.minimum} or more"
        high = "" if shape.maximum is None else f"{shape.maximum} or less"
        problems.append(
            f"{path} is {size:g}; it must be {' and '.join(part for part in (low, high) if part)}"
        )


_CHECKERS: dict[str, Callable[[Shape, Any, str, list[str]], None]] = {
    "structure": _check_structure,
    "list": _check_list,
    "string": _check_string,
    "integer": _check_integer,
    "float": _check_float,
    "boolean": _check_boolean,
}
