"""`environments/<name>.toml`: what differs between the places where the stack runs.

[parameters]          # of template.yaml; numbers and truth values are passed on as text
MinConfidence = 80

[tags]                # on the stack and everything in it
project = "darkroom"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TABLES = ("parameters", "tags")


@dataclass(frozen=True, slots=True)
class Environment:
    """The contents of one environment file."""

    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)


def load_environment(path: Path) -> Environment:
    """Read an environment file.

    Raises:
        UsageError: the file is missing (the message lists the others), is no TOML, or holds something
            unknown.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = ", ".join(sorted(other.stem for other in path.parent.glob("*.toml"))) or "none"
        raise UsageError(f"There is no environment file {path}.", hint=f"There are: {there}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}") from error
    unknown = sorted(data.keys() - set(_TABLES))
    if unknown:
        raise UsageError(f"{path}: unknown {', '.join(unknown)}.", hint=f"Known are {', '.join(_TABLES)}.")
    return Environment(path.stem, *(_texts(path, table, data.get(table, {})) for table in _TABLES))


def _texts(path: Path, table: str, values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        raise UsageError(f"{path}: {table} must be a table, written as [{table}].")
    texts: dict[str, str] = {}
    for name, value in values.items():
        if not isinstance(value, str | int | float | bool):
            raise UsageError(f"{path}: {table}.{name} must be a text, a number or true or false.")
        texts[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return texts
