"""The running environment that a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.operations.environment import Environment


def running_environment() -> Environment:
    """The environment of the settings.

    Raises:
        UsageError: a setting has a value that cannot be used.
        NotRunningError: it is not up.
    """
    from darkroom.operations.environment import Environment
    from darkroom.settings import load

    environment = Environment(load())
    environment.require_running()
    return environment
