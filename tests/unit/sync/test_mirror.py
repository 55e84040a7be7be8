"""--mirror: what is deleted here is deleted there, and nothing else."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from .memory_store import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from .memory_store import Box

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:watchdog")


def test_without_mirror_nothing_is_deleted(box: Box) -> None:
    with box.sync() as running:
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        file.unlink()
        time.sleep(0.3)
        running.wait_idle()
    assert box.once().deleted == 0
    assert box.store.calls["delete"] == 0


def test_a_deleted_file_is_deleted_in_the_bucket(box: Box) -> None:
    with box.sync(mirror=True):
        box.write("keep.jpg")
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        file.unlink()
        wait_until(lambda: set(box.store.objects) == {"uploads/keep.jpg"})


def test_a_renamed_file_leaves_only_its_new_key(box: Box) -> None:
    with box.sync(mirror=True):
        file = box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        file.rename(box.folder / "b.jpg")
        wait_until(lambda: set(box.store.objects) == {"uploads/b.jpg"})


def test_a_deleted_folder_is_deleted_with_all_it_held(box: Box, tmp_path: Path) -> None:
    with box.sync(mirror=True) as running:
        box.write("keep.jpg")
        for name in ("album/1.jpg", "album/deep/2.jpg", "other/3.jpg"):
            box.write(name)
        wait_until(lambda: len(box.store.objects) == 4)
        running.wait_idle()
        shutil.rmtree(box.folder / "album")
        (box.folder / "other").rename(tmp_path / "moved out")
        wait_until(lambda: set(box.store.objects) == {"uploads/keep.jpg"})


def test_a_file_replaced_by_delete_and_create_is_never_deleted(box: Box) -> None:
    with box.sync(mirror=True) as running:
        file = box.write("a.jpg", b"one")
        box.wait_for("a.jpg", b"one")
        file.unlink()
        time.sleep(0.02)
        box.write("a.jpg", b"two")
        box.wait_for("a.jpg", b"two")
        time.sleep(0.2)
        running.wait_idle()
    assert box.store.calls["delete"] == 0


def test_keys_that_it_did_not_upload_are_not_touched(box: Box) -> None:
    box.store.put("uploads/web.jpg", b"from the page", content_type="image/jpeg")
    box.write("a.jpg")
    box.once(mirror=True)
    assert set(box.store.objects) == {"uploads/web.jpg", "uploads/a.jpg"}


def test_a_key_that_was_replaced_by_someone_else_is_kept_and_said(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    box.write("keep.jpg")
    file = box.write("a.jpg")
    box.once(mirror=True)
    box.store.put("uploads/a.jpg", b"someone's", content_type="image/jpeg")
    file.unlink()
    assert box.once(mirror=True).deleted == 0
    assert box.store.body("a.jpg") == b"someone's"
    assert "kept uploads/a.jpg in the bucket: it was replaced" in caplog.text


def test_files_deleted_while_it_was_not_running_are_deleted_at_the_start(box: Box) -> None:
    box.write("keep.jpg")
    file = box.write("deep/a.jpg")
    box.once(mirror=True)
    shutil.rmtree(file.parent)
    assert box.once(mirror=True).deleted == 1
    assert set(box.store.objects) == {"uploads/keep.jpg"}


def test_an_empty_folder_deletes_nothing_because_it_may_be_an_unmounted_disk(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    file = box.write("a.jpg")
    box.once(mirror=True)
    file.unlink()
    assert box.once(mirror=True).deleted == 0
    assert "the folder is empty, but 1 files were uploaded from it" in caplog.text


def test_a_removed_folder_deletes_nothing(box: Box) -> None:
    with box.sync(mirror=True) as running:
        box.write("a.jpg")
        box.wait_for("a.jpg", b"picture")
        running.wait_idle()
        shutil.rmtree(box.folder)
        time.sleep(0.4)
    assert set(box.store.objects) == {"uploads/a.jpg"}


def test_a_deletion_waits_for_the_engine(box: Box) -> None:
    with box.sync(mirror=True) as running:
        box.write("keep.jpg")
        file = box.write("a.jpg")
        wait_until(lambda: len(box.store.objects) == 2)
        running.wait_idle()
        box.store.away = True
        file.unlink()
        time.sleep(0.3)
        box.store.away = False
        wait_until(lambda: set(box.store.objects) == {"uploads/keep.jpg"})
