"""The command line without an environment: help, words, escapes."""

from __future__ import annotations

import re
import subprocess
import sys

import click
from click.testing import CliRunner

from darkroom.cli import _COMMANDS, cli
from darkroom.cli.console import outcome_line, printable
from darkroom.settings import PROJECT_ROOT, Settings


def test_help_loads_neither_boto3_nor_rich_nor_pydantic() -> None:
    code = (
        "import sys\n"
        "from darkroom.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "print(sorted({'boto3', 'botocore', 'rich', 'pydantic', 'aiohttp'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    context = click.Context(cli)
    for name in _COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help, name
        assert re.search(rf"`darkroom [^`]*\b{name}\b|`make [^`]*\b{name}\b", readme), (
            f"{name} is not in README.md"
        )


def test_every_setting_stands_in_the_readme_with_its_default() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    for name in Settings.model_fields:
        assert f"`DARKROOM_{name.upper()}`" in readme, name


def test_an_unknown_command_is_a_users_error() -> None:
    result = CliRunner().invoke(cli, ["fly"])
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_escape_sequences_in_names_cannot_reach_the_terminal() -> None:
    assert printable("a\x1b[31mred\n.jpg") == "a\\x1b[31mred\\n.jpg"
    assert printable("größe 📷.jpg") == "größe 📷.jpg"


def test_tail_shows_a_failure_with_its_reason() -> None:
    line = outcome_line(
        {
            "outcome": "failed",
            "time": "2026-11-20 20:40:46,550+0000",
            "image": "uploads/a.jpg",
            "error_code": "InvalidImageFormatException",
            "error_message": "no picture",
            "duration_ms": 12.3,
        }
    )
    assert line == "20:40:46  failed     uploads/a.jpg  InvalidImageFormatException: no picture  12 ms"


def test_tail_shows_the_times_of_an_image() -> None:
    line = outcome_line(
        {
            "outcome": "tagged",
            "time": "2026-11-20 20:40:46,550+0000",
            "image": "uploads/a.jpg",
            "labels": 3,
            "duration_ms": 52.6,
            "delay_ms": 11.2,
            "rekognition_ms": 20.4,
            "rekognition_throttles": 2,
            "source": "aws",
        }
    )
    assert line == (
        "20:40:46  tagged     uploads/a.jpg  3 labels  "
        "53 ms (waited 11 ms, Rekognition 20 ms, 2 × throttled)  (aws)"
    )
