"""The two virtual environments beside the tool's own.

ministack pins its own botocore, and functions must see what Lambda's runtime holds and nothing of ours, so each
gets an environment of its own: ``.venv-engine`` and ``.venv-functions``, made once from a lock file and made
again when the lock or the interpreter changes.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import filelock

from darkroom.errors import EngineError

Report = Callable[[str], None]
_STAMP = "darkroom-stamp"


@dataclass(frozen=True, slots=True)
class Venv:
    """One virtual environment.

    Attributes:
        folder: where it lies.
        requirements: the lock file that it holds.
        interpreter: the Python that it is made with.
    """

    folder: Path
    requirements: Path
    interpreter: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def stamp(self) -> str:
        """What the environment should hold, as a digest of interpreter and every lock that is read."""
        digest = hashlib.sha256(f"{self.interpreter}\n".encode())
        digest.update(self.requirements.read_bytes())
        return digest.hexdigest()

    def is_ready(self) -> bool:
        stamp = self.folder / _STAMP
        return self.python.exists() and stamp.is_file() and stamp.read_text() == self.stamp()

    def install(self, report: Report) -> None:
        """Make it anew.

        Raises:
            EngineError: venv or pip failed; the last lines that it printed are in the message.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self._run([str(self.interpreter), "-m", "venv", str(self.folder)], report)
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        self._run([*pip, "--progress-bar", "off", "-r", str(self.requirements)], report)
        (self.folder / _STAMP).write_text(self.stamp())

    def _run(self, command: list[str], report: Report) -> None:
        tail: list[str] = []
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                tail = [*tail[-14:], line.rstrip()]
                if line.startswith(("Collecting", "Installing", "Downloading")):
                    report(f"{self.folder.name}: {line.strip()[:90]}")
        if process.returncode:
            raise EngineError(
                f"{self.folder.name} could not be installed: {' '.join(command[:4])} … failed:\n"
                + "\n".join(tail),
                hint="Check the network and run the command again; nothing half-made is used.",
            )


def template_runtime(template: Path) -> str:
    """The template's ``Runtime``, for example ``python3.13``.

    Raises:
        EngineError: the template names none.
    """
    found = re.search(r"^\s*Runtime:\s*[\"']?(python3\.\d+)", template.read_text(), re.MULTILINE)
    if found is None:
        raise EngineError(
            f"{template} names no Python Runtime.", hint="Give its functions a Runtime: python3.x."
        )
    return found.group(1)


def interpreter_for(runtime: str, *, chosen: Path | None) -> Path:
    """The interpreter for functions: the chosen one, else the runtime's version from PATH, else our own.

    A shim that names a version which is not really there is passed over: each candidate is run once.
    """
    if chosen is not None:
        if not runtime_of(chosen):
            raise EngineError(
                f"DARKROOM_FUNCTIONS_PYTHON={chosen} does not run.", hint="Give the path of a Python."
            )
        return chosen
    own = Path(sys.executable).resolve()
    if runtime_of(own) == runtime:
        return own
    found = shutil.which(runtime)
    if found and runtime_of(Path(found)) == runtime:
        return Path(found)
    return own


def runtime_of(python: Path) -> str:
    """The name of an interpreter as Lambda spells it, ``python3.13``; an empty string when it does not run."""
    probe = "import sys, venv; print(f'python{sys.version_info[0]}.{sys.version_info[1]}')"
    try:
        answer = subprocess.run(
            [str(python), "-c", probe],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def venvs_of(project: Path, *, template: Path, functions_python: Path | None) -> tuple[Venv, Venv]:
    """(engine, functions) for a project."""
    own = Path(sys.executable).resolve()  # one path, however this tool was called
    requirements = project / "requirements"
    engine = Venv(project / ".venv-engine", requirements / "engine.txt", own)
    functions_folder = project / ".venv-functions"
    interpreter = interpreter_for(template_runtime(template), chosen=functions_python)
    return engine, Venv(functions_folder, requirements / "functions.txt", interpreter)


def ensure(venvs: tuple[Venv, ...], report: Report) -> bool:
    """Install what is missing, side by side. Returns whether anything was installed."""
    if all(venv.is_ready() for venv in venvs):
        return False
    # another `up` of this checkout may be at it, with a state folder of its own: two would break each other's work
    lock = venvs[0].folder.parent / "build" / "environments.lock"
    lock.parent.mkdir(exist_ok=True)
    with filelock.FileLock(lock):
        missing = [venv for venv in venvs if not venv.is_ready()]
        if not missing:
            return False
        with ThreadPoolExecutor(max_workers=len(missing)) as pool:
            for done in [pool.submit(venv.install, report) for venv in missing]:
                done.result()
    return True
