"""The sync over a real folder with the system's own events, and a bucket in memory."""

from __future__ import annotations

import functools
import os
import shutil
import threading
import time
import unicodedata
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.sync import State
from darkroom.sync.model import Hint
from darkroom.sync.reading import open_file
from darkroom.sync.store import AwayError, BusyError, RefusedError
from darkroom.sync.watch import Watcher, WatchError

from .memory_store import Box, md5, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.sync.reading import OpenFile
    from darkroom.sync.watch import Emit

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:watchdog")

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100


def test_a_dropped_photo_reaches_uploads_with_its_content_type(box: Box) -> None:
    with box.sync():
        box.write("holiday/2026/cat.jpg", PNG)
        box.wait_for("holiday/2026/cat.jpg", PNG)
    assert box.store.objects["uploads/holiday/2026/cat.jpg"].content_type == "image/png"
    assert box.store.puts == ["uploads/holiday/2026/cat.jpg"]


def test_a_closed_file_is_uploaded_at_once_without_waiting_for_it_to_settle(box: Box) -> None:
    delays: list[float] = []

    def stored(number: int) -> bool:
        return f"uploads/{number}.jpg" in box.store.objects

    with box.sync():
        for number in range(5):
            box.write(f"{number}.jpg")
            closed = time.perf_counter()
            wait_until(functools.partial(stored, number))
            delays.append(time.perf_counter() - closed)
    assert min(delays) < 0.05


@pytest.mark.parametrize(
    "name",
    [
        "with space.jpg",
        "a+b.jpg",
        "%2F.jpg",
        "#1?.jpg",
        unicodedata.normalize("NFC", "Zoë.jpg"),
        unicodedata.normalize("NFD", "Zoë.jpg"),
        "😀.jpg",
        "back\\slash.jpg",
        "line\nbreak.jpg",
        " leading.jpg",
        "data:,x.jpg",
    ],
)
def test_the_key_is_the_name_byte_for_byte(box: Box, name: str) -> None:
    with box.sync():
        box.write(name)
        wait_until(lambda: box.store.objects)
    assert list(box.store.objects) == ["uploads/" + name]


def test_composed_and_decomposed_names_are_two_keys(box: Box) -> None:
    with box.sync():
        for form in ("NFC", "NFD"):
            box.write(unicodedata.normalize(form, "Zoë.jpg"), form.encode())
        wait_until(lambda: len(box.store.objects) == 2)
    assert {kept.body for kept in box.store.objects.values()} == {b"NFC", b"NFD"}


def test_a_name_that_is_not_utf8_is_left_out_and_said(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "darkroom.sync")
    with box.sync() as running:
        Path(os.fsdecode(os.fsencode(box.folder) + b"/caf\xe9.jpg")).write_bytes(b"x")
        box.write("good.jpg")
        box.wait_for("good.jpg", b"picture")
        running.wait_idle()
        wait_until(lambda: box.said().get("left_out") == 1)
    assert list(box.store.objects) == ["uploads/good.jpg"]
    assert "left out caf\\udce9.jpg: its name is not valid UTF-8" in caplog.text


def test_a_key_of_more_than_1024_bytes_is_left_out(box: Box) -> None:
    deep = "/".join(["d" * 200] * 5) + "/" + "n" * 20 + ".jpg"
    box.write(deep)
    with box.sync() as running:
        reasons = box.left_out(running)
    assert "S3 takes at most 1024" in reasons[deep]
    assert not box.store.objects


def test_touching_a_file_uploads_nothing(box: Box) -> None:
    with box.sync() as running:
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        running.wait_idle()
        file.touch()
        with file.open("r+b"):
            pass
        time.sleep(0.3)
        running.wait_idle()
    assert box.once().uploaded == 0
    assert box.store.puts == ["uploads/a.jpg"]


def test_the_same_content_under_another_name_is_another_key(box: Box) -> None:
    with box.sync():
        box.write("a.jpg")
        box.write("b.jpg")
        wait_until(lambda: len(box.store.objects) == 2)
    assert sorted(box.store.puts) == ["uploads/a.jpg", "uploads/b.jpg"]


def test_a_file_that_is_put_back_unchanged_uploads_nothing(box: Box) -> None:
    with box.sync() as running:
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        file.unlink()
        time.sleep(0.2)
        box.write("a.jpg")
        time.sleep(0.5)
        running.wait_idle()
    assert box.store.puts == ["uploads/a.jpg"]


def test_a_file_that_is_put_back_is_uploaded_when_the_bucket_lacks_it(box: Box) -> None:
    with box.sync() as running:
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        file.unlink()
        running.wait_idle()
        box.store.objects.clear()
        time.sleep(0.4)
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")


def test_changed_content_is_uploaded_again(box: Box) -> None:
    with box.sync():
        box.write("a.jpg", b"one")
        box.wait_for("a.jpg", b"one")
        box.write("a.jpg", b"two")  # as long as the first, and at once: its time stamp may not even move
        box.wait_for("a.jpg", b"two")
    assert box.store.puts == ["uploads/a.jpg"] * 2


def test_a_file_that_is_held_open_is_uploaded_only_when_it_is_closed(box: Box) -> None:
    with box.sync():
        with (box.folder / "slow.jpg").open("wb") as file:
            for _ in range(6):
                file.write(b"x" * 1000)
                file.flush()
                time.sleep(0.1)  # longer than a file has to stand still
            assert not box.store.puts
        box.wait_for("slow.jpg", b"x" * 6000)
    assert box.store.puts == ["uploads/slow.jpg"]


def test_a_file_found_open_at_the_start_waits_for_its_writer(box: Box) -> None:
    with (box.folder / "slow.jpg").open("wb") as file:
        file.write(b"half")
        file.flush()
        with box.sync(wait=False):
            time.sleep(0.4)
            assert not box.store.puts
            file.write(b"+half")
            file.close()
            box.wait_for("slow.jpg", b"half+half")


def test_a_file_that_grows_by_many_appends_ends_whole_with_few_uploads(box: Box) -> None:
    with box.sync():
        whole = b""
        for number in range(15):
            piece = b"%04d" % number
            whole += piece
            with (box.folder / "grow.jpg").open("ab") as file:
                file.write(piece)
            time.sleep(0.03)
        box.wait_for("grow.jpg", whole)
    assert len(box.store.puts) <= 3


def test_an_editors_atomic_save_uploads_the_new_content_under_the_old_name(box: Box) -> None:
    with box.sync():
        box.write("a.jpg", b"one")
        box.wait_for("a.jpg", b"one")
        box.write(".a.jpg.swp", b"two").rename(box.folder / "a.jpg")
        box.wait_for("a.jpg", b"two")
    assert set(box.store.objects) == {"uploads/a.jpg"}


def test_a_renamed_file_is_uploaded_under_its_new_name_and_the_old_key_stays(box: Box) -> None:
    with box.sync():
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        file.rename(box.folder / "b.jpg")
        box.wait_for("b.jpg", b"picture")
    assert set(box.store.objects) == {"uploads/a.jpg", "uploads/b.jpg"}


def test_a_file_moved_in_from_elsewhere_is_uploaded_at_once(box: Box, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"moved")
    with box.sync():
        outside.rename(box.folder / "in.jpg")
        box.wait_for("in.jpg", b"moved")


def test_a_file_that_is_moved_out_does_not_delay_the_next_one(box: Box, tmp_path: Path) -> None:
    with box.sync() as running:
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        running.wait_idle()
        file.rename(tmp_path / "gone.jpg")
        box.write("b.jpg")
        start = time.perf_counter()
        box.wait_for("b.jpg", b"picture")
    assert time.perf_counter() - start < 0.4  # the library's own pause would be half a second


def test_a_folder_moved_in_is_uploaded_with_everything_in_it_and_stays_watched(
    box: Box, tmp_path: Path
) -> None:
    (tmp_path / "album/deep").mkdir(parents=True)
    (tmp_path / "album/deep/1.jpg").write_bytes(b"1")
    with box.sync():
        (tmp_path / "album").rename(box.folder / "album")
        box.wait_for("album/deep/1.jpg", b"1")
        box.write("album/deep/2.jpg", b"2")
        box.wait_for("album/deep/2.jpg", b"2")
        (box.folder / "album").rename(box.folder / "renamed")
        box.wait_for("renamed/deep/2.jpg", b"2")
        box.write("renamed/deep/3.jpg", b"3")
        box.wait_for("renamed/deep/3.jpg", b"3")


def test_a_copied_tree_is_uploaded_whole(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(30):
        file = source / str(number % 5) / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d" % number)
    with box.sync() as running:
        shutil.copytree(source, box.folder / "album")
        wait_until(lambda: len(box.store.objects) == 30)
        running.wait_idle()
    assert len(box.store.puts) == 30


def test_an_empty_file_is_uploaded_but_not_before_it_had_time_to_be_filled(box: Box) -> None:
    with box.sync():
        box.write("empty.jpg", b"")
        box.write("filled.jpg", b"")
        box.write("filled.jpg", b"content")
        box.wait_for("empty.jpg", b"")
        box.wait_for("filled.jpg", b"content")
    assert box.store.puts.count("uploads/filled.jpg") == 1


def test_left_out_names_are_said_once_with_the_reason(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "darkroom.sync")
    with box.sync(poll=True) as running:  # polling looks at them again and again
        for name in ("a.jpg.part", ".hidden.jpg", "Thumbs.db", ".git/config", "x.crdownload"):
            box.write(name)
        time.sleep(0.3)
        running.wait_idle()
        wait_until(lambda: box.said().get("left_out") == 5)
        status = box.said()
    assert not box.store.objects
    assert {"path": ".git", "reason": "hidden: its name begins with a dot"} in status["left_out_files"]
    assert caplog.text.count("left out a.jpg.part: a download that is not finished") == 1


def test_a_finished_download_is_uploaded_under_its_final_name(box: Box) -> None:
    with box.sync():
        box.write("a.jpg.crdownload", b"whole").rename(box.folder / "a.jpg")
        box.wait_for("a.jpg", b"whole")
    assert set(box.store.objects) == {"uploads/a.jpg"}


def test_links_are_not_followed_wherever_they_lead(box: Box, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.jpg").write_bytes(b"secret")
    box.write("real.jpg")
    with box.sync() as running:
        (box.folder / "out.jpg").symlink_to(tmp_path / "secret/key.jpg")
        (box.folder / "folder").symlink_to(tmp_path / "secret")
        (box.folder / "in.jpg").symlink_to(box.folder / "real.jpg")
        (tmp_path / "secret/new.jpg").write_bytes(b"secret")
        time.sleep(0.3)
        running.wait_idle()
        reasons = box.left_out(running)
    assert set(box.store.objects) == {"uploads/real.jpg"}
    assert set(reasons) == {"out.jpg", "folder", "in.jpg"}
    assert all("links are not followed" in reason for reason in reasons.values())


def test_pipes_and_sockets_are_left_out_and_block_nothing(box: Box) -> None:
    os.mkfifo(box.folder / "pipe.jpg")
    with box.sync() as running:
        os.mkfifo(box.folder / "later.jpg")
        box.write("real.jpg")
        box.wait_for("real.jpg", b"picture")
        time.sleep(0.2)
        reasons = box.left_out(running)
    assert reasons == {"pipe.jpg": "a named pipe, not a file", "later.jpg": "a named pipe, not a file"}


def test_a_file_over_5_gib_is_refused_in_a_clear_sentence(box: Box) -> None:
    with (box.folder / "film.mov").open("wb") as file:
        file.truncate(5 * 1024**3 + 1)  # sparse: takes no room
    with box.sync() as running:
        reasons = box.left_out(running)
    assert reasons == {"film.mov": "it has 5.0 GiB; at most 5 GiB are uploaded. Make it smaller"}


def test_a_large_file_is_stored_in_parts(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("MEMORY_BYTES", 10), ("SINGLE_PUT_BYTES", 20), ("PART_BYTES", 8)):
        monkeypatch.setattr(f"darkroom.sync.reading.{name}", size)
    with box.sync():
        box.write("film.mov", b"0123456789" * 3)
        box.write("photo.tif", b"0123456789" * 2)
        box.wait_for("film.mov", b"0123456789" * 3)
        box.wait_for("photo.tif", b"0123456789" * 2)
    assert box.store.objects["uploads/film.mov"].etag.endswith("-4")
    assert box.store.objects["uploads/photo.tif"].etag == md5(b"0123456789" * 2)


class Interfering:
    """Opens files, and lets a test meddle between opening and reading, once."""

    def __init__(self, meddle: Any) -> None:
        self._meddle = meddle
        self._armed = True

    @contextmanager
    def __call__(self, root: str, path: str) -> Iterator[OpenFile]:
        with open_file(root, path) as file:
            if self._armed:
                self._armed = False
                self._meddle(Path(root) / path)
            yield file


def test_a_file_that_changes_while_it_is_read_ends_in_its_last_state(box: Box) -> None:
    opener = Interfering(lambda file: file.write_bytes(b"changed underway"))
    with box.sync(seams={"opener": opener}):
        box.write("a.jpg", b"first")
        box.wait_for("a.jpg", b"changed underway")
    assert {kept.body for kept in box.store.objects.values()} == {b"changed underway"}
    assert box.once().uploaded == 0


def test_a_file_that_changes_while_it_is_sent_ends_in_its_last_state(box: Box) -> None:
    changed: list[str] = []

    def change(operation: str, key: str) -> None:
        if operation == "put" and not changed:
            changed.append(key)
            (box.folder / "a.jpg").write_bytes(b"later")

    box.store.before = change
    with box.sync():
        box.write("a.jpg", b"first")
        box.wait_for("a.jpg", b"later")


def test_a_large_file_that_changes_while_it_is_streamed_is_sent_again(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkroom.sync.reading.MEMORY_BYTES", 4)
    changed: list[str] = []

    def change(operation: str, key: str) -> None:
        if operation == "put" and not changed:
            changed.append(key)
            (box.folder / "a.jpg").write_bytes(b"first, and more")

    box.store.before = change
    with box.sync():
        box.write("a.jpg", b"first")
        box.wait_for("a.jpg", b"first, and more")


def test_a_file_that_vanishes_before_it_is_read_is_no_trouble(box: Box) -> None:
    def vanish(root: str, path: str) -> Any:
        if path == "a.jpg":
            (Path(root) / path).unlink(missing_ok=True)
        return open_file(root, path)

    with box.sync(seams={"opener": vanish}) as running:
        box.write("a.jpg")
        box.write("b.jpg")
        box.wait_for("b.jpg", b"picture")
        running.wait_idle()
        result = running.stop()
    assert result.failed == ()
    assert list(box.store.objects) == ["uploads/b.jpg"]


def test_an_unreadable_file_is_said_and_uploaded_when_its_permissions_change(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "darkroom.sync")

    def guarded(root: str, path: str) -> Any:  # the tests may run as root, whom permissions do not stop
        if not (Path(root) / path).stat().st_mode & 0o400:
            raise PermissionError(13, "Permission denied")
        return open_file(root, path)

    with box.sync(seams={"opener": guarded}) as running:
        box.write("open.jpg")
        locked = box.write(".locked.jpg")
        locked.chmod(0o000)
        locked.rename(box.folder / "locked.jpg")
        box.wait_for("open.jpg", b"picture")
        wait_until(lambda: "left out locked.jpg: it may not be read (Permission denied)" in caplog.text)
        running.wait_idle()
        assert box.store.body("locked.jpg") is None
        (box.folder / "locked.jpg").chmod(0o644)
        box.wait_for("locked.jpg", b"picture")
        running.wait_idle()
        assert running.stop().left_out == ()


def test_a_failing_disk_is_said_and_tried_again(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    failures = [OSError(5, "Input/output error")] * 2

    def failing(root: str, path: str) -> Any:
        if failures:
            raise failures.pop()
        return open_file(root, path)

    with box.sync(seams={"opener": failing}):
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
    assert (
        "not uploaded uploads/a.jpg: it cannot be read (Input/output error); it is tried again" in caplog.text
    )


def test_files_dropped_while_the_engine_is_away_arrive_when_it_is_back(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "darkroom.sync")
    box.store.away = True
    with box.sync(wait=False) as running:
        for number in range(10):
            box.write(f"{number}.jpg")
        wait_until(lambda: box.said().get("reason") == "no connection (refused)")
        assert running.state is State.WAITING
        box.store.away = False
        wait_until(lambda: len(box.store.objects) == 10)
        running.wait_idle()
        box.store.away = True
        box.write("later.jpg")
        wait_until(lambda: running.state is State.WAITING)
        box.store.away = False
        box.wait_for("later.jpg", b"picture")
        running.wait_idle()
    assert len(box.store.puts) == 11
    assert caplog.text.count("waiting for the engine: no connection") == 2  # once for each time away


def test_an_upload_that_got_through_before_the_connection_broke_is_not_repeated(box: Box) -> None:
    def break_after(key: str) -> None:
        box.store.after_put = lambda _key: None
        raise AwayError("the connection broke")

    box.store.after_put = break_after
    with box.sync() as running:
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        wait_until(lambda: box.store.calls["list"] == 2)
        running.wait_idle()
        assert running.stop().already_there == 1
    assert box.store.puts == ["uploads/a.jpg"]


def test_a_throttled_upload_is_tried_again_while_others_go_on(box: Box) -> None:
    refusals = [BusyError("slow down")] * 3

    def throttle(operation: str, key: str) -> None:
        if operation == "put" and key == "uploads/slow.jpg" and refusals:
            raise refusals.pop()

    box.store.before = throttle
    with box.sync() as running:
        box.write("slow.jpg")
        box.write("quick.jpg")
        wait_until(lambda: len(box.store.objects) == 2)
        running.wait_idle()
        assert running.stop().failed == ()
    assert box.store.puts == ["uploads/quick.jpg", "uploads/slow.jpg"]


def test_a_refused_key_is_said_with_its_reason_and_arrives_once_it_is_allowed(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    allowed = threading.Event()

    def refuse(operation: str, key: str) -> None:
        if operation == "put" and not allowed.is_set():
            raise RefusedError("these keys are not allowed to do it (AccessDenied)")

    box.store.before = refuse
    with box.sync() as running:
        box.write("a.jpg")
        wait_until(lambda: box.said().get("failed") == 1)
        wait_until(lambda: running.state is State.IDLE)  # it is not busy with what it cannot do
        time.sleep(0.2)
        allowed.set()
        box.wait_for("a.jpg", b"picture")
        wait_until(lambda: box.said().get("failed") == 0)
    said = "not uploaded uploads/a.jpg: these keys are not allowed to do it (AccessDenied); it is tried again"
    assert caplog.text.count(said) == 1


def test_a_crash_between_put_and_journal_uploads_nothing_twice(box: Box) -> None:
    box.write("a.jpg")
    box.write("b.jpg", b"other")
    box.once()
    (Path(box.options.journal)).unlink()
    result = box.once()
    assert (result.uploaded, result.already_there) == (0, 2)
    assert len(box.store.puts) == 2


def test_an_emptied_bucket_gets_the_folder_back_at_the_next_start(box: Box) -> None:
    box.write("a.jpg")
    box.once()
    box.store.objects.clear()
    assert box.once().uploaded == 1
    assert box.store.body("a.jpg") == b"picture"


def test_an_engine_that_lost_everything_is_noticed_while_running(box: Box) -> None:
    box.write("a.jpg")
    with box.sync(timing=replace(box.options.timing, probe=0.1)) as running:
        box.wait_for("a.jpg", b"picture")
        running.wait_idle()
        box.store.objects.clear()
        box.wait_for("a.jpg", b"picture")


def test_another_bucket_with_the_same_journal_gets_everything(box: Box) -> None:
    box.write("a.jpg")
    box.once()
    box.store.objects.clear()
    assert box.once(bucket="another").uploaded == 1


def test_an_object_that_differs_in_the_bucket_is_replaced_at_the_next_start(box: Box) -> None:
    box.write("a.jpg", b"mine")
    box.once()
    box.store.put("uploads/a.jpg", b"someone's", content_type="image/jpeg")
    assert box.once().uploaded == 1
    assert box.store.body("a.jpg") == b"mine"


def test_unchanged_files_are_not_read_again_at_the_next_start(box: Box) -> None:
    box.write("a.jpg")
    box.once()

    def forbidden(root: str, path: str) -> Any:
        raise AssertionError(path)

    result = box.once(seams={"opener": forbidden})
    assert (result.unchanged, result.uploaded, result.failed) == (1, 0, ())


def test_a_thousand_files_at_once_arrive_each_once(box: Box) -> None:
    with box.sync() as running:
        for number in range(1000):
            box.write(f"{number % 10}/{number}.jpg", b"%d" % number)
        wait_until(lambda: len(box.store.objects) == 1000, timeout_s=30)
        running.wait_idle()
    assert len(box.store.puts) == 1000
    assert all(box.store.body(f"{n % 10}/{n}.jpg") == b"%d" % n for n in range(1000))


class Deaf:
    """A watcher that never hears anything."""

    healthy = True

    def stop(self) -> None:
        return


def test_lost_events_are_made_up_by_a_walk(box: Box) -> None:
    emits: list[Emit] = []

    def deaf(_root: str, emit: Emit) -> Deaf:
        emits.append(emit)
        return Deaf()

    with box.sync(seams={"watcher": deaf}) as running:
        box.write("a.jpg")
        time.sleep(0.2)
        assert not box.store.objects
        emits[0](Hint.RESCAN, "")  # what an overflow of the kernel's queue turns into
        box.wait_for("a.jpg", b"picture")
        running.wait_idle()


def test_the_periodic_walk_finds_what_no_event_told(box: Box) -> None:
    with box.sync(
        seams={"watcher": lambda _root, _emit: Deaf()}, timing=replace(box.options.timing, scan=0.1)
    ):
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")


def test_polling_finds_new_and_changed_files(box: Box) -> None:
    with box.sync(poll=True):
        box.write("deep/a.jpg", b"one")
        box.wait_for("deep/a.jpg", b"one")
        box.write("deep/a.jpg", b"other")
        box.wait_for("deep/a.jpg", b"other")


def test_a_folder_that_cannot_be_watched_is_polled_and_it_says_so(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_root: str, _emit: Emit) -> Any:
        raise WatchError("inotify watch limit reached")

    with box.sync(seams={"watcher": refuse}):
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
    assert "cannot be watched (inotify watch limit reached)" in caplog.text


def test_the_watched_folder_may_be_removed_and_made_again(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    with box.sync():
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        shutil.rmtree(box.folder)
        wait_until(lambda: "was removed; waiting" in caplog.text)
        box.folder.mkdir()
        box.write("b.jpg", b"new")
        box.wait_for("b.jpg", b"new")
        time.sleep(0.1)
        box.write("c.jpg", b"newer")
        box.wait_for("c.jpg", b"newer")
    assert box.store.body("a.jpg") == b"picture"


def test_a_folder_that_is_not_there_yet_is_waited_for(box: Box) -> None:
    box.folder.rmdir()
    with box.sync(wait=False):
        time.sleep(0.1)
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")


def test_the_status_file_tells_what_was_done(box: Box) -> None:
    with box.sync() as running:
        box.write("a.jpg", PNG)
        box.wait_for("a.jpg", PNG)
        wait_until(lambda: box.said().get("last_upload"))
        running.wait_idle()
        wait_until(lambda: box.said().get("state") == "idle")
        status = box.said()
    assert status["uploaded"] == 1
    assert status["bytes"] == len(PNG)
    assert status["last_upload"]["key"] == "uploads/a.jpg"
    assert box.said().get("state") == "stopped"


def test_stopping_does_not_wait_for_a_slow_upload(box: Box) -> None:
    release = threading.Event()
    box.store.before = lambda operation, _key: None if operation != "put" else _wait(release)
    with box.sync(timing=replace(box.options.timing, stop=0.2)) as running:
        box.write("a.jpg")
        wait_until(lambda: box.store.calls["put"])
        start = time.perf_counter()
        result = running.stop()
        assert time.perf_counter() - start < 1.0
    release.set()
    assert result.abandoned == 1
    wait_until(lambda: box.store.objects)
    assert box.once().uploaded == 0  # it got through after all, and is recognised


def _wait(release: threading.Event) -> None:
    release.wait(5)


def test_a_watch_that_went_deaf_is_made_anew(box: Box) -> None:
    made: list[Deaf] = []

    def make(root: str, emit: Emit) -> Any:
        if made:
            return Watcher(root, emit)
        made.append(Deaf())
        return made[0]

    with box.sync(seams={"watcher": make}):
        made[0].healthy = False
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        box.write("b.jpg")
        box.wait_for("b.jpg", b"picture")
