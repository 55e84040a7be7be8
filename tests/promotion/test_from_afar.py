"""The everyday commands against a deployed environment: `--env NAME`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from darkroom.cli import cli
from tests.promotion.conftest import ACCOUNT, STACK
from tests.support import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.promotion.conftest import Stage

BUCKET = f"{STACK}-{ACCOUNT}"


@pytest.fixture(scope="module", autouse=True)
def _deployed(stage: Stage) -> None:
    stage.deploy()


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command with the checkout's settings, and no local environment; returns its output."""
    stage.promotion()
    monkeypatch.setenv("DARKROOM_PROJECT", str(stage.project))
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DARKROOM_INBOX", str(tmp_path / "inbox"))

    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli, [*arguments, "--env", "prod"], catch_exceptions=True)
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    return call


def test_a_folder_goes_up_once_and_its_pictures_are_listed_and_shown(run: Any, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "far.jpg").write_bytes(pictures.jpeg(7))
    assert "1 uploaded" in run("sync", "--yes")
    assert "0 uploaded, 1 there already" in run("sync", "--yes")
    deadline = time.monotonic() + 20
    while "far.jpg" not in (listed := run("ls", "--json")):
        assert time.monotonic() < deadline
    (record,) = [it for it in json.loads(listed) if it["ImageID"] == "uploads/far.jpg"]
    assert record["S3Bucket"] == BUCKET
    assert json.loads(run("show", "far.jpg", "--json"))["ImageID"] == "uploads/far.jpg"


def test_status_tells_stack_release_and_last_deployment(run: Any) -> None:
    status = json.loads(run("status", "--json"))
    assert status["stack"] == f"{STACK} in account {ACCOUNT}, us-east-1"
    assert status["status"] == "CREATE_COMPLETE"
    assert "by darkroom" in status["deployed"]
    assert (status["dead_letters"], status["troubles"]) == (0, [])


def test_stats_failed_redrive_and_rescan_work_from_afar(run: Any) -> None:
    assert json.loads(run("stats", "--json"))["invocations"] > 0
    assert run("failed", "--json").strip() == "[]"
    assert json.loads(run("redrive", "--json"))["sent"] == []
    assert json.loads(run("rescan", "--json"))["sent"] == 0


def test_iam_spells_out_statements_and_the_deployers_policy(run: Any) -> None:
    assert f"on arn:aws:s3:::{BUCKET}/uploads/*" in run("iam")
    assert json.loads(run("iam", "--deployer"))["Statement"][0]["Sid"] == "WhoAmI"


def test_open_prints_the_pages_address(run: Any) -> None:
    assert "/live/" in run("open", "--print")


def test_an_environment_that_is_not_there_is_named(run: Any) -> None:
    result = CliRunner().invoke(cli, ["ls", "--env", "nowhere"])
    assert result.exception is not None
    assert "There is no environment file" in str(result.exception)
