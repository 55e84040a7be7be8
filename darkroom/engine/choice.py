"""Which engine a state folder runs on.

it is up                    what it was started with, whatever the settings say
engine = embedded, localstack     that one
engine = auto               LocalStack where a Docker Engine answers and the images can be had, else embedded; noted
                            until `down` or `reset`
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.engine.keys import write_private
from darkroom.errors import EngineError, UsageError
from darkroom.settings import EngineName

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom.engine.base import Report
    from darkroom.engine.embedded import EmbeddedEngine
    from darkroom.engine.localstack import LocalStackEngine
    from darkroom.settings import Settings

_NOTE = "choice.json"


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and why it is that one."""

    engine: EngineName
    why: str


def noted(home: Path) -> Choice | None:
    """What the last `up` chose, until `down`."""
    try:
        found = json.loads((home / _NOTE).read_text())
        return Choice(EngineName(found["engine"]), found["why"])
    except (OSError, ValueError, KeyError):
        return None


def note(choice: Choice, home: Path) -> None:
    write_private(home / _NOTE, json.dumps({"engine": choice.engine, "why": choice.why}, indent=2) + "\n")


def forget(home: Path) -> None:
    """The next `up` chooses anew."""
    (home / _NOTE).unlink(missing_ok=True)


def choose(settings: Settings, report: Report) -> Choice:
    """The engine for an `up`.

    Raises:
        UsageError: another one than the named is up.
        EngineError: LocalStack was named and cannot be had; never for `auto`.
    """
    before = noted(settings.home)
    named = "engine" in settings.model_fields_set and settings.engine is not EngineName.AUTO
    if before is not None:
        if named and before.engine is not settings.engine:
            raise UsageError(
                f"{settings.home} is up on the {before.engine} engine, not on {settings.engine}.",
                hint="`make down` first, or give the other one a state folder and a port of its own "
                "(DARKROOM_HOME, DARKROOM_PORT).",
            )
        return before
    if settings.engine is not EngineName.AUTO:
        return Choice(settings.engine, "named by DARKROOM_ENGINE" if named else "the default")
    return _automatic(report)


def _automatic(report: Report) -> Choice:
    if shutil.which("docker") is None:
        return Choice(EngineName.EMBEDDED, "there is no docker command")
    from darkroom.engine.localstack.compose import Images
    from darkroom.engine.localstack.docker import Docker

    report("looking for a Docker Engine")
    images = Images.from_environment(os.environ)
    try:
        with Docker.connect() as docker:
            docker.check_compose()
            docker.ensure_image(images.localstack, what="LocalStack", report=report)
            docker.ensure_image(images.functions, what="what Lambda functions run in", report=report)
            return Choice(EngineName.LOCALSTACK, f"a Docker Engine answers at {docker.host}")
    except EngineError as error:
        return Choice(EngineName.EMBEDDED, error.message.splitlines()[0])


def engine_for(settings: Settings) -> EmbeddedEngine | LocalStackEngine:
    """The engine that a state folder runs on, or would run on: `auto` counts as embedded until an `up` has chosen."""
    before = noted(settings.home)
    return engine_named(before.engine if before is not None else settings.engine, settings)


def engine_named(name: EngineName, settings: Settings) -> EmbeddedEngine | LocalStackEngine:
    """The engine of a name."""
    if name is EngineName.LOCALSTACK:
        from darkroom.engine.localstack import LocalStackEngine

        return LocalStackEngine(settings)
    from darkroom.engine.embedded import EmbeddedEngine

    return EmbeddedEngine(settings)
