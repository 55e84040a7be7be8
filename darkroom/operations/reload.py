"""Hot reload: what is saved under `lambda/` answers as soon as it has come up; what does not come up never does.

    package ─▶ which functions does the change concern? ─▶ none: nothing to do
       │                      └─▶ compile ─▶ a syntax error: the old code stays
       │                             └─▶ try it beside the old code ─▶ it does not start: the old code stays
       └───────────────────────────────────────────────────▶ update, and the tried workers take over

All or nothing, because all functions share one package. The outcome lies in a JSON file for `status` and `tail`.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from darkroom.engine.keys import write_private
from darkroom.errors import DarkroomError, EngineError
from darkroom.operations import code
from darkroom.stack import package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from darkroom.engine.lambda_api import DeployedFunction

_PLACE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_UNPACKED = re.compile(r"^.*/code/[0-9a-f]{64}/")
_NOT_IMPORTED = re.compile(r"(?:No module named|cannot import name) '([^']+)'")


class ReloadState(StrEnum):
    """What became of the last change."""

    LIVE = "live"
    BROKEN = "broken"
    """The code does not compile or does not start: the code before it goes on answering."""
    WAITING = "waiting"
    """A part of the environment does not answer; it is tried again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why saved code is not live. `file` is relative to the project, `line` 0 where neither is known."""

    message: str
    file: str = ""
    line: int = 0
    text: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        return f"{place}{self.message}" + (f": {self.text}" if self.text else "")


@dataclass(frozen=True, slots=True)
class Reload:
    """The outcome of one change."""

    state: ReloadState
    functions: tuple[str, ...] = ()
    duration_ms: int = 0
    problem: Problem | None = None
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    def as_json(self) -> dict[str, Any]:
        problem = self.problem
        return {
            "state": self.state,
            "time": self.time,
            "functions": list(self.functions),
            "duration_ms": self.duration_ms,
            "message": str(problem) if problem else "",
            "file": problem.file if problem else "",
            "line": problem.line if problem else 0,
        }


class Functions(Protocol):
    """What a reload asks of the environment (`darkroom.engine.lambda_api.LambdaApi`)."""

    def functions(self) -> list[DeployedFunction]: ...

    def try_code(self, functions: Sequence[str], package: bytes) -> Mapping[str, Mapping[str, Any]]: ...

    def update_code(self, function: str, package: bytes) -> None: ...

    def take_over(self, functions: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Known:
    """What a function runs."""

    code_sha256: str
    used: int


class Reloader:
    """Brings the code folder to the functions that it concerns."""

    def __init__(
        self,
        folder: Path,
        functions: Functions,
        *,
        python: Path,
        status: Path,
        build: Callable[[], package.CodePackage] | None = None,
    ) -> None:
        """
        Args:
            folder: of the functions' code.
            functions: where it goes.
            python: the functions' interpreter.
            status: file for the outcome.
            build: makes the package; by default of the folder alone.
        """
        self._build = build or (lambda: package.build(folder))
        self._folder = folder
        self._functions = functions
        self._python = python
        self._status = status
        self._known: dict[str, _Known] = {}
        self._last = ReloadState(read_outcome(status).get("state", ReloadState.LIVE))

    def reload(self) -> Reload | None:
        """Do what the folder's content asks for now; None when there was nothing to do and nothing to tell."""
        began = time.monotonic()
        try:
            done = self._reload(began)
        except EngineError as error:
            done = Reload(ReloadState.WAITING, problem=Problem(error.message))
        except (DarkroomError, OSError, subprocess.SubprocessError) as error:
            done = Reload(ReloadState.BROKEN, problem=Problem(str(error)))
        if done is not None:
            self._last = done.state
            write_private(self._status, json.dumps(done.as_json(), indent=2) + "\n")
        return done

    def _reload(self, began: float) -> Reload | None:
        built = self._build()
        files = code.contents(built.content)
        problem = code.syntax_problem(files, self._python)
        if problem is not None:
            return Reload(ReloadState.BROKEN, problem=self._of_syntax(problem))
        deployed = self._functions.functions()
        used = {function.name: code.used_by(function.handler, files) for function in deployed}
        concerned = [
            each.name for each in deployed if not self._has(each, used[each.name], built.lambda_hash)
        ]
        if not concerned:
            return None if self._last is ReloadState.LIVE else Reload(ReloadState.LIVE)
        failed = self._functions.try_code(concerned, built.content)
        if failed:
            name, document = next(iter(failed.items()))
            return Reload(ReloadState.BROKEN, (name,), problem=self._of_start(name, document, files))
        for name in concerned:
            self._functions.update_code(name, built.content)
            self._known[name] = _Known(built.lambda_hash, used[name])
        self._functions.take_over(concerned)
        return Reload(ReloadState.LIVE, tuple(concerned), round((time.monotonic() - began) * 1000))

    def _has(self, function: DeployedFunction, used: int, package_hash: str) -> bool:
        """Whether a function runs this content; also after somebody else deployed it, or the engine lost ours."""
        known = self._known.get(function.name)
        if function.code_sha256 == package_hash:
            self._known[function.name] = _Known(package_hash, used)
            return True
        return known is not None and known.code_sha256 == function.code_sha256 and known.used == used

    def _of_syntax(self, problem: code.SyntaxProblem) -> Problem:
        return Problem(
            f"SyntaxError: {problem.message}",
            f"{self._folder.name}/{problem.file}",
            problem.line,
            problem.text,
        )

    def _of_start(self, function: str, document: Mapping[str, Any], files: Mapping[str, bytes]) -> Problem:
        """An init error with the innermost place that lies in the code folder."""
        message = str(document.get("errorMessage", ""))
        places = [
            (_UNPACKED.sub("", match["file"]), int(match["line"]))
            for match in map(_PLACE.search, map(str, document.get("stackTrace") or []))
            if match is not None and _UNPACKED.match(match["file"])
        ]
        missing = _NOT_IMPORTED.search(message)
        place = places[-1] if places else code.import_of(missing.group(1), files) if missing else None
        words = f"{function} does not start: {document.get('errorType', '')}: {message}"
        if place is None:
            return Problem(words)
        file, line = place
        return Problem(words, f"{self._folder.name}/{file}", line, self._line_of(file, line))

    def _line_of(self, file: str, line: int) -> str:
        try:
            return (self._folder / file).read_text(errors="replace").splitlines()[line - 1].strip()
        except (OSError, IndexError):
            return ""


def read_outcome(path: Path) -> dict[str, Any]:
    """What the last reload left (`Reload.as_json`); empty before the first."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found
