"""Reading a file so that a torn one is noticed.

A file counts as read only when nobody has it open for writing, and when size, time stamp and inode are the
same before and after.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import signal
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.sync.content_type import HEAD_BYTES
from darkroom.sync.model import Signature, join
from darkroom.sync.scan import why_kind, why_size

if TYPE_CHECKING:
    from collections.abc import Iterator


MEMORY_BYTES = 8 * 1024**2  # up to here a file is read whole: one read, one request, the quickest way
SINGLE_PUT_BYTES = 64 * 1024**2  # up to here one streamed PUT; above it parts
PART_BYTES = 8 * 1024**2
_LOCAL_DISKS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "overlay"}
RACY_NS = 2_000_000_000  # the coarsest clock of a file system in use (FAT: two seconds)


class ChangingError(Exception):
    """The file is being written, or was changed while it was read."""


class NotAFileError(Exception):
    """It is no file that may be uploaded; `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file, open for reading, that nobody was writing when it was opened."""

    fd: int
    signature: Signature
    racy: bool

    def check(self) -> None:
        """Raise `ChangingError` when the file is no longer what it was when it was opened."""
        if Signature.of(os.fstat(self.fd)) != self.signature:
            raise ChangingError

    def head(self) -> bytes:
        """The first bytes, for the Content-Type."""
        return os.pread(self.fd, HEAD_BYTES, 0)

    def read(self) -> bytes:
        """All of it; for files up to `MEMORY_BYTES`."""
        size = self.signature.size_bytes
        data = os.pread(self.fd, size + 1, 0)  # one byte more notices that it grew
        self.check()
        if len(data) != size:
            raise ChangingError
        return data

    def parts(self) -> Iterator[bytes]:
        """All of it in pieces of `PART_BYTES`; the last one is given out only after a check."""
        offset, size = 0, self.signature.size_bytes
        while offset < size:
            piece = os.pread(self.fd, min(PART_BYTES, size - offset), offset)
            offset += len(piece)
            if not piece:
                raise ChangingError
            if offset >= size:
                self.check()
            yield piece

    def digest(self) -> str:
        """The ETag that S3 gives this content (see `digest_of`), without holding it in memory."""
        if self.signature.size_bytes > SINGLE_PUT_BYTES:
            sums = [_md5(part) for part in self.parts()]
            return f"{hashlib.md5(b''.join(sums), usedforsecurity=False).hexdigest()}-{len(sums)}"
        whole = hashlib.md5(usedforsecurity=False)
        for part in self.parts():
            whole.update(part)
        return whole.hexdigest()


def digest_of(data: bytes) -> str:
    """The ETag of a small object: its MD5.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (true unless encrypted with KMS keys)
    """
    return _md5(data).hex()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


@contextlib.contextmanager
def open_file(root: str, path: str) -> Iterator[OpenFile]:
    """Open a path under `root` for upload.

    Raises:
        FileNotFoundError: it vanished. PermissionError: it may not be read. OSError: the disk failed.
        ChangingError: someone has it open for writing.
        NotAFileError: it is a link, a pipe, too large, or a link stands among its folders.
    """
    full = join(root, path)
    kind = why_kind(os.lstat(full).st_mode)
    if kind:
        raise NotAFileError(kind)
    folder = full.rpartition("/")[0]
    if os.path.realpath(folder) != folder:
        raise NotAFileError("one of its folders is a symbolic link: links are not followed")
    # O_NONBLOCK: a pipe that took the file's place in the meantime must not hold the thread for ever.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    fd = os.open(full, flags)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise NotAFileError(why_kind(info.st_mode) or "not a file")
        if reason := why_size(info.st_size):
            raise NotAFileError(reason)
        if leases_work(folder) and being_written(fd):
            raise ChangingError
        racy = abs(time.time_ns() - info.st_mtime_ns) < RACY_NS
        yield OpenFile(fd, Signature.of(info), racy)
    finally:
        os.close(fd)


def being_written(fd: int) -> bool:
    """Whether anyone has this file open for writing (Linux, on a disk where `leases_work`).

    Linux grants a read lease only on a file that nobody has open for writing (fcntl(2), "Leases"). It is
    given back at once; a writer who comes in these microseconds waits for them. The signal that announces
    such a writer is SIGURG, which does nothing by default; the usual SIGIO would end the process.
    """
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # another owner's file, for instance: then standing still has to do
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


@functools.lru_cache(maxsize=256)
def leases_work(folder: str) -> bool:
    """Whether a refused lease in this folder means a writer.

    Only on local disks of Linux: NFS and SMB refuse leases for reasons of their own.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    return _mounted_as(folder, mounts) in _LOCAL_DISKS


def _mounted_as(folder: str, mounts: str) -> str:
    """The type of the file system that holds a folder, from the text of proc_pid_mountinfo(5)."""
    found, depth = "", -1
    for line in mounts.splitlines():
        place, _, kind = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place.split(" ")[4]).rstrip("/")
        if (folder == point or folder.startswith(point + "/")) and len(point) >= depth:
            found, depth = kind.split(" ")[0], len(point)  # the last of equals lies on top
    return found
