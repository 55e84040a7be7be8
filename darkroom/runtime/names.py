"""How callers name a function: name, name:qualifier, partial ARN or full ARN.

Source: FunctionName and Qualifier of "Invoke"
(https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from darkroom.runtime.errors import InvalidParameterValueError

_REFERENCE = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?"
    r"(?:[a-z]{2}(?:-[a-z]+)+-\d:)?"
    r"(?:\d{12}:)?"
    r"(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]{1,140})"
    r"(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]{1,128}))?"
)


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function and, if the caller named one, its version or alias ("" if not)."""

    name: str
    qualifier: str = ""


def parse(reference: str, qualifier: str = "") -> FunctionName:
    """Read a FunctionName parameter and a Qualifier parameter.

    Raises:
        InvalidParameterValueError: it is no function name, or names another qualifier than the parameter.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise InvalidParameterValueError(f"{reference!r} is not a function's name or ARN")
    named = match["qualifier"] or ""
    if named and qualifier and named != qualifier:
        raise InvalidParameterValueError(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return FunctionName(match["name"], named or qualifier)


def qualified_arn(arn: str, qualifier: str) -> str:
    """The ARN with its qualifier, as it stands in the context object (`invoked_function_arn`)."""
    return f"{arn}:{qualifier}" if qualifier else arn
