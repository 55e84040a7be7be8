from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from darkroom.engine.streams import forget_places

if TYPE_CHECKING:
    from pathlib import Path


def test_places_in_streams_are_taken_out_of_the_engines_state_and_nothing_else(tmp_path: Path) -> None:
    state = {"esms": {"a": 1}, "functions": {}, "dynamodb_stream_positions": {"a": 7}}
    (tmp_path / "lambda.json").write_text(json.dumps({"__ministack_format__": 2, "payload": state}))
    forget_places(tmp_path)
    assert json.loads((tmp_path / "lambda.json").read_text()) == {
        "__ministack_format__": 2,
        "payload": {"esms": {"a": 1}, "functions": {}},
    }


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"payload": 1}'])
def test_a_state_without_places_stays_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "lambda.json").write_text(content)
    forget_places(tmp_path)
    assert (tmp_path / "lambda.json").read_text() == content


def test_the_first_start_has_no_state_yet(tmp_path: Path) -> None:
    forget_places(tmp_path)
    assert list(tmp_path.iterdir()) == []
