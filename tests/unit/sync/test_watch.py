"""Hints from the system's real events."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from darkroom.sync import watch
from darkroom.sync.model import Hint

from .memory_store import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning:watchdog"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems tell less"),
]


@pytest.fixture
def hints() -> list[tuple[Hint, str]]:
    return []


@pytest.fixture
def root(tmp_path: Path, hints: list[tuple[Hint, str]]) -> Iterator[Path]:
    folder = tmp_path / "inbox"
    folder.mkdir()
    watcher = watch.Watcher(str(folder), lambda hint, path: hints.append((hint, path)))
    yield folder
    watcher.stop()


def test_a_file_is_complete_when_it_is_closed_not_before(root: Path, hints: list[tuple[Hint, str]]) -> None:
    with (root / "a.jpg").open("wb") as file:
        file.write(b"x")
        file.flush()
        wait_until(lambda: hints == [(Hint.CHANGED, "a.jpg")])
    wait_until(lambda: hints == [(Hint.CHANGED, "a.jpg"), (Hint.COMPLETE, "a.jpg")])


def test_reading_makes_no_hints(root: Path, hints: list[tuple[Hint, str]]) -> None:
    (root / "a.jpg").write_bytes(b"x")
    wait_until(lambda: len(hints) == 2)
    (root / "a.jpg").read_bytes()
    (root / "b.jpg").write_bytes(b"x")
    wait_until(lambda: len(hints) == 4)
    assert {path for _, path in hints[2:]} == {"b.jpg"}


def test_moves_within_into_and_out_of_the_folder(
    root: Path, tmp_path: Path, hints: list[tuple[Hint, str]]
) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"x")
    outside.rename(root / "in.jpg")
    (root / "in.jpg").rename(root / "within.jpg")
    (root / "within.jpg").rename(outside)
    wait_until(lambda: len(hints) == 4)
    assert hints == [
        (Hint.COMPLETE, "in.jpg"),
        (Hint.GONE, "in.jpg"),
        (Hint.COMPLETE, "within.jpg"),
        (Hint.GONE, "within.jpg"),
    ]


def test_a_new_folder_is_to_be_walked_and_is_watched_from_then_on(
    root: Path, hints: list[tuple[Hint, str]]
) -> None:
    (root / "album").mkdir()
    wait_until(lambda: (Hint.TREE, "album") in hints)
    (root / "album/a.jpg").write_bytes(b"x")
    wait_until(lambda: (Hint.COMPLETE, "album/a.jpg") in hints)


def test_the_folder_itself_going_means_look_at_everything(root: Path, hints: list[tuple[Hint, str]]) -> None:
    root.rmdir()
    wait_until(lambda: (Hint.RESCAN, "") in hints)


def test_a_kernel_queue_that_ran_over_means_look_at_everything() -> None:
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, WatchDescriptor

    told: list[bool] = []
    observer = watch._linux_observer(lambda *, broken: told.append(broken))
    observer.start()
    event = InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b"")
    observer._fd.handle_event(event)  # type: ignore[attr-defined]
    observer.stop()
    observer.join(2)
    assert told == [False]


def test_a_library_that_loses_its_thread_over_an_event_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hints: list[tuple[Hint, str]]
) -> None:
    from watchdog.observers.inotify_c import InotifyFD

    def stumble(_self: object, _event: object) -> None:
        raise KeyError(b"/moved/and/deleted")

    monkeypatch.setattr(InotifyFD, "handle_event", stumble)
    watcher = watch.Watcher(str(tmp_path), lambda hint, path: hints.append((hint, path)))
    assert watcher.healthy
    (tmp_path / "a.jpg").write_bytes(b"x")
    wait_until(lambda: not watcher.healthy)
    assert (Hint.RESCAN, "") in hints
    watcher.stop()


def test_a_folder_that_is_gone_is_no_watch_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watch.Watcher(str(tmp_path / "nowhere"), lambda _hint, _path: None)


def test_no_watches_left_is_said_in_the_systems_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_on_overflow: object) -> None:
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr(watch, "_observer", full)
    with pytest.raises(watch.WatchError, match="inotify instance limit reached"):
        watch.Watcher(str(tmp_path), lambda _hint, _path: None)
