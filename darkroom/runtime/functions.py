"""What is known of functions, for about a second; role sessions, until shortly before they end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from darkroom.runtime.engine_life import EngineLife, Life
from darkroom.runtime.model import (
    LATEST,
    Credentials,
    CredentialsSource,
    FunctionConfig,
    FunctionSource,
    InvokeSettings,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Value = TypeVar("Value")
CREDENTIALS_MARGIN_S = 1200.0
"""More than the longest time-out (15 minutes), so that a session never ends in the middle of an invocation."""


@dataclass(frozen=True, slots=True)
class _Known(Generic[Value]):
    value: Value
    at: float


class _Cache(Generic[Value]):
    """Values by key; one look-up at a time per key, however many ask.

    When a look-up fails, what was known before does not serve: a function would only run into the same engine that
    does not answer, fail, and burn its retries.
    """

    def __init__(self, load: Callable[[str, str], Awaitable[Value]], clock: Callable[[], float]) -> None:
        self._load = load
        self._clock = clock
        self._known: dict[tuple[str, str], _Known[Value]] = {}
        self._under_way: dict[tuple[str, str], asyncio.Task[Value]] = {}

    def peek(self, key: tuple[str, str], maximum_age_s: float) -> Value | None:
        """A value that is young enough, at no cost."""
        known = self._known.get(key)
        return known.value if known is not None and self._clock() - known.at <= maximum_age_s else None

    async def get(self, key: tuple[str, str], maximum_age_s: float) -> Value:
        """A value that is young enough, looked up if need be."""
        value = self.peek(key, maximum_age_s)
        if value is not None:
            return value
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._look_up(key))
        return await asyncio.shield(task)

    async def _look_up(self, key: tuple[str, str]) -> Value:
        me = asyncio.current_task()
        try:
            value = await self._load(*key)
            if self._under_way.get(key) is me:  # else it was forgotten meanwhile
                self._known[key] = _Known(value, self._clock())
            return value
        finally:
            if self._under_way.get(key) is me:
                del self._under_way[key]

    def values(self) -> list[Value]:
        return [known.value for known in self._known.values()]

    def forget(self) -> None:
        """Forget everything, also what is being looked up right now: it may be from before the change."""
        self._known.clear()
        self._under_way.clear()


class Functions:
    """Function configurations and event invoke configs, cached for `ttl_s`."""

    def __init__(
        self, source: FunctionSource, *, ttl_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_s = ttl_s
        self._configs = _Cache(source.function, clock)
        self._settings = _Cache(lambda name, _: source.invoke_settings(name), clock)

    async def config(self, name: str, qualifier: str, *, fresh: bool = False) -> FunctionConfig:
        """The version that a caller names. `fresh` asks the engine in any case: a direct call right after
        UpdateFunctionCode must run the new code.

        Raises:
            ResourceNotFoundError: there is none.
            SystemFaultError: the engine did not answer.
        """
        return await self._configs.get((name, qualifier), -1.0 if fresh else self._ttl_s)

    async def settings_and_config(
        self, name: str, qualifier: str, *, guess_alias: bool = False
    ) -> tuple[InvokeSettings, FunctionConfig]:
        """What an asynchronous event needs: its event invoke config, and its function. Raises as `config` does.

        A config belongs to exactly one qualifier ("Configuring error handling settings for Lambda asynchronous
        invocations"). The engine's event seam resolves an alias before it names the function, so an event that came
        by an alias arrives without one; `guess_alias` then takes the only alias' config there is.
        """
        known_settings = self._settings.peek((name, ""), self._ttl_s)
        known = self._configs.peek((name, qualifier), self._ttl_s)
        if known_settings is not None and known is not None:  # in a burst: no task, no turn of the event loop
            return _choose(known_settings, qualifier, guess_alias=guess_alias), known
        configs, config = await asyncio.gather(
            self._settings.get((name, ""), self._ttl_s), self.config(name, qualifier)
        )
        return _choose(configs, qualifier, guess_alias=guess_alias), config

    def code_in_use(self) -> set[str]:
        """CodeSha256 of every function that is known now."""
        return {config.code_sha256 for config in self._configs.values()}

    def refresh(self) -> None:
        """Forget it all, after a deploy."""
        self._configs.forget()
        self._settings.forget()


def _choose(configs: Mapping[str, InvokeSettings], qualifier: str, *, guess_alias: bool) -> InvokeSettings:
    found = configs.get(qualifier or LATEST)
    if found is None and guess_alias:
        aliases = [key for key in sorted(configs) if key != LATEST and not key.isdigit()]
        found = configs[aliases[0]] if aliases else None
    return found or InvokeSettings()


class RoleSessions:
    """Credentials of functions' roles, one session per function, renewed before they end.

    The session is named as Lambda names it: after the function. When the engine begins a new life, every session is
    forgotten, and workers that hold one are replaced before they run into a refusal.
    """

    def __init__(
        self,
        source: CredentialsSource,
        clock: Callable[[], float] = time.time,
        *,
        engine: EngineLife | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._engine = engine or EngineLife()
        self._life = self._engine.now()
        self._known: dict[tuple[str, str], Credentials] = {}
        self._usable: set[str] = set()
        self._lock = asyncio.Lock()

    def ends_soon(self, credentials: Credentials) -> bool:
        """Whether a worker with these must be replaced before it runs another invocation."""
        self._look_at_engine()
        return credentials.access_key_id not in self._usable or self._is_old(credentials)

    async def get(self, role_arn: str, session_name: str) -> Credentials:
        """A session with some minutes left. Raises SystemFaultError."""
        key = (role_arn, session_name)
        async with self._lock:
            while True:
                life = self._look_at_engine()
                known = self._known.get(key)
                if known is not None and not self._is_old(known):
                    return known
                made = await self._source.assume(role_arn, session_name)
                if life == self._engine.now():  # else an engine made it that is gone by now
                    self._known[key] = made
                    self._usable.add(made.access_key_id)
                    return made

    def forget(self) -> None:
        """Use none of them any more: after a deploy a role may be another one under the same name."""
        self._known.clear()
        self._usable.clear()

    def _is_old(self, credentials: Credentials) -> bool:
        lifetime_s = credentials.expires_at - credentials.made_at
        return self._clock() + min(CREDENTIALS_MARGIN_S, lifetime_s / 2) >= credentials.expires_at

    def _look_at_engine(self) -> Life:
        life = self._engine.now()
        if life is not None and life != self._life:
            self._life = life
            self.forget()
        return life
