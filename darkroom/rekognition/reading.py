"""Reading what a person wrote: YAML with few surprises, and values checked with sentences that name the
place.

YAML's oldest traps are closed: ``no``, ``on`` and ``yes`` are words, dates and ``12:30`` are text, a key that
stands twice is an error.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_BYTES = 2 * 1024 * 1024


class UnreadableError(Exception):
    """A file is not YAML, or not a mapping. The message says where."""


@cache
def _loader() -> type[Any]:
    import yaml

    base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class PlainLoader(base):  # type: ignore[misc]  # the C loader where PyYAML was built with it
        """Safe YAML without the surprising words."""

        yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 -- PyYAML's own class attribute

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key_node, _value in node.value:
                if key_node.value in seen:
                    message = f"the key {key_node.value!r} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
                seen.add(key_node.value)
            return dict(super().construct_mapping(node, deep=deep))

    for tag, pattern, first in (
        ("tag:yaml.org,2002:bool", r"true|false", "tf"),
        ("tag:yaml.org,2002:null", r"null|~|", ["n", "~", ""]),
        ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
        ("tag:yaml.org,2002:float", r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
    ):
        PlainLoader.add_implicit_resolver(tag, re.compile(f"^(?:{pattern})$"), list(first))
    return PlainLoader


def load_mapping(data: bytes) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UnreadableError: it is too large, not UTF-8, not YAML, or not a mapping.
    """
    import yaml

    if len(data) > MOST_BYTES:
        raise UnreadableError(f"the file has {len(data)} bytes; a fixture has at most {MOST_BYTES}")
    try:
        document = yaml.load(data.decode("utf-8"), Loader=_loader())  # noqa: S506 -- derived from the safe loader
    except UnicodeDecodeError as error:
        raise UnreadableError(f"the file is not UTF-8 (byte {error.start})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UnreadableError(" ".join(str(error).replace('in "<unicode string>",', "at").split())) from None
    if not isinstance(document, dict):
        raise UnreadableError("the file must hold a mapping: image:, labels:, faces: and so on")
    return document


@dataclass(slots=True)
class Reader:
    """Collects problems while values are read; a value that is wrong is replaced by a harmless one.

    `problems` make the file unusable; `remarks` are what a linter shows besides (an unknown label, say).
    """

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def problem(self, where: str, sentence: str) -> None:
        """The file cannot be used as it is."""
        self.problems.append(f"{where}: {sentence}")

    def remark(self, where: str, sentence: str) -> None:
        """The file can be used, but a real answer would look different."""
        self.remarks.append(f"{where}: {sentence}")

    def number(self, value: object, where: str, *, low: float, high: float) -> float:
        """A finite number in a closed range."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.problem(where, f"must be a number from {low:g} to {high:g}, not {value!r}")
            return low
        if not low <= value <= high:
            self.problem(where, f"is {value:g}; it must be from {low:g} to {high:g}")
            return low
        return float(value)

    def percent(self, value: object, where: str) -> float:
        """A confidence, 0 to 100."""
        return self.number(value, where, low=0, high=100)

    def text(self, value: object, where: str) -> str:
        """A string; a number is read as the text that it was written as."""
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        self.problem(where, f"must be text, not {value!r}")
        return ""

    def texts(self, value: object, where: str) -> list[str]:
        """A list of strings, or one string."""
        values = value if isinstance(value, list) else [value]
        return [self.text(item, f"{where}[{number}]") for number, item in enumerate(values)]

    def choice(self, value: object, where: str, choices: Iterable[str]) -> str:
        """One of a few words, in any case; answered in the case of the service."""
        known = {word.casefold(): word for word in choices}
        found = known.get(str(value).casefold())
        if found is None:
            self.problem(where, f"is {value!r}; it must be one of {', '.join(known.values())}")
            return next(iter(known.values()))
        return found

    def flag(self, value: object, where: str) -> bool:
        """True or false."""
        if not isinstance(value, bool):
            self.problem(where, f"must be true or false, not {value!r}")
            return False
        return value

    def mapping(self, value: object, where: str, *, known: Iterable[str] = ()) -> dict[str, Any]:
        """A mapping with text keys; with `known`, any other key is a problem that lists them."""
        if not isinstance(value, dict):
            self.problem(where, f"must be a mapping, not {value!r}")
            return {}
        allowed = tuple(known)
        result = {}
        for key, inner in value.items():
            if not isinstance(key, str | int | float):
                self.problem(where, f"the key {key!r} must be text")
            elif allowed and key not in allowed:
                self.problem(where, f"{key!r} is not known here; known are {', '.join(allowed)}")
            else:
                result[str(key)] = inner
        return result

    def entries(self, value: object, where: str) -> Iterator[tuple[str, Any]]:
        """A list's elements, each with its place."""
        if not isinstance(value, list):
            self.problem(where, f"must be a list, not {value!r}")
            return
        for number, item in enumerate(value):
            yield f"{where}[{number}]", item

    def box(self, value: object, where: str) -> dict[str, float]:
        """``[left, top, width, height]`` as shares of the picture (0 to 1) as a BoundingBox.

        A box may reach a little over the edge, as real ones do.
        """
        if not isinstance(value, list) or len(value) != 4:
            self.problem(where, f"must be [left, top, width, height] as shares from 0 to 1, not {value!r}")
            return {"Width": 0.0, "Height": 0.0, "Left": 0.0, "Top": 0.0}
        left, top = (self.number(part, where, low=-0.5, high=1) for part in value[:2])
        width, height = (self.number(part, where, low=0, high=1.5) for part in value[2:])
        return {"Width": width, "Height": height, "Left": left, "Top": top}

    def member(self, mapping: Mapping[str, Any], name: str, where: str) -> Any:
        """A member that must be there."""
        if name not in mapping:
            self.problem(where, f"{name!r} is missing")
        return mapping.get(name)
