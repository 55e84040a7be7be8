"""A preset that is given by its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.operations.deployment import LocalDeployment
from darkroom.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_relative_path_holds_in_another_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recovery after a crash is a process of its own, in a folder of its own."""
    (tmp_path / "mine.toml").write_text("[parameters]\nMinConfidence = 33\n")
    monkeypatch.chdir(tmp_path)
    deployment = LocalDeployment(Settings(project=PROJECT_ROOT, home=tmp_path / "home"), preset="mine.toml")
    monkeypatch.chdir(PROJECT_ROOT)
    assert deployment.parameters()["MinConfidence"] == "33"
