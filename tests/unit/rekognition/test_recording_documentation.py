"""docs/recording.md: its commands run as they stand, with a stand-in for AWS, and it names all that can be used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.cli.record import record_command
from darkroom.cli.rekognition_modes import mode_command, recordings_command, verify_command
from darkroom.rekognition.modes import Mode
from darkroom.rekognition.recorder import ON_ONE_PICTURE
from tests.support.stand_in_aws import KEY, SECRET, stand_in_aws

from .helpers import FIXTURES, IMAGES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (ROOT / "docs" / "recording.md").read_text("utf-8")


def test_the_way_from_photos_to_recordings_in_ci_is_walked_as_it_is_documented(tmp_path: Path) -> None:
    blocks = re.findall(r"```sh walkthrough\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 4
    folder = tmp_path / "recorded"
    shutil.copytree(
        ROOT / "docs" / "examples" / "recorded", folder, ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "photos").mkdir()
    for name in ("cat-chelsea.png", "coffee.png", "rocket-launch.jpg"):
        shutil.copy(IMAGES / name, folder / "photos")
    with stand_in_aws(FIXTURES) as aws:
        done = subprocess.run(
            ["sh", "-eu", "-c", "\n".join(blocks)],
            cwd=folder,
            env=shell(tmp_path, aws.endpoint),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert aws.calls == ["DetectLabels"] * 6, "three to record, three to verify, none to replay"
    assert "3 calls would be asked" in done.stdout
    assert "3 recorded." in done.stdout
    assert "4 passed" in done.stdout
    assert "3 the same, 0 differ, 0 not recorded." in done.stdout
    files = list((folder / "answers" / "recorded").rglob("*.json"))
    assert len(files) == 3
    assert all(json.loads(path.read_text())["parameters"]["MinConfidence"] == 0 for path in files)


def shell(folder: Path, endpoint: str) -> dict[str, str]:
    """A developer's, with keys, and AWS where the stand-in is."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PYTEST_", "DARKROOM_"))
    }
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "DARKROOM_AWS_ENDPOINT_URL": endpoint,
        "DARKROOM_LEDGER": str(folder / "ledger.sqlite3"),
    }


def commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from commands(inner)


def test_every_command_option_mode_and_operation_is_documented() -> None:
    words = {mode.value for mode in Mode} | set(ON_ONE_PICTURE)
    for root in (record_command, mode_command, recordings_command, verify_command):
        for command in commands(root):
            words.add(str(command.name))
            words |= {
                name for parameter in command.params for name in parameter.opts if name.startswith("--")
            }
    assert {word for word in words if word not in TEXT} == set()
