"""Reaching the local Rekognition of a running environment, and its fixtures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.engine.keys import Keys
from darkroom.errors import NotRunningError
from darkroom.rekognition.control import ANY_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom.operations.environment import Environment
    from darkroom.settings import Settings


@dataclass(frozen=True, slots=True)
class Control:
    """Where the control of faults answers, and what it asks for in its header."""

    endpoint: str
    token: str


def control_of(environment: Environment) -> Control:
    """The control behind the gateway of an environment: whoever may read its private keys may use it.

    Raises:
        NotRunningError: it is not up.
    """
    environment.require_running()
    keys = Keys.read(environment.layout.instance)
    if keys is None:
        raise NotRunningError("This environment has no keys yet.", hint="Run `make up` first.")
    return Control(environment.engine.endpoint, keys.token)


def control_at(endpoint: str) -> Control:
    """The control of a server that stands alone, as in a container."""
    return Control(endpoint, ANY_TOKEN)


def fixtures_folder(settings: Settings) -> Path:
    """Where the environment's Rekognition takes its answers from."""
    return settings.project / "fixtures" / "rekognition"
