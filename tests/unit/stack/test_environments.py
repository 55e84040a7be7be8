from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.errors import UsageError
from darkroom.stack.environments import AwsTarget, Budget, Environment, StandIn, load_environment

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


AWS = '[aws]\naccount_id = "123456789012"\nregion = "eu-central-1"\n'


def test_a_file_without_aws_is_for_local_engines_only(tmp_path: Path) -> None:
    assert load_environment(write(tmp_path, "")).aws is None


def test_account_region_and_budget_are_read(tmp_path: Path) -> None:
    text = AWS + 'profile = "p"\nstack = "shop"\n[budget]\nimages_per_month = 5\nusd_per_month = 2\n'
    loaded = load_environment(write(tmp_path, text))
    assert loaded.aws == AwsTarget("123456789012", "eu-central-1", "p", "shop")
    assert loaded.aws.artefact_bucket == "shop-artefacts-123456789012-eu-central-1"
    assert loaded.budget == Budget(images_per_month=5, usd_per_month=2)


def test_a_file_builds_on_another_and_its_own_values_win(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("[parameters]\nA = 1\nB = 1\n[tags]\nx = 1\n" + AWS)
    loaded = load_environment(write(tmp_path, 'extends = "base"\ndescription = "d"\n[parameters]\nB = 2\n'))
    assert (loaded.parameters, loaded.tags, loaded.description) == ({"A": "1", "B": "2"}, {"x": "1"}, "d")
    assert loaded.aws is None, "an account is never inherited"


def test_a_circle_of_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('extends = "mine"')
    with pytest.raises(UsageError, match="leads back"):
        load_environment(write(tmp_path, 'extends = "base"'))


def test_a_stand_in_is_found_relative_to_the_file(tmp_path: Path) -> None:
    text = AWS + '[stand_in]\nendpoint_url = "http://127.0.0.1:4599"\nhome = "state"\n'
    assert load_environment(write(tmp_path, text)).stand_in == StandIn(
        "http://127.0.0.1:4599", (tmp_path / "state").resolve()
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[aws]\nregion = "eu-central-1"', r"aws\.account_id is missing"),
        ('[aws]\naccount_id = ""\nregion = "eu-central-1"', r"aws\.account_id is missing"),
        ('[aws]\naccount_id = 123456789012\nregion = "eu-central-1"', "twelve digits, in quotes"),
        ('[aws]\naccount_id = "123456789012"\nregion = "Frankfurt"', "a region such as"),
        (AWS + 'stack = "My Stack"', "lower-case"),
        (AWS + 'acount = "1"', r"unknown aws\.acount"),
        ("[budget]\nimages_per_month = 1.5", "a whole number"),
        ("[budget]\nusd_per_month = -1", "at least 0"),
        ("[budget]\nusd_per_month = true", "an amount"),
        ('[stand_in]\nendpoint_url = "http://127.0.0.1:1"', "needs endpoint_url and home"),
        ('[stand_in]\nendpoint_url = "https://example.com"\nhome = "h"', "an address of this machine"),
        ("description = 1", "must be a text"),
        ('extends = "nobody"', "There is no environment file"),
    ],
)
def test_what_is_wrong_with_a_target_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_environment(write(tmp_path, text))
