"""Comparing folder, journal and bucket: what events could not tell.

Two comparisons. `list_bucket` waits until the bucket answers and lists it. `survey` walks the folder and
names every file that is not, as far as is known, stored as it is; unchanged files (size, time stamp and inode
as in the journal) are not read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import tenacity

from darkroom.sync.scan import Found, walk
from darkroom.sync.store import BusyError, KeysRefusedError, ObjectStore, RefusedError, StoreError

if TYPE_CHECKING:
    import threading

    from darkroom.sync.journal import Journal
    from darkroom.sync.model import LeftOut, Row, SyncOptions

Connect = Callable[[], ObjectStore]


class StoppedError(Exception):
    """The sync was told to stop while it waited."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The bucket under the prefix: a store that answers, and the ETag of every key."""

    store: ObjectStore
    etags: dict[str, str]


@dataclass(slots=True)
class Survey:
    """What a walk found.

    `missing` are journal lines whose file is not there; `lost` those that are neither here nor in the bucket.
    `whole` is true for a walk over the whole folder.
    """

    whole: bool
    differing: list[Found] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unchanged: int = 0
    files: int = 0
    seconds: float = 0.0


def list_bucket(
    connect: Connect,
    options: SyncOptions,
    *,
    stop: threading.Event,
    on_wait: Callable[[str], None],
) -> Listing:
    """Wait until the bucket answers, then list it.

    Args:
        connect: makes a client; called again when the keys were refused.
        on_wait: told the reason after every attempt that failed.

    Raises:
        StoppedError: `stop` was set. StoreError: `options.engine_wait_s` is over.
    """
    timing = options.timing
    held: list[ObjectStore] = []

    def attempt() -> Listing:
        if not held:
            held.append(connect())
        try:
            return Listing(held[0], dict(held[0].list(options.prefix)))
        except KeysRefusedError:
            held.clear()
            raise

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        on_wait(_reason(error))

    limit = tenacity.stop_when_event_set(stop)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(StoreError),
        wait=tenacity.wait_exponential_jitter(
            multiplier=timing.engine_first, max=timing.engine_most, jitter=timing.engine_first
        ),
        stop=limit
        if options.engine_wait_s is None
        else limit | tenacity.stop_after_delay(options.engine_wait_s),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=tell,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except StoreError as error:
        if stop.is_set():
            raise StoppedError from error
        raise


def _reason(error: BaseException | None) -> str:
    if isinstance(error, RefusedError):
        return f"{error}; listing it needs s3:ListBucket"
    if isinstance(error, BusyError):
        return f"it is busy: {error}"
    return str(error)


def survey(
    root: str,
    start: str,
    options: SyncOptions,
    journal: Journal,
    remote: Mapping[str, str] | None,
) -> Survey:
    """Walk the folder from `start` and compare.

    Args:
        journal: one of the calling thread's own.
        remote: the bucket's keys and ETags where a listing is at hand, else None: the journal is believed.
    """
    began = time.perf_counter()
    result = Survey(whole=not start)
    unseen = set(journal.folders(start))
    unreadable: list[str] = []
    for folder in walk(root, start, options.prefix):
        unseen.discard(folder.path)
        result.left_out.extend(folder.left_out)
        if not folder.readable:
            unreadable.append(folder.path)
            continue
        rows = journal.in_folder(folder.path)
        for found in folder.files:
            row = rows.pop(found.path, None)
            result.files += 1
            if row is not None and row.signature == found.signature and _stored(row, options, remote):
                result.unchanged += 1
            else:
                result.differing.append(found)
        result.missing.extend(rows.values())
    for path in unseen:
        if not any(path == top or not top or path.startswith(top + "/") for top in unreadable):
            result.missing.extend(journal.in_folder(path).values())
    if remote is not None:
        result.lost = [row.path for row in result.missing if options.key(row.path) not in remote]
        lost = set(result.lost)
        result.missing = [row for row in result.missing if row.path not in lost]
    result.seconds = time.perf_counter() - began
    return result


def _stored(row: Row, options: SyncOptions, remote: Mapping[str, str] | None) -> bool:
    return remote is None or remote.get(options.key(row.path)) == row.etag
