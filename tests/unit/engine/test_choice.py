"""Which engine an `up` takes, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from darkroom.engine import choice
from darkroom.engine.embedded import EmbeddedEngine
from darkroom.engine.localstack import LocalStackEngine
from darkroom.engine.localstack import docker as checks
from darkroom.errors import EngineError, UsageError
from darkroom.settings import EngineName, Settings

if TYPE_CHECKING:
    from pathlib import Path


def quiet(_: str) -> None:
    """Report nothing."""


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DARKROOM_ENGINE", raising=False)


def settings(home: Path, **given: Any) -> Settings:
    return Settings(home=home, **given)


class Answering:
    """A Docker Engine that has every image."""

    host = "unix:///var/run/docker.sock"

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None: ...

    def check_compose(self) -> None: ...

    def ensure_image(self, *_: Any, **__: Any) -> None: ...


def docker(monkeypatch: pytest.MonkeyPatch, answer: Answering | EngineError) -> None:
    def connect() -> Answering:
        if isinstance(answer, EngineError):
            raise answer
        return answer

    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/docker")
    monkeypatch.setattr(checks.Docker, "connect", connect)


def test_without_a_word_it_is_the_embedded_engine_and_docker_is_not_asked(tmp_path: Path) -> None:
    assert choice.choose(settings(tmp_path), quiet) == choice.Choice(EngineName.EMBEDDED, "the default")


def test_auto_takes_localstack_where_docker_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker(monkeypatch, Answering())
    found = choice.choose(settings(tmp_path, engine="auto"), quiet)
    assert found.engine is EngineName.LOCALSTACK
    assert "unix:///var/run/docker.sock" in found.why


def test_auto_takes_the_embedded_engine_elsewhere_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker(monkeypatch, EngineError("The image localstack is not on this machine and cannot be pulled."))
    found = choice.choose(settings(tmp_path, engine="auto"), quiet)
    assert found.engine is EngineName.EMBEDDED
    assert "cannot be pulled" in found.why
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "no docker command" in choice.choose(settings(tmp_path, engine="auto"), quiet).why


def test_a_choice_stays_until_down_whatever_docker_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker(monkeypatch, EngineError("No Docker Engine answers."))
    choice.note(choice.choose(settings(tmp_path, engine="auto"), quiet), tmp_path)
    docker(monkeypatch, Answering())
    assert choice.choose(settings(tmp_path, engine="auto"), quiet).engine is EngineName.EMBEDDED
    choice.forget(tmp_path)
    assert choice.choose(settings(tmp_path, engine="auto"), quiet).engine is EngineName.LOCALSTACK


def test_another_engine_than_the_one_that_is_up_is_refused(tmp_path: Path) -> None:
    choice.note(choice.Choice(EngineName.LOCALSTACK, "named"), tmp_path)
    with pytest.raises(UsageError, match="is up on the localstack engine, not on embedded") as refused:
        choice.choose(settings(tmp_path, engine="embedded"), quiet)
    assert "make down" in refused.value.hint


def test_commands_find_the_engine_that_is_up_without_being_told(tmp_path: Path) -> None:
    assert isinstance(choice.engine_for(settings(tmp_path)), EmbeddedEngine)
    choice.note(choice.Choice(EngineName.LOCALSTACK, "named"), tmp_path)
    assert isinstance(choice.engine_for(settings(tmp_path)), LocalStackEngine)


def test_a_note_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "choice.json").write_text('{"engine": "floppy"}')
    assert choice.noted(tmp_path) is None
