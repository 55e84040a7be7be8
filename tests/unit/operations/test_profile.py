"""Writing a profile into the user's AWS files changes nothing else in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest

from darkroom.engine.keys import Keys
from darkroom.errors import UsageError
from darkroom.operations.environment import Environment
from darkroom.operations.profile import write_profile
from darkroom.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = (
    "# mine\n[default]\nregion = eu-west-1\n\n[profile work]\nrole_arn = arn:aws:iam::111122223333:role/x\n"
)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws" / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws" / "credentials"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    home = tmp_path / "home"
    home.mkdir()
    Keys("ROOTx", "token", "AKIAEXAMPLEEXAMPLE12", "secret").write(home / "instance.json")
    return Environment(Settings(home=home, port=4999))


def test_a_profile_is_written_that_an_sdk_can_use(environment: Environment, tmp_path: Path) -> None:
    write_profile(environment, "dark")
    session = boto3.Session(profile_name="dark")
    client = session.client("s3")
    assert client.meta.endpoint_url == "http://127.0.0.1:4999"
    assert session.get_credentials().access_key == "AKIAEXAMPLEEXAMPLE12"  # type: ignore[union-attr]
    assert (tmp_path / "aws" / "credentials").stat().st_mode & 0o777 == 0o600


def test_everything_else_in_the_files_stays_to_the_letter(environment: Environment, tmp_path: Path) -> None:
    config = tmp_path / "aws" / "config"
    config.parent.mkdir()
    config.write_text(CONFIG)
    write_profile(environment, "dark")
    write_profile(environment, "dark")
    text = config.read_text()
    assert text.startswith(CONFIG)
    assert text.count("[profile dark]") == 1


def test_a_profile_of_somebody_elses_is_not_touched(environment: Environment, tmp_path: Path) -> None:
    config = tmp_path / "aws" / "config"
    config.parent.mkdir()
    config.write_text(CONFIG)
    with pytest.raises(UsageError) as error:
        write_profile(environment, "work")
    assert "[profile work]" in error.value.message
    assert config.read_text() == CONFIG
