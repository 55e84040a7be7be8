from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

import pytest

from darkroom.sync import reading

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    with reading.open_file(str(tmp_path), "a") as file:
        assert file.read() == b"content"
        assert file.digest() == reading.digest_of(b"content") == hashlib.md5(b"content").hexdigest()  # noqa: S324


@pytest.mark.parametrize("change", [b"x", b"longer than before"])
def test_a_file_that_shrinks_or_grows_while_it_is_read_is_noticed(tmp_path: Path, change: bytes) -> None:
    (tmp_path / "a").write_bytes(b"content")
    with reading.open_file(str(tmp_path), "a") as file:
        (tmp_path / "a").write_bytes(change)
        with pytest.raises(reading.ChangingError):
            file.read()
        with pytest.raises(reading.ChangingError):
            list(file.parts())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_a_file_that_somebody_has_open_for_writing_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        with pytest.raises(reading.ChangingError), reading.open_file(str(tmp_path), "a"):
            pass
    with (tmp_path / "a").open("rb"), reading.open_file(str(tmp_path), "a") as file:
        assert file.read() == b"half"


def test_a_link_among_the_folders_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with (
        pytest.raises(reading.NotAFileError, match="links are not followed"),
        reading.open_file(str(tmp_path), "link/a"),
    ):
        pass


def test_an_open_file_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with reading.open_file(str(tmp_path), "a") as file:
        fd = file.fd
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_the_digest_of_parts_is_the_etag_that_s3_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SINGLE_PUT_BYTES", 4)
    monkeypatch.setattr(reading, "PART_BYTES", 4)
    (tmp_path / "a").write_bytes(b"aaaabbbbcc")
    sums = b"".join(hashlib.md5(part).digest() for part in (b"aaaa", b"bbbb", b"cc"))  # noqa: S324
    with reading.open_file(str(tmp_path), "a") as file:
        assert file.digest() == hashlib.md5(sums).hexdigest() + "-3"  # noqa: S324


MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:35 / /srv/my\040photos rw - nfs4 server:/photos rw
41 22 0:36 / /srv/my\040photos/local rw master:1 - tmpfs tmpfs rw
42 22 0:37 / /over rw - ext4 /dev/vdb rw
43 42 0:38 / /over rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me/inbox", "ext4"),
        ("/srv/my photos/inbox", "nfs4"),
        ("/srv/my photos", "nfs4"),
        ("/srv/my photos2", "ext4"),
        ("/srv/my photos/local/inbox", "tmpfs"),
        ("/over/inbox", "cifs"),
    ],
)
def test_the_file_system_of_a_folder_is_the_innermost_mount(folder: str, kind: str) -> None:
    assert reading._mounted_as(folder, MOUNTS) == kind
