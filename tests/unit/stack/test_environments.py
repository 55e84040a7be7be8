from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.errors import UsageError
from darkroom.stack.environments import Environment, load_environment

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_values_are_passed_on_as_text(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[parameters]\nMinConfidence = 80\nFlag = true\nName = "a"\nShare = 0.5\n[tags]\nteam = "x"\n',
    )
    assert load_environment(path) == Environment(
        "mine", {"MinConfidence": "80", "Flag": "true", "Name": "a", "Share": "0.5"}, {"team": "x"}
    )


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_environment(write(tmp_path, "")) == Environment("mine", {}, {})


def test_a_missing_file_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(UsageError, match=r"other\.toml") as caught:
        load_environment(tmp_path / "other.toml")
    assert "mine" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[parameters", "no valid TOML"),
        ("[parameter]\nA = 1", "unknown parameter"),
        ("parameters = 1", "must be a table"),
        ("[parameters]\nA = [1]", r"parameters\.A"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=said) as caught:
        load_environment(path)
    assert str(path) in str(caught.value)
