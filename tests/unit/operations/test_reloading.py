"""A reload: only what the change concerns is updated, and nothing that does not come up."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.engine.lambda_api import DeployedFunction
from darkroom.errors import EngineError
from darkroom.operations.follow import ReloadFollower
from darkroom.operations.keeper import FolderWatch, is_noise
from darkroom.operations.reload import Reloader, ReloadState, read_outcome
from darkroom.operations.sources import changed_sources, digests, note_deployed
from darkroom.stack import package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Engine:
    """Two functions of one package, and a runtime that tries code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shas: dict[str, str] = {}
        self.updates: list[str] = []
        self.taken: list[list[str]] = []
        self.refuse: dict[str, Any] = {}
        self.away = False
        self.deploy()

    def deploy(self) -> None:
        """As `up` does."""
        sha = package.build(self.folder).lambda_hash
        self.shas = {"s-one": sha, "s-two": sha}

    def functions(self) -> list[DeployedFunction]:
        if self.away:
            raise EngineError("the engine does not answer")
        return [DeployedFunction(name, f"app.{name[2:]}.handler", sha) for name, sha in self.shas.items()]

    def try_code(self, functions: Sequence[str], package: bytes) -> Mapping[str, Mapping[str, Any]]:
        assert package.startswith(b"PK")
        return {name: self.refuse[name] for name in functions if name in self.refuse}

    def update_code(self, function: str, package: bytes) -> None:
        self.updates.append(function)
        self.shas[function] = base64.b64encode(hashlib.sha256(package).digest()).decode()

    def take_over(self, functions: Sequence[str]) -> None:
        self.taken.append(list(functions))


class World:
    def __init__(self, folder: Path) -> None:
        self.status = folder / "reload.json"
        self.code = folder / "lambda"
        self.save("app/one.py", "import app.shared\n")
        self.save("app/two.py", "import json\n")
        self.save("app/shared.py", "x = 1\n")
        self.engine = Engine(self.code)
        self.reloader = self.new_reloader()

    def new_reloader(self) -> Reloader:
        return Reloader(self.code, self.engine, python=Path(sys.executable), status=self.status)

    def save(self, name: str, text: str) -> None:
        path = self.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    assert made.reloader.reload() is None
    return made


def test_what_runs_already_is_not_touched(world: World) -> None:
    assert world.engine.updates == []
    assert read_outcome(world.status) == {}


def test_only_the_functions_that_use_the_file_are_updated(world: World) -> None:
    world.save("app/shared.py", "x = 2\n")
    done = world.reloader.reload()
    assert done is not None
    assert done.state is ReloadState.LIVE
    assert world.engine.updates == ["s-one"]
    assert world.engine.taken == [["s-one"]]
    world.save("app/two.py", "import time\n")
    world.reloader.reload()
    assert world.engine.updates == ["s-one", "s-two"]
    assert world.reloader.reload() is None


def test_a_syntax_error_keeps_the_old_code_until_the_next_good_save(world: World) -> None:
    world.save("app/one.py", "import json\ndef f(:\n")
    done = world.reloader.reload()
    assert done is not None
    assert done.state is ReloadState.BROKEN
    assert world.engine.updates == []
    told = read_outcome(world.status)
    assert (told["file"], told["line"]) == ("lambda/app/one.py", 2)
    assert told["message"].startswith("lambda/app/one.py:2: SyntaxError: ")
    assert told["message"].endswith(": def f(:")
    world.save("app/one.py", "import app.shared\n")
    done = world.reloader.reload()
    assert done is not None
    assert done.state is ReloadState.LIVE
    assert read_outcome(world.status)["message"] == ""
    assert world.engine.updates == [], "it is the code that runs anyway"


def test_code_that_does_not_start_is_not_deployed_and_its_place_is_told(world: World) -> None:
    folder = "/somewhere/runtime/code/" + "a" * 64
    world.engine.refuse = {
        "s-one": {
            "errorType": "KeyError",
            "errorMessage": "'NAME'",
            "stackTrace": [
                '  File "/usr/lib/python3/importlib/__init__.py", line 90, in import_module\n',
                f'  File "{folder}/app/one.py", line 1, in <module>\n    import app.shared\n',
                f'  File "{folder}/app/shared.py", line 2, in <module>\n    import os\n',
                '  File "/usr/lib/python3/os.py", line 600, in __getitem__\n',
            ],
        }
    }
    world.save("app/shared.py", "import os\nx = os.environ['NAME']\n")
    done = world.reloader.reload()
    assert done is not None
    assert done.state is ReloadState.BROKEN
    assert world.engine.updates == []
    assert read_outcome(world.status)["message"] == (
        "lambda/app/shared.py:2: s-one does not start: KeyError: 'NAME': x = os.environ['NAME']"
    )


def test_a_module_that_is_missing_is_told_with_the_line_that_imports_it(world: World) -> None:
    message = "Unable to import module 'app.one': No module named 'numpyy'"
    world.engine.refuse = {"s-one": {"errorType": "Runtime.ImportModuleError", "errorMessage": message}}
    world.save("app/one.py", "import json\nimport numpyy\n")
    world.reloader.reload()
    told = read_outcome(world.status)
    assert (told["file"], told["line"]) == ("lambda/app/one.py", 2)


def test_an_engine_that_is_away_is_asked_again(world: World) -> None:
    world.engine.away = True
    world.save("app/one.py", "x = 5\n")
    done = world.reloader.reload()
    assert done is not None
    assert done.state is ReloadState.WAITING
    world.engine.away = False
    done = world.reloader.reload()
    assert done is not None
    assert done.functions == ("s-one",)


def test_older_code_that_somebody_else_deployed_is_replaced(world: World) -> None:
    """`up` may have packed the folder before a save that the keeper had already brought live."""
    before = dict(world.engine.shas)
    world.save("app/one.py", "x = 5\n")
    world.reloader.reload()
    world.engine.shas = before
    done = world.reloader.reload()
    assert done is not None
    assert "s-one" in done.functions


def test_a_new_keeper_brings_what_was_saved_while_there_was_none(world: World) -> None:
    world.save("app/one.py", "x = 5\n")
    done = world.new_reloader().reload()
    assert done is not None
    assert done.functions == ("s-one", "s-two"), "what the older package held is not known"
    assert world.new_reloader().reload() is None


def test_an_empty_folder_is_said_and_changes_nothing(world: World) -> None:
    for path in world.code.rglob("*.py"):
        path.unlink()
    done = world.reloader.reload()
    assert done is not None
    assert done.state is ReloadState.BROKEN
    assert "holds no Python file" in read_outcome(world.status)["message"]


def test_a_follower_tells_each_outcome_once_and_an_old_failure_first(world: World) -> None:
    world.save("app/one.py", "def f(:\n")
    world.reloader.reload()
    follower = ReloadFollower(world.status)
    told = follower.new()
    assert [each["outcome"] for each in told] == ["not reloaded"]
    assert follower.new() == []
    world.save("app/one.py", "x = 7\n")
    world.reloader.reload()
    assert [each["outcome"] for each in follower.new()] == ["reloaded"]
    assert ReloadFollower(world.status).new() == []


@pytest.mark.parametrize(
    ("path", "noise"),
    [
        ("app/one.py", False),
        ("words.json", False),
        ("app/__pycache__/one.cpython-311.pyc", True),
        ("app/.one.py.swp", True),
        ("app/one.py~", True),
        (".git/index", True),
    ],
)
def test_what_never_belongs_to_a_package_is_noise(path: str, *, noise: bool) -> None:
    assert is_noise(path) is noise


def test_a_folder_without_file_events_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    changes: list[int] = []
    watch = FolderWatch(folder, lambda: changes.append(1))
    watch.check()
    assert changes == []
    folder.mkdir()
    (folder / "a.py").write_text("")
    watch.check()
    assert changes
    watch.stop()


def test_a_folder_that_is_replaced_is_watched_again(tmp_path: Path) -> None:
    folder = tmp_path / "lambda"
    folder.mkdir()
    changed = threading.Event()
    watch = FolderWatch(folder, changed.set)
    try:
        (folder / "a.py").write_text("x = 1")
        assert changed.wait(5)
        shutil.rmtree(folder)
        folder.mkdir()
        deadline = time.monotonic() + 10
        while True:
            watch.check()
            changed.clear()
            (folder / "b.py").write_text("x = 2")
            if changed.wait(0.3):
                break
            assert time.monotonic() < deadline, "the new folder is not watched"
    finally:
        watch.stop()


def test_a_changed_template_is_told_until_it_is_deployed(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("one")
    assert changed_sources(tmp_path, tmp_path) == ()
    note_deployed(tmp_path, digests(tmp_path))
    assert changed_sources(tmp_path, tmp_path) == ()
    (tmp_path / "template.yaml").write_text("two")
    assert changed_sources(tmp_path, tmp_path) == ("template.yaml",)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "local.toml").write_text("")
    assert len(changed_sources(tmp_path, tmp_path)) == 2
    note_deployed(tmp_path, digests(tmp_path))
    assert changed_sources(tmp_path, tmp_path) == ()
    assert json.loads((tmp_path / "deployed.json").read_text())
