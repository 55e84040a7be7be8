"""What a package says before anything runs: syntax errors, and which function uses which file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from darkroom.operations.code import import_of, syntax_problem, used_by

PYTHON = Path(sys.executable)
FILES = {
    "app/__init__.py": b"",
    "app/one.py": b"from app import shared\nimport boto3\ndef handler(e, c): return shared.x\n",
    "app/two.py": b"from .inner.deep import y\ndef handler(e, c): return y\n",
    "app/shared.py": b"x = 1\n",
    "app/inner/__init__.py": b"",
    "app/inner/deep.py": b"y = 2\n",
    "app/unused.py": b"z = 3\n",
}


def concerned(name: str, content: bytes, files: dict[str, bytes] = FILES) -> list[str]:
    """The functions that a changed file concerns."""
    after = {**files, name: content}
    handlers = [module for module in ("one", "two") if f"app/{module}.py" in files]
    return [
        module
        for module in handlers
        if used_by(f"app.{module}.handler", files) != used_by(f"app.{module}.handler", after)
    ]


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        ("app/one.py", ["one"]),
        ("app/shared.py", ["one"]),
        ("app/inner/deep.py", ["two"]),
        ("app/inner/__init__.py", ["two"]),
        ("app/__init__.py", ["one", "two"]),
        ("app/unused.py", []),
        ("data/words.json", ["one", "two"]),
        ("app/one.py~", []),
    ],
)
def test_a_change_concerns_the_functions_that_import_the_file(name: str, functions: list[str]) -> None:
    assert concerned(name, b"# changed\n") == functions


def test_a_file_that_is_deleted_concerns_its_users() -> None:
    after = {name: content for name, content in FILES.items() if name != "app/shared.py"}
    assert used_by("app.one.handler", after) != used_by("app.one.handler", FILES)
    assert used_by("app.two.handler", after) == used_by("app.two.handler", FILES)


def test_an_import_for_type_checkers_does_not_count() -> None:
    text = b"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app import unused\n"
    assert concerned("app/unused.py", b"# new", {**FILES, "app/one.py": text}) == []


@pytest.mark.parametrize("text", [b"import importlib\n", b"__import__('app.' + 'unused')\n"])
def test_whoever_imports_by_computed_names_uses_everything(text: bytes) -> None:
    assert concerned("app/unused.py", b"# new", {**FILES, "app/one.py": text}) == ["one"]


def test_a_handler_may_be_named_with_slashes() -> None:
    assert used_by("app/one.handler", FILES) == used_by("app.one.handler", FILES)


@pytest.mark.parametrize("python", [PYTHON, Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"])
def test_a_syntax_error_is_told_with_its_place(python: Path) -> None:
    broken = {**FILES, "app/two.py": b"x = 1\ndef handler(:\n    pass\n"}
    problem = syntax_problem(broken, python)
    assert problem is not None
    assert (problem.file, problem.line, problem.text) == ("app/two.py", 2, "def handler(:")
    assert syntax_problem(FILES, python) is None


@pytest.mark.parametrize("content", [b"x = '\0'\n", b"return 1\n", b"x = '\xff'\n"])
def test_everything_that_python_refuses_to_compile_is_a_problem(content: bytes) -> None:
    problem = syntax_problem({"a.py": content, "b.txt": b"def ("}, PYTHON)
    assert problem is not None
    assert problem.file == "a.py"


def test_a_doubtful_escape_is_no_problem() -> None:
    assert syntax_problem({"a.py": rb"x = '\d'"}, PYTHON) is None


@pytest.mark.parametrize(
    ("name", "place"), [("app.inner.deep", None), ("boto3", ("app/one.py", 2)), ("y", ("app/two.py", 1))]
)
def test_the_line_of_an_import_is_found(name: str, place: tuple[str, int] | None) -> None:
    assert import_of(name, FILES) == place
