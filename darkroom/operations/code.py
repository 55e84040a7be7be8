"""What a code package says before anything runs: its syntax errors, and which files each function uses."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import warnings
import zipfile
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_DYNAMIC = frozenset({"importlib", "pkgutil", "runpy"})
"""Whoever imports one of these may load any file: it is taken to use them all."""
_CHECK = """
import json, sys, warnings
warnings.simplefilter("ignore")
found = None
for name, text in json.load(sys.stdin).items():
    try:
        compile(text.encode("latin-1"), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        found = {"file": name, "line": error.lineno or 1, "column": error.offset or 1,
                 "text": (error.text or "").strip(), "message": error.msg}
        break
    except ValueError as error:
        found = {"file": name, "line": 1, "column": 1, "text": "", "message": str(error)}
        break
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """A file that Python cannot compile; `file` is relative to the code folder, line and column begin at 1."""

    file: str
    line: int
    column: int
    text: str
    message: str

    def as_json(self) -> dict[str, str | int]:
        return asdict(self)


def contents(package: bytes) -> dict[str, bytes]:
    """The files of a package by name."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def syntax_problem(files: Mapping[str, bytes], python: Path) -> SyntaxProblem | None:
    """The first file that the functions' interpreter would refuse.

    Our own compiler judges where both have the same version; else theirs is asked, because each Python has a
    syntax of its own.
    """
    sources = {name: content for name, content in sorted(files.items()) if name.endswith(".py")}
    if not sources:
        return None
    if _version(python) == sys.version_info[:2]:
        return next(filter(None, (_compiled(name, content) for name, content in sources.items())), None)
    asked = subprocess.run(
        [str(python), "-I", "-c", _CHECK],
        input=json.dumps({name: content.decode("latin-1") for name, content in sources.items()}),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    found = json.loads(asked.stdout)
    return SyntaxProblem(**found) if found else None


def _compiled(name: str, content: bytes) -> SyntaxProblem | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(content, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        text = (error.text or "").strip()
        return SyntaxProblem(name, error.lineno or 1, error.offset or 1, text, error.msg)
    except ValueError as error:  # a null byte
        return SyntaxProblem(name, 1, 1, "", str(error))
    return None


def _version(python: Path) -> tuple[int, int] | None:
    """The version of a virtual environment's interpreter, without starting it."""
    try:
        lines = (python.parent.parent / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition("=")
        if name.strip() == "version":
            major, minor = value.strip().split(".")[:2]
            return int(major), int(minor)
    return None


def import_of(name: str, files: Mapping[str, bytes]) -> tuple[str, int] | None:
    """File and line of the statement that imports a module or a name from one: Lambda does not tell."""
    for file, content in sorted(files.items()):
        if not file.endswith(".py"):
            continue
        try:
            nodes = ast.walk(ast.parse(content))
        except (SyntaxError, ValueError):
            continue
        for node in nodes:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            base = getattr(node, "module", None) or ""
            names = {base, *(alias.name for alias in node.names)}
            if name in names | {f"{base}.{alias.name}" for alias in node.names}:
                return file, node.lineno
    return None


def used_by(handler: str, files: Mapping[str, bytes]) -> int:
    """A digest of everything in a package that a function uses, to tell whether a change concerns it.

    Python files that its handler's module imports, at any depth and by name; files that are no Python; all of them
    where something is imported by a computed name.
    """
    names = _closure(handler, files)
    others = (name for name in files if not name.endswith((".py", "~")))
    digest = 0
    for name in sorted({*names, *others}):
        digest = zlib.crc32(files[name], zlib.crc32(name.encode(), digest))
    return digest


def _closure(handler: str, files: Mapping[str, bytes]) -> set[str]:
    module = handler.rpartition(".")[0].replace("/", ".")
    found: set[str] = set()
    waiting = [*_files_of(module, files)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            imported = list(_imports(ast.parse(files[name]), name))
        except (SyntaxError, ValueError):
            return {each for each in files if each.endswith(".py")}
        if any(each.split(".")[0] in _DYNAMIC for each in imported):
            return {each for each in files if each.endswith(".py")}
        waiting += [file for each in imported for file in _files_of(each, files)]
    return found


def _files_of(module: str, files: Mapping[str, bytes]) -> Iterator[str]:
    """The files that importing `a.b.c` runs: a/__init__.py, a/b/__init__.py, a/b/c.py or a/b/c/__init__.py."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        path = "/".join(parts[:count])
        yield from (name for name in (f"{path}.py", f"{path}/__init__.py") if name in files)


def _imports(tree: ast.Module, name: str) -> Iterator[str]:
    """Every module that a file may import, and each name taken from one: it may be a module, too."""
    package = name.removesuffix(".py").split("/")[:-1]
    for node in _run_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield "importlib"


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`, which never run."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        children: Iterable[ast.AST] = ast.iter_child_nodes(node)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            children = node.orelse
        waiting += children
