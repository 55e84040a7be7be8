"""A folder of code as a Lambda package: the same files give the same bytes on every machine.

Names are sorted, times and permissions fixed, and nothing is compressed: the output of compressors differs
between builds of zlib, and Lambda takes the package from S3, where its limit is on the unpacked size anyway
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from darkroom.errors import DeployError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_UNPACKED_BYTES = 250 * 1024 * 1024
"""Lambda's limit for code and layers together."""

PAGE_FOLDER = "web"
"""Where the page's files stand in a package."""
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""
_FILE_MODE = 0o644
_LEFT_OUT_FOLDERS = frozenset({"__pycache__", "bin"})
"""Compiled files carry times; `bin` holds start scripts with the path of the building machine's Python."""
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo"})
_LEFT_OUT_NAMES = frozenset({"requirements.in", "requirements.txt"})
_HINT = "Name the folder that holds the functions' code."

Run = Callable[[Sequence[str]], None]
"""Runs a command; raises DeployError when it fails."""


class Architecture(StrEnum):
    """Processors of Lambda, as the template names them."""

    X86_64 = "x86_64"
    ARM64 = "arm64"

    @property
    def platforms(self) -> tuple[str, ...]:
        """The wheels that run there: Lambda's Python 3.13 stands on Amazon Linux 2023 (glibc 2.34).

        pip takes a given platform to the letter, so every older one that wheels are built for is named too.
        """
        machine = {"x86_64": "x86_64", "arm64": "aarch64"}[self.value]
        return tuple(f"manylinux{it}_{machine}" for it in ("_2_34", "_2_28", "_2_17", "2014"))


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The libraries that go into the package.

    Args:
        requirements: locked requirements file.
        architecture: processor that they are for.
        python: version of the function's runtime, such as `3.13`.
        cache: folder for what was installed before; one folder per content of the requirements.
        interpreter: the Python on this machine that they are for, instead of Lambda's platform.
    """

    requirements: Path
    architecture: Architecture
    python: str
    cache: Path
    interpreter: Path | None = None

    @property
    def _platform(self) -> str:
        return str(self.interpreter) if self.interpreter else " ".join(self.architecture.platforms)

    @property
    def folder(self) -> Path:
        """Where they lie once they are installed."""
        wanted = "\n".join((self.requirements.read_text(), self._platform, self.python))
        return self.cache / hashlib.sha256(wanted.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CodePackage:
    """A package, ready to be uploaded."""

    content: bytes
    file_count: int

    @property
    def sha256(self) -> str:
        """Hash as hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def lambda_hash(self) -> str:
        """Hash in base64, as Lambda's CodeSha256."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()

    @property
    def key(self) -> str:
        """Object key that follows the content, so that an upload never replaces other code."""
        return f"code/{self.sha256[:32]}.zip"


@dataclass(frozen=True, slots=True)
class UploadedCode:
    """A package that is in the bucket already, of an earlier release or a saved plan."""

    key: str
    lambda_hash: str


def build(
    code_root: Path,
    *,
    page_root: Path | None = None,
    dependencies: Dependencies | None = None,
    run: Run | None = None,
) -> CodePackage:
    """Pack a folder of code, with its libraries if wanted.

    Args:
        code_root: folder whose contents stand at the root of the package, such as `lambda/`.
        page_root: folder whose contents stand in the package under `web/`; a missing one is left out.
        dependencies: what to install beside the code; None where the runtime holds the libraries already.
        run: how pip is started.

    Raises:
        UsageError: the folder is missing or holds no code.
        DeployError: pip failed, or the package is larger than Lambda takes.
    """
    if not code_root.is_dir():
        raise UsageError(f"{code_root} is not a folder.", hint=_HINT)
    files = dict(_files(code_root))
    if not any(name.endswith(".py") for name in files):
        raise UsageError(f"{code_root} holds no Python file.", hint=_HINT)
    if page_root is not None:
        files |= {f"{PAGE_FOLDER}/{name}": path for name, path in _files(page_root)}
    if dependencies is not None:
        libraries = dict(_files(install(dependencies, run=run or run_pip)))
        files = libraries | files
    size = sum(path.stat().st_size for path in files.values())
    if size > MAX_UNPACKED_BYTES:
        raise DeployError(
            f"The code package has {size // 2**20} MB; Lambda takes {MAX_UNPACKED_BYTES // 2**20} at most.",
            hint="Remove libraries that the functions do not need from their requirements.",
        )
    return CodePackage(_zip(files), len(files))


def install(dependencies: Dependencies, *, run: Run) -> Path:
    """Install libraries for Lambda's platform into the cache, unless they are there; returns the folder."""
    target = dependencies.folder
    if target.is_dir():
        return target
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    python = dependencies.interpreter or sys.executable
    for_lambda = (
        *("--only-binary", ":all:", "--implementation", "cp"),
        *(it for name in dependencies.architecture.platforms for it in ("--platform", name)),
        *("--python-version", dependencies.python),
    )
    run(
        [
            *(str(python), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"),
            *("--requirement", str(dependencies.requirements), "--target", str(unfinished)),
            *(() if dependencies.interpreter else for_lambda),
        ]
    )
    unfinished.replace(target)
    return target


def run_pip(command: Sequence[str]) -> None:
    """
    Raises:
        DeployError: it failed; what it printed is in the message.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeployError(
            f"The functions' libraries could not be installed: {done.stderr.strip() or done.stdout.strip()}",
            hint="Check the requirements file and the network.",
        )


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and _belongs(relative):
            yield relative.as_posix(), path


def _belongs(relative: Path) -> bool:
    return not (
        any(part.startswith(".") for part in relative.parts)
        or _LEFT_OUT_FOLDERS & set(relative.parts[:-1])
        or relative.suffix in _LEFT_OUT_SUFFIXES
        or relative.name in _LEFT_OUT_NAMES
    )


def _zip(files: dict[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.create_system = 3  # Unix, on whatever system this runs
            entry.external_attr = _FILE_MODE << 16
            archive.writestr(entry, files[name].read_bytes())
    return buffer.getvalue()
