"""A file that may not be read is said and kept in mind, and uploaded once it may be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration


def without_roots_privilege(command: list[str]) -> list[str]:
    """Root reads every file, whatever its mode; without these two capabilities it does not."""
    if os.geteuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    assert setpriv, "as root this test needs setpriv (util-linux)"
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search", *command]


def test_an_unreadable_file_is_named_and_stops_no_other(running: Running, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "open.jpg").write_bytes(pictures.jpeg(801))
    locked = folder / "locked.jpg"
    locked.write_bytes(pictures.jpeg(802))
    if os.geteuid() == 0:
        os.chown(locked, 65534, 65534)
    locked.chmod(0o000)
    command = [
        sys.executable, "-m", "darkroom.sync", "--once",
        "--folder", str(folder),
        "--bucket", running.bucket,
        "--prefix", "uploads/unreadable/",
        "--journal", str(tmp_path / "journal.sqlite"),
    ]  # fmt: skip
    environment = {"PATH": os.environ["PATH"], **running.environment.variables()}
    first = subprocess.run(
        without_roots_privilege(command),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    said = next(line for line in first.stderr.splitlines() if "locked.jpg" in line)
    assert "left out" in said
    assert "ermission" in said
    assert "Traceback" not in first.stderr
    assert running.record("uploads/unreadable/open.jpg")["Status"] == "TAGGED"
    locked.chmod(0o644)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert again.returncode == 0, again.stderr
    assert running.record("uploads/unreadable/locked.jpg")["Status"] == "TAGGED"
