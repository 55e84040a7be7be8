from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from darkroom.errors import DeployError, UsageError
from darkroom.stack import package
from darkroom.stack.package import Architecture, Dependencies

if TYPE_CHECKING:
    from collections.abc import Sequence

LAMBDA = Path(__file__).parents[3] / "lambda"


def code(root: Path) -> Path:
    for name, text in {
        "pipeline/__init__.py": "",
        "pipeline/tagger.py": "x = 1\n",
        "pipeline/data.json": "{}",
        "pipeline/__pycache__/tagger.cpython-313.pyc": "compiled",
        "requirements.in": "boto3",
        "requirements.txt": "boto3==1",
        ".hidden/secret.py": "no",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_a_package_holds_the_code_and_nothing_else(tmp_path: Path) -> None:
    built = package.build(code(tmp_path))
    assert names(built.content) == ["pipeline/__init__.py", "pipeline/data.json", "pipeline/tagger.py"]
    assert built.file_count == 3


def test_the_same_files_give_the_same_bytes_whatever_their_times_and_modes(tmp_path: Path) -> None:
    first, second = code(tmp_path / "one"), code(tmp_path / "two")
    for path in second.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert package.build(first).content == package.build(second).content


def test_other_code_gives_another_key(tmp_path: Path) -> None:
    before = package.build(code(tmp_path))
    (tmp_path / "pipeline/tagger.py").write_text("x = 2\n")
    after = package.build(tmp_path)
    assert before.key != after.key
    assert before.lambda_hash != after.lambda_hash


def test_the_hash_is_the_one_that_lambda_reports(tmp_path: Path) -> None:
    built = package.build(code(tmp_path))
    assert base64.b64decode(built.lambda_hash) == hashlib.sha256(built.content).digest()


def test_lambda_can_read_every_file(tmp_path: Path) -> None:
    built = package.build(code(tmp_path))
    for entry in zipfile.ZipFile(io.BytesIO(built.content)).infolist():
        assert entry.external_attr >> 16 == 0o644
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_the_functions_of_the_project_make_a_package() -> None:
    assert "pipeline/tagger.py" in names(package.build(LAMBDA).content)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        package.build(tmp_path / "nowhere")


def test_a_folder_without_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Python file"):
        package.build(tmp_path)


class FakePip:
    """Puts one library where pip would."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> None:
        self.commands.append(list(command))
        target = Path(command[command.index("--target") + 1])
        for name in ("library/__init__.py", "bin/tool", "pipeline/tagger.py"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text("from the library")


def dependencies(tmp_path: Path, architecture: Architecture = Architecture.X86_64) -> Dependencies:
    requirements = tmp_path / "locked.txt"
    requirements.write_text("library==1\n")
    return Dependencies(requirements, architecture, "3.13", tmp_path / "cache")


@pytest.mark.parametrize(
    ("architecture", "machine"), [(Architecture.X86_64, "x86_64"), (Architecture.ARM64, "aarch64")]
)
def test_libraries_are_installed_for_lambdas_platform(
    tmp_path: Path, architecture: Architecture, machine: str
) -> None:
    pip = FakePip()
    built = package.build(code(tmp_path / "code"), dependencies=dependencies(tmp_path, architecture), run=pip)
    (command,) = pip.commands
    platforms = [command[place + 1] for place, word in enumerate(command) if word == "--platform"]
    assert {f"manylinux_2_28_{machine}", f"manylinux2014_{machine}"} < set(platforms), (
        "each is taken to the letter"
    )
    assert command[command.index("--python-version") + 1] == "3.13"
    assert ":all:" in command
    assert "library/__init__.py" in names(built.content)
    assert "bin/tool" not in names(built.content)


def test_own_code_wins_over_a_librarys_file(tmp_path: Path) -> None:
    built = package.build(code(tmp_path / "code"), dependencies=dependencies(tmp_path), run=FakePip())
    assert zipfile.ZipFile(io.BytesIO(built.content)).read("pipeline/tagger.py") == b"x = 1\n"


def test_libraries_are_installed_once_until_the_requirements_change(tmp_path: Path) -> None:
    pip, wanted = FakePip(), dependencies(tmp_path)
    for _ in range(2):
        package.install(wanted, run=pip)
    assert len(pip.commands) == 1
    wanted.requirements.write_text("library==2\n")
    package.install(wanted, run=pip)
    assert len(pip.commands) == 2


def test_a_failed_installation_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    def fails(_: Sequence[str]) -> None:
        raise DeployError("no network")

    wanted = dependencies(tmp_path)
    with pytest.raises(DeployError, match="no network"):
        package.install(wanted, run=fails)
    pip = FakePip()
    package.install(wanted, run=pip)
    assert len(pip.commands) == 1


def test_what_pip_says_stands_in_the_error(tmp_path: Path) -> None:
    wanted = dependencies(tmp_path)
    wanted.requirements.write_text("this is no requirement ==\n")
    with pytest.raises(DeployError, match="could not be installed"):
        package.build(code(tmp_path / "code"), dependencies=wanted)
