"""The switch: which mode is in force, changed while requests are under way.

A request goes by the mode that it met. Keys of AWS live in this object only and go with the last mode that needs
them; what else was chosen is kept in a file, so that a process that was restarted neither forgets that it must not
invent answers nor asks AWS without keys: it refuses until somebody switches again.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.credentials import CredentialsError, no_local_keys
from darkroom.rekognition.live import Live
from darkroom.rekognition.modes import Choices, read_choices
from darkroom.rekognition.recordings import RecordingStore
from darkroom.rekognition.spending import Ledger, LedgerError, Limits, default_ledger
from darkroom.rekognition.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from darkroom.rekognition.credentials import Access

logger = logging.getLogger(__name__)


class Switch:
    """Holds the mode.

    Args:
        recorded: the folder of recordings.
        choices: the mode at the start, where `state` holds none; by default `stub`.
        ledger: where what is spent is written down.
        is_local_key: whether a local environment made an access key.
        state: the file in which the choice is kept; None keeps it nowhere.
    """

    def __init__(
        self,
        *,
        recorded: Path,
        choices: Choices | None = None,
        ledger: Path | None = None,
        is_local_key: Callable[[str], bool] = no_local_keys,
        state: Path | None = None,
    ) -> None:
        self._store = RecordingStore(folder=recorded)
        self._ledger_path = ledger
        self._is_local_key = is_local_key
        self._state = state
        self._access: Access | None = None
        self._lock = threading.Lock()
        self.live = Live(_remembered(state) or choices or Choices(), self._store, None)

    @property
    def ledger(self) -> Ledger:
        """Where what is spent is written down."""
        return Ledger(self._ledger_path or default_ledger())

    def use(self, choices: Choices, access: Access | None = None) -> None:
        """Switch. A mode that asks AWS is in force only after AWS has said who asks.

        Args:
            choices: the mode and its options.
            access: credentials, for a mode that asks AWS; None goes on with those of the mode before.

        Raises:
            CredentialsError, UpstreamError: AWS cannot be asked so; the mode before stays.
            OSError: the choice cannot be kept.
        """
        with self._lock:
            upstream = None
            access = access or self._access
            if choices.mode.asks_aws:
                if access is None:
                    raise CredentialsError(
                        f"The mode {choices.mode.value} asks real AWS and needs credentials."
                    )
                upstream = self._upstream(choices, access)
                upstream.identity()
            self._keep(choices)
            self._access = access if upstream else None
            self.live = Live(choices, self._store, upstream)
        logger.warning("the mode is %s", choices.mode.value)

    def status(self) -> dict[str, Any]:
        """What is in force, who asks, and what was spent; holds no secret."""
        live = self.live
        status: dict[str, Any] = {**live.choices.document(), "asked": live.asked, "recorded": live.recorded}
        if not live.choices.mode.asks_aws:
            return status
        identity = live.upstream.identity() if live.upstream else None
        status["identity"] = {"account": identity.account, "who": identity.who} if identity else None
        try:
            spent = self.ledger.spent()
            status["spent"] = {"month": spent.month, "calls": spent.calls, "micros": spent.micros}
        except LedgerError as error:
            status["spent"] = {"error": str(error)}
        return status

    def _upstream(self, choices: Choices, access: Access) -> Upstream:
        return Upstream(
            access=access,
            region=choices.region,
            endpoint=choices.endpoint,
            ledger=self.ledger,
            limits=Limits(choices.budget_micros, choices.max_calls),
            attempts=1,  # whoever asked retries, as it does on AWS
            is_local_key=self._is_local_key,
        )

    def _keep(self, choices: Choices) -> None:
        if self._state is None:
            return
        part = self._state.with_name(f"{self._state.name}.{secrets.token_hex(4)}.part")
        try:
            part.write_text(json.dumps(choices.document(), indent=1) + "\n", "utf-8")
            part.replace(self._state)
        finally:
            part.unlink(missing_ok=True)


def _remembered(state: Path | None) -> Choices | None:
    if state is None:
        return None
    try:
        return read_choices(json.loads(state.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.error("%s cannot be read, so the mode is stub: %s", state, error)  # noqa: TRY400 -- one line says all
        return None
