"""The walkthrough of the documentation, run as it stands, on a copy of the example that it is about."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .helpers import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "branching"
DOCUMENTATION = ROOT / "docs" / "rekognition.md"


def test_twenty_photographs_are_described_and_tested_by_the_documented_commands(tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh walkthrough\n(.*?)```", DOCUMENTATION.read_text("utf-8"), re.DOTALL)
    folder = tmp_path / "branching"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("photos", "answers", "__pycache__"))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "21 passed" in done.stdout
    assert "0 errors, 0 remarks" in done.stderr
    assert len(list((folder / "answers" / "authored").iterdir())) == 20
