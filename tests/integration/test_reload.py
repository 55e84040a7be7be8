"""Hot reload: a save under lambda/ answers within a moment, and what is broken never does."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from darkroom.engine.embedded import EmbeddedEngine
from darkroom.operations.environment import Environment
from darkroom.operations.follow import ReloadFollower
from darkroom.settings import PROJECT_ROOT, Settings
from tests.integration.conftest import free_port, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from types_boto3_lambda import LambdaClient

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

HANDLER = """
import time
from pipeline.helper import NAME


def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return NAME
"""
FUNCTION = "darkroom-tagger"


@dataclass(frozen=True, slots=True)
class Project:
    """A project of its own, that runs."""

    environment: Environment
    client: LambdaClient

    @property
    def code(self) -> Path:
        return self.environment.settings.project / "lambda" / "pipeline"

    def save(self, name: str, text: str) -> None:
        """As editors do: a file beside it, and then in its place."""
        part = self.code / f".{name}.part"
        part.write_text(text)
        part.replace(self.code / name)

    def answer(self, event: dict[str, Any] | None = None) -> Any:
        answer = self.client.invoke(FunctionName=FUNCTION, Payload=json.dumps(event or {}))
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def until_answer(self, wanted: str, *, limit_s: float = 10) -> None:
        until(lambda: self.answer() == wanted, limit_s=limit_s)

    def troubles(self) -> list[str]:
        return self.environment.status().troubles

    def code_sha(self) -> str:
        return self.client.get_function_configuration(FunctionName=FUNCTION)["CodeSha256"]


def until(condition: Callable[[], bool], *, limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.03)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("reload")
    project = folder / "project"
    project.mkdir()
    for name in ("fixtures", "requirements", ".venv-engine", ".venv-functions"):
        (project / name).symlink_to(PROJECT_ROOT / name)
    for name in ("lambda", "environments"):
        shutil.copytree(PROJECT_ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT_ROOT / "template.yaml", project)
    settings = Settings(
        home=folder / "home", inbox=folder / "inbox", port=free_port(), page_port=free_port(), project=project
    )
    environment = Environment(settings)
    environment.up(overrides=(), report=quiet)
    try:
        client = environment.session().client("lambda", config=Config(retries={"total_max_attempts": 1}))
        yield Project(environment, client)
    finally:
        environment.down()


@pytest.fixture
def project(started: Project) -> Project:
    """Its tagger answers "first"."""
    started.save("helper.py", "NAME = 'first'\n")
    started.save("tagger.py", HANDLER)
    started.until_answer("first")
    until(lambda: started.troubles() == [])
    return started


def test_a_save_is_live_in_every_way_that_editors_write(project: Project) -> None:
    project.save("helper.py", "NAME = 'replaced'\n")
    project.until_answer("replaced")
    (project.code / "helper.py").write_text("NAME = 'in place'\n")
    project.until_answer("in place")
    (project.code / "__pycache__").mkdir(exist_ok=True)
    before = project.code_sha()
    (project.code / "__pycache__" / "helper.cpython-311.pyc").write_bytes(b"x")
    (project.code / ".helper.py.swp").write_bytes(b"x")
    time.sleep(0.4)
    assert project.code_sha() == before


def test_a_checkout_of_many_files_is_one_change(project: Project) -> None:
    log = project.environment.layout.logs / "keeper.log"
    reloads = log.read_text().count("new code after")
    for number in range(30):
        (project.code / f"module{number}.py").write_text(f"N = {number}\n")
    project.save("helper.py", "".join(f"import pipeline.module{n}\n" for n in range(30)) + "NAME = 'many'\n")
    project.until_answer("many")
    until(lambda: log.read_text().count("new code after") == reloads + 1)
    project.save("helper.py", "NAME = 'few'\n")
    for number in range(30):
        (project.code / f"module{number}.py").unlink()
    project.until_answer("few")
    assert project.troubles() == []


def test_a_syntax_error_keeps_the_old_code_and_is_told_until_it_is_mended(project: Project) -> None:
    follower = ReloadFollower(project.environment.layout.reload_status)
    project.save("helper.py", "NAME = 'never'\ndef broken(:\n")
    until(lambda: project.troubles() != [])
    (trouble,) = project.troubles()
    assert "lambda/pipeline/helper.py:2: SyntaxError" in trouble
    assert "def broken(:" in trouble
    assert project.answer() == "first"
    assert [told["outcome"] for told in follower.new()] == ["not reloaded"]
    project.save("helper.py", "NAME = 'mended'\n")
    project.until_answer("mended")
    until(lambda: project.troubles() == [])
    assert [told["outcome"] for told in follower.new()] == ["reloaded"]


def test_code_that_does_not_start_never_answers(project: Project) -> None:
    project.save("helper.py", "import no_such_module\nNAME = 'never'\n")
    until(lambda: project.troubles() != [])
    (trouble,) = project.troubles()
    assert "lambda/pipeline/helper.py:1: " in trouble
    assert "no_such_module" in trouble
    assert project.answer() == "first"
    project.save("helper.py", "NAME = {}['missing']\n")
    until(lambda: "KeyError" in str(project.troubles()))
    assert "lambda/pipeline/helper.py:1: " in project.troubles()[0]
    assert project.answer() == "first"


def test_an_invocation_in_flight_ends_on_the_old_code(project: Project) -> None:
    answers: list[Any] = []
    slow = threading.Thread(target=lambda: answers.append(project.answer({"seconds": 3})))
    slow.start()
    time.sleep(0.2)
    project.save("helper.py", "NAME = 'new'\n")
    project.until_answer("new", limit_s=2.5)
    assert answers == []
    slow.join(10)
    assert answers == ["first"]


def test_up_after_a_reload_deploys_the_same_code_once_and_then_nothing(project: Project) -> None:
    project.save("helper.py", "NAME = 'kept'\n")
    project.until_answer("kept")
    project.environment.up(overrides=(), report=quiet)
    assert project.answer() == "kept"
    assert project.environment.up(overrides=(), report=quiet).changes == ()
    assert project.answer() == "kept"


def test_a_changed_template_is_told_and_deployed_by_up(project: Project) -> None:
    template = project.environment.settings.project / "template.yaml"
    template.write_text(template.read_text() + "\n# changed\n")
    assert project.troubles() == ["template.yaml has changed: run `make up`"]
    project.environment.up(overrides=(), report=quiet)
    assert project.troubles() == []


def test_a_keeper_that_was_killed_brings_what_was_saved_meanwhile(project: Project) -> None:
    (keeper,) = [part for part in project.environment.engine.statuses() if part.name == "keeper"]
    psutil.Process(keeper.pid).kill()
    project.save("helper.py", "NAME = 'meanwhile'\n")
    project.until_answer("meanwhile")


def test_an_engine_that_was_killed_comes_back_with_the_saved_code(project: Project) -> None:
    project.save("helper.py", "NAME = 'before the crash'\n")
    project.until_answer("before the crash")
    (engine,) = [part for part in project.environment.engine.statuses() if part.name == "engine"]
    psutil.Process(engine.pid).kill()

    def answers() -> bool:
        try:
            return bool(project.answer() == "before the crash")
        except (BotoCoreError, ClientError):
            return False

    embedded = project.environment.engine
    assert isinstance(embedded, EmbeddedEngine)
    until(lambda: embedded.statuses()[0].crashes == 1)
    until(lambda: embedded.is_complete() and answers(), limit_s=40)
