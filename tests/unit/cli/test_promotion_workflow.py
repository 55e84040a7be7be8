"""The workflow asks for no more than it needs, and calls commands and options that there are."""

from __future__ import annotations

import re
from typing import Any

import click
import yaml

from darkroom.cli import cli
from darkroom.settings import PROJECT_ROOT

TEXT = (PROJECT_ROOT / ".github" / "workflows" / "promote.yml").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)


def test_credentials_come_from_oidc_and_no_secret_is_used() -> None:
    assert "secrets." not in TEXT
    for job in WORKFLOW["jobs"].values():
        assert job["permissions"]["id-token"] == "write"
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_a_deployment_waits_for_the_environments_reviewers_and_follows_a_plan() -> None:
    deploy = WORKFLOW["jobs"]["deploy"]
    assert deploy["needs"] == "plan"
    assert "environment" in deploy
    assert "workflow_dispatch" in deploy["if"]


def test_the_plan_is_a_comment_and_forks_get_no_credentials() -> None:
    assert "gh pr comment" in TEXT
    assert "head.repo.full_name == github.repository" in WORKFLOW["jobs"]["plan"]["if"]


def test_every_option_that_it_calls_is_one() -> None:
    for command, rest in re.findall(r"scripts/deploy (\w+) ([^\n]*)", TEXT):
        found = cli.get_command(click.Context(cli), command)
        assert found is not None
        known = {name for option in found.params for name in option.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, command
