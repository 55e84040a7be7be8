"""New code is tried before it takes over.

    POST /trials ──▶ unpack ──▶ a worker beside the pool ──▶ it comes up: a candidate ──▶ the lane's next worker
                                                        └──▶ it does not: told, and nothing has changed

While a candidate loads, the old code goes on answering; when the engine then names the new code, the pool takes
the candidate over instead of starting another worker. So a reload costs one start, and nobody waits for it.
Candidates come on top of the pool's places for that moment.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from darkroom.runtime.worker import InitError, State, Surroundings, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from darkroom.runtime.code import CodeStore
    from darkroom.runtime.functions import RoleSessions
    from darkroom.runtime.model import FunctionConfig

HOLD_S = 30.0
"""How long a candidate waits to be taken over."""


@dataclass(slots=True, eq=False)
class _Candidate:
    worker: Worker
    up: asyncio.Future[InitError | None]
    expiry: asyncio.TimerHandle | None = None


class Trials:
    """Workers with code that no function has yet. `on_idle` and `on_stopped` are the pool's, for taken ones."""

    def __init__(
        self,
        surroundings: Surroundings,
        code: CodeStore,
        sessions: RoleSessions,
        *,
        on_idle: Callable[[Worker], None],
        on_stopped: Callable[[Worker, InitError | None], None],
    ) -> None:
        self._around = surroundings
        self._code = code
        self._sessions = sessions
        self._pool_idle = on_idle
        self._pool_stopped = on_stopped
        self._candidates: dict[Worker, _Candidate] = {}
        self._unpacking: set[str] = set()
        self._loop = asyncio.get_running_loop()

    async def try_code(self, configs: Sequence[FunctionConfig], package: bytes) -> dict[str, InitError]:
        """Start each function once with a package.

        Returns:
            Why it did not come up, by function; empty when all did. After one failure no candidate stays.

        Raises:
            SystemFaultError: the package is no safe zip file, or a process could not be started.
        """
        sha = base64.b64encode(hashlib.sha256(package).digest()).decode()
        self._unpacking.add(sha)
        try:
            await self._code.put(sha, package)
            new = [replace(config, code_sha256=sha) for config in configs]
            results = await asyncio.gather(*map(self._start, new), return_exceptions=True)
        finally:
            self._unpacking.discard(sha)
        for result in results:
            if isinstance(result, BaseException):
                self.drop()
                raise result
        failed = {
            config.name: result
            for config, result in zip(new, results, strict=True)
            if isinstance(result, InitError)
        }
        if failed:
            self.drop()
        return failed

    async def _start(self, config: FunctionConfig) -> InitError | None:
        credentials = await self._sessions.get(config.role_arn, config.name)
        folder = await self._code.folder_of(config)
        worker = Worker(config, credentials, self._around, on_idle=self._idle, on_stopped=self._stopped)
        candidate = self._candidates[worker] = _Candidate(worker, self._loop.create_future())
        try:
            await worker.start(folder)
            error = await candidate.up
        except BaseException:
            self._candidates.pop(worker, None)
            worker.kill()
            raise
        if error is None:
            candidate.expiry = self._loop.call_later(HOLD_S, worker.kill)
        return error

    def take(self, config: FunctionConfig) -> Worker | None:
        """The candidate that runs exactly this configuration; from now on it is the pool's."""
        for worker, candidate in list(self._candidates.items()):
            same = (worker.config.name, worker.config.fingerprint) == (config.name, config.fingerprint)
            if same and worker.state is State.IDLE:
                del self._candidates[worker]
                if candidate.expiry is not None:
                    candidate.expiry.cancel()
                return worker
        return None

    def drop(self) -> None:
        """End all candidates."""
        for worker in self._candidates:
            worker.kill()

    def code_in_use(self) -> set[str]:
        """CodeSha256 of what is tried now."""
        return self._unpacking | {worker.config.code_sha256 for worker in self._candidates}

    async def stop(self) -> None:
        """End all candidates and wait until they are gone."""
        workers = list(self._candidates)
        self.drop()
        for worker in workers:
            await worker.stopped()

    def _idle(self, worker: Worker) -> None:
        candidate = self._candidates.get(worker)
        if candidate is None:
            self._pool_idle(worker)
        elif not candidate.up.done():
            candidate.up.set_result(None)

    def _stopped(self, worker: Worker, error: InitError | None) -> None:
        candidate = self._candidates.pop(worker, None)
        if candidate is None:
            self._pool_stopped(worker, error)
            return
        if candidate.expiry is not None:
            candidate.expiry.cancel()
        if not candidate.up.done():
            candidate.up.set_result(error or InitError("Runtime.ExitError", b"{}"))
