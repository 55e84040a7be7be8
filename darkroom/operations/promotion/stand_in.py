"""The engine that stands in for AWS in a rehearsal: empty, with the environment's account id and region."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from darkroom.engine.embedded import EmbeddedEngine
from darkroom.errors import UsageError
from darkroom.operations.promotion.access import target_of
from darkroom.settings import EngineName

if TYPE_CHECKING:
    from darkroom.settings import Settings
    from darkroom.stack.environments import Environment


def stand_in_engine(settings: Settings, environment: Environment) -> EmbeddedEngine:
    """The engine of an environment; not started.

    Raises:
        UsageError: the environment is for the real AWS.
    """
    target = target_of(environment)
    stand_in = environment.stand_in
    if stand_in is None:
        raise UsageError(
            f"environments/{environment.name}.toml has no [stand_in]: it is for the real AWS.",
            hint="environments/rehearsal.toml shows one.",
        )
    changed = {
        "engine": EngineName.EMBEDDED,
        "home": stand_in.home,
        "inbox": stand_in.home / "inbox",
        "port": urlsplit(stand_in.endpoint_url).port or 80,
        "region": target.region,
        "account": target.account_id,
        "stack": target.stack,
    }
    return EmbeddedEngine(settings.model_copy(update=changed))
