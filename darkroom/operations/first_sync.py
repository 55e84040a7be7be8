"""How far the sync is when a full folder is met for the first time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.operations.records import UPLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.operations.environment import Environment

_MANY = 50
"""Fewer files are uploaded before a bar could be drawn."""
_START_TIMEOUT_S = 5.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Upload:
    """Files of this run of the sync: uploaded so far, and in all."""

    done: int
    total: int


def many_files(environment: Environment) -> bool:
    """Whether the inbox holds so many files that it is worth looking how far they are."""
    from darkroom.sync.scan import walk

    count = 0
    for folder in walk(str(environment.settings.inbox), "", UPLOADS):
        count += len(folder.files)
        if count >= _MANY:
            return True
    return False


def uploads(environment: Environment) -> Iterator[Upload]:
    """How far it is, again and again, until nothing waits; nothing at all when everything was there already."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    pid = environment.sync_pid()
    while (status := environment.sync_status()).get("pid") != pid or status["state"] == "waiting for engine":
        if time.monotonic() > deadline:
            return  # `status` tells what troubles it
        time.sleep(_POLL_S)
    while status.get("pid") == pid and status["waiting"]:
        yield Upload(status["uploaded"], status["uploaded"] + status["waiting"])
        time.sleep(_POLL_S)
        status = environment.sync_status()
