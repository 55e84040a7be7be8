"""Reaching the local Rekognition of a running environment, and its fixtures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.engine.keys import Keys
from darkroom.errors import NotRunningError, UsageError
from darkroom.rekognition.control import ANY_TOKEN, ControlError, show_mode
from darkroom.settings import EngineName

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from darkroom.operations.environment import Environment
    from darkroom.rekognition.modes import Choices, Mode
    from darkroom.settings import Settings


@dataclass(frozen=True, slots=True)
class Control:
    """Where the control of faults answers, and what it asks for in its header."""

    endpoint: str
    token: str


def control_of(environment: Environment) -> Control:
    """The control of an environment's Rekognition.

    Behind the gateway of the embedded engine, whoever may read its private keys may use it; beside LocalStack it stands
    alone, in a container.

    Raises:
        NotRunningError: it is not up.
    """
    environment.require_running()
    if environment.engine.name is not EngineName.EMBEDDED:
        return control_at(environment.engine.rekognition_endpoint)
    keys = Keys.read(environment.layout.instance)
    if keys is None:
        raise NotRunningError("This environment has no keys yet.", hint="Run `make up` first.")
    return Control(environment.engine.rekognition_endpoint, keys.token)


def control_at(endpoint: str) -> Control:
    """The control of a server that stands alone, as in a container."""
    return Control(endpoint, ANY_TOKEN)


def forget_mode(environment: Environment) -> None:
    """A mode lasts until `down`: a start begins with `stub`, or with what the settings say."""
    environment.layout.rekognition_mode.unlink(missing_ok=True)


def choices_as_set(mode: Mode, settings: Settings) -> Choices:
    """A mode with what the settings say for it."""
    from darkroom.rekognition.modes import DEFAULT_BUDGET_DOLLARS, Choices, budget_of

    budget = DEFAULT_BUDGET_DOLLARS if settings.budget is None else budget_of(settings.budget)
    return Choices(mode=mode, endpoint=settings.aws_endpoint_url, budget_dollars=budget)


def switch_as_set(environment: Environment, report: Callable[[str], None]) -> None:
    """Switch to the mode that the settings name; where they name none, it stays as it is.

    Raises:
        UsageError: the mode cannot be had; it is as it was.
    """
    wanted = environment.settings.rekognition
    if wanted is None:
        return
    from darkroom.operations import real_rekognition as real
    from darkroom.rekognition.modes import Mode

    control = control_of(environment)
    try:
        now = show_mode(control.endpoint, token=control.token)
        if now["mode"] == wanted and now.get("identity", "") is not None:
            return
        choices = choices_as_set(Mode(wanted), environment.settings)
        access = real.find_access(environment.settings, None) if choices.mode.asks_aws else None
        choices = real.in_region(choices, None, access, environment.settings)
        status = real.switch_mode(control, choices, access)
    except ControlError as error:
        raise UsageError(
            f"Rekognition cannot be switched to {wanted}: {error}",
            hint="`darkroom rekognition mode` has options for it; DARKROOM_REKOGNITION=stub needs none.",
        ) from None
    identity = status.get("identity")
    who = f": real AWS, account {identity['account']}, {identity['who']}" if identity else ""
    report(f"Rekognition's mode is {wanted}{who}")


def status_of(environment: Environment) -> dict[str, Any]:
    """The local Rekognition's mode (see `darkroom.rekognition.switch.Switch.status`); empty when it does not answer."""
    try:
        control = control_of(environment)
        return show_mode(control.endpoint, token=control.token)
    except (ControlError, NotRunningError):
        return {}


def fixtures_folder(settings: Settings) -> Path:
    """Where the environment's Rekognition takes its answers from."""
    return settings.project / "fixtures" / "rekognition"
