"""What a command works on: the running environment, or one that is deployed elsewhere (`--env NAME`)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.operations.environment import Environment
    from darkroom.operations.promotion.promote import Promotion
    from darkroom.operations.target import Target


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


def env_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--env NAME` for a command, which gets it as `env_name`; AWS's errors are told in sentences then."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, env_name: str, **options: Any) -> Any:
        if not env_name:
            return command(*arguments, env_name=env_name, **options)
        from darkroom.operations.promotion.access import explained

        with explained():
            return command(*arguments, env_name=env_name, **options)

    return click.option(
        "--env",
        "env_name",
        default="",
        metavar="NAME",
        help="Where environments/NAME.toml is deployed, instead of here.",
    )(wrapped)


def deployed_promotion(env_name: str) -> Promotion:
    """A deployed environment, with an account that was asked for.

    Raises:
        UsageError: there is no such environment, or the credentials are not for it.
    """
    from darkroom.operations.promotion.access import account_of
    from darkroom.operations.promotion.promote import Promotion
    from darkroom.settings import load

    promotion = Promotion.load(load(), env_name)
    account_of(promotion.session(), promotion.environment)
    return promotion


def target_of(env_name: str) -> Target:
    """The stack that a command works on: of the running environment, or of a deployed one.

    Raises:
        NotRunningError: the running one is not up.
        NotFoundError: the other is not deployed.
    """
    if not env_name:
        return running_environment().target()
    return deployed_promotion(env_name).stack()
