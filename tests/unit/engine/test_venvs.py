"""The virtual environments beside the tool's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from darkroom.engine import venvs
from darkroom.errors import EngineError
from darkroom.settings import PROJECT_ROOT


def test_the_runtime_of_the_template_is_read() -> None:
    assert venvs.template_runtime(PROJECT_ROOT / "template.yaml").startswith("python3.")


def test_a_template_without_a_python_runtime_is_said(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}\n")
    with pytest.raises(EngineError) as error:
        venvs.template_runtime(template)
    assert str(template) in error.value.message


def test_our_own_interpreter_serves_when_no_other_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert venvs.interpreter_for("python3.99", chosen=None) == Path(sys.executable).resolve()


def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert venvs.interpreter_for("python3.99", chosen=None) == Path(sys.executable).resolve()


def test_a_chosen_interpreter_that_does_not_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as error:
        venvs.interpreter_for("python3.13", chosen=tmp_path / "python")
    assert "DARKROOM_FUNCTIONS_PYTHON" in error.value.message


def test_a_failed_installation_names_what_failed_and_is_not_used(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("./not-a-package\n")
    venv = venvs.Venv(tmp_path / ".venv-test", requirements, Path(sys.executable).resolve())
    with pytest.raises(EngineError) as error:
        venv.install(lambda _: None)
    assert "not-a-package" in error.value.message
    assert not venv.is_ready()


def test_a_changed_lock_file_makes_the_environment_stale(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    venv = venvs.Venv(tmp_path / ".venv-test", requirements, Path(sys.executable).resolve())
    venv.install(lambda _: None)
    assert venv.is_ready()
    requirements.write_text("# another\n")
    assert not venv.is_ready()
