"""The documentation names everything that a person can use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from darkroom.rekognition import __main__ as command
from darkroom.rekognition.authoring import FACE_FLAGS, FACE_TEXTS
from darkroom.rekognition.faults import KINDS, OTHER_KINDS
from darkroom.rekognition.model import SERVED
from darkroom.rekognition.sections import SECTIONS

from .helpers import ROOT

TEXT = (ROOT / "docs" / "rekognition.md").read_text("utf-8")


@pytest.mark.parametrize("name", [*SERVED, *SECTIONS, *KINDS, *OTHER_KINDS, *FACE_FLAGS, *FACE_TEXTS])
def test_every_operation_section_fault_and_word_of_a_face_is_documented(name: str) -> None:
    assert name in TEXT


def test_every_option_of_the_command_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    options = {
        word.strip(",[]") for word in capsys.readouterr().out.split() if word.startswith(("--", "[--"))
    }
    assert {option for option in options if option not in TEXT} == {"--help"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = (
        "import sys, darkroom.rekognition; "
        "print(sorted({'PIL', 'yaml', 'aiohttp', 'boto3', 'botocore', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
