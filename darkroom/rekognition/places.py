"""Where in a fixture file something stands: a place such as ``faces[0].box`` as the number of a line.

Sentences about a file name a place in its structure; an editor and a reviewer want the line.
"""

from __future__ import annotations

import re
from typing import Any

_YAML_LINE = re.compile(r"\bline (\d+), column \d+")
_INDEX = re.compile(r"\[(\d+)\]")


def line_of(text: str, sentence: str) -> int:
    """The line (from 1) that a sentence ``place: what is wrong`` is about.

    As far as the place can be followed: a member that is missing has the line of what should hold it. A sentence
    without a place is about the whole file, whose first line is 1; one of the YAML parser names its line itself.
    """
    import yaml

    try:
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        lines = _YAML_LINE.findall(sentence)
        return int(lines[-1]) if lines else 1
    place = sentence.split(": ", 1)[0]
    places = [place]
    if place[
        :1
    ].isupper():  # in the shape of an answer, DetectLabels.Labels[0]: a literal one, or what made it
        places = [f"answers.{place}", *(["labels"] if place.startswith("DetectLabels") else [])]
    return next((line for line in (_follow(root, place, 0) for place in places) if line), 1)


def _follow(node: Any, rest: str, line: int) -> int:
    """Go down as far as `rest` fits; the line of what was reached, or `line`."""
    rest = rest.removeprefix(".")
    if isinstance(getattr(node, "value", None), str) or node is None or not rest:
        return line
    if rest.startswith("["):
        match = _INDEX.match(rest)
        if match is None or int(match[1]) >= len(node.value) or isinstance(node.value[0], tuple):
            return line
        item = node.value[int(match[1])]
        return _follow(item, rest[match.end() :], item.start_mark.line + 1)
    fitting = [
        (key, inner)
        for key, inner in (pair for pair in node.value if isinstance(pair, tuple))
        if rest == key.value or rest.startswith((f"{key.value}.", f"{key.value}["))
    ]
    if not fitting:
        return line
    # names may hold dots ("St. Bernard"): the longest that fits is meant
    key, inner = max(fitting, key=lambda pair: len(pair[0].value))
    return _follow(inner, rest[len(key.value) :], key.start_mark.line + 1)
