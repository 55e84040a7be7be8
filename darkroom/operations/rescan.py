"""Has the stack's rescan function go through the bucket, step by step, and keeps the place for the next time."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from darkroom.errors import FunctionFailedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from darkroom.operations.target import Target

_PATIENT = Config(read_timeout=300, retries={"total_max_attempts": 2})
_COUNTED_PAGES = 20
"""So many thousand objects are counted beforehand for the progress; more are not worth the wait."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a rescan is.

    Attributes:
        stale: whether records of other settings are made anew, too.
        cursor: where it goes on; None at the beginning.
        looked_at: objects so far.
        sent: uploads so far that the tagger was asked to analyse.
    """

    stale: bool
    cursor: str | None = None
    looked_at: int = 0
    sent: int = 0


class Rescan:
    """One rescan of one stack.

    Args:
        target: the stack.
        note: file in which the place is kept while it is under way.
    """

    def __init__(self, target: Target, note: Path) -> None:
        self._target = target
        self._note = note
        self._lambda = target.session.client("lambda", config=_PATIENT)

    def place(self, *, stale: bool) -> Place:
        """Where a rescan of this kind was broken off; the beginning where none was."""
        try:
            found = json.loads(self._note.read_text())
            place = Place(**found.pop("place"))
        except (OSError, ValueError, KeyError, TypeError):
            return Place(stale)
        mine = found.get("bucket") == self._target.outputs.bucket and place.stale == stale
        return place if mine else Place(stale)

    def count(self) -> int | None:
        """About how many objects there are; None where it would take too long to count them."""
        pages = self._target.session.client("s3").get_paginator("list_objects_v2")
        count = 0
        for number, page in enumerate(pages.paginate(Bucket=self._target.outputs.bucket), start=1):
            count += page["KeyCount"]
            if number == _COUNTED_PAGES and page["IsTruncated"]:
                return None
        return count

    def run(self, place: Place, *, rate: float, progress: Callable[[Place], None]) -> Place:
        """Go through the rest of the bucket.

        Args:
            place: where to begin.
            rate: at most so many uploads per second are sent to the tagger.
            progress: told after each step.

        Raises:
            NotFoundError: the stack has no rescan function.
            FunctionFailedError: the function failed; the place is kept.
        """
        began_s, before = time.monotonic(), place.sent
        while True:
            answer = self._step(place, most=max(1, min(round(rate), 500)))
            place = Place(
                place.stale,
                answer["cursor"],
                place.looked_at + answer["looked_at"],
                place.sent + answer["sent"],
            )
            progress(place)
            if place.cursor is None:
                self._note.unlink(missing_ok=True)
                return place
            self._keep(place)
            time.sleep(max(0.0, began_s + (place.sent - before) / rate - time.monotonic()))

    def _keep(self, place: Place) -> None:
        content = {"bucket": self._target.outputs.bucket, "place": asdict(place)}
        part = self._note.with_name(self._note.name + ".part")
        part.write_text(json.dumps(content) + "\n")
        part.replace(self._note)

    def _step(self, place: Place, *, most: int) -> dict[str, Any]:
        name = f"{self._target.stack}-rescan"
        event = {"cursor": place.cursor, "most": most, "stale": place.stale}
        try:
            answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        except self._lambda.exceptions.ResourceNotFoundException:
            raise NotFoundError(
                f"The stack {self._target.stack} has no function {name}.",
                hint="A stack with your own Lambda has none: only Darkroom's tagger knows what a current record is.",
            ) from None
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise FunctionFailedError(
                f"{name} failed: {found.get('errorType', 'Error')}: {found.get('errorMessage', '')}",
                hint="`darkroom logs rescan` shows its log; `darkroom rescan` goes on from where it was.",
            )
        return found
