"""Asking the engine's IAM whether a principal may do something.

For the calls that the gateway answers itself; the engine decides by the same policies as for its own calls
(``iam:SimulatePrincipalPolicy``). Answers are kept until something that may change a policy passes the gateway.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.engine.internal import EngineSocket

_KEPT_S = 60.0
"""Upper bound, for changes that do not pass the gateway."""


class Permissions:
    """Decisions of the engine's IAM, remembered."""

    def __init__(self, engine: EngineSocket) -> None:
        self._engine = engine
        self._decisions: dict[tuple[str, str, str], tuple[float, bool]] = {}

    async def allows(self, *, principal: str, action: str, resource: str) -> bool:
        """Whether the principal's policies allow the action on the resource.

        Raises:
            EngineError: the engine does not answer; the caller must then refuse.
        """
        question = (principal, action, resource)
        known = self._decisions.get(question)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        answer = await asyncio.to_thread(self._ask, principal, action, resource)
        self._decisions[question] = (time.monotonic() + _KEPT_S, answer)
        return answer

    def forget(self) -> None:
        """A policy may have changed."""
        self._decisions.clear()

    def _ask(self, principal: str, action: str, resource: str) -> bool:
        answer = self._engine.query(
            "iam",
            "SimulatePrincipalPolicy",
            **{
                "PolicySourceArn": principal,
                "ActionNames.member.1": action,
                "ResourceArns.member.1": resource,
            },
        )
        return answer.findtext(".//{*}EvalDecision") == "allowed"
