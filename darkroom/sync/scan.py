"""Which files of the folder count: the table of left-out names, the rules for keys, the walk.

Symbolic links are never followed: a link to a file inside the folder would store the same picture twice, and
a link out of it would publish what nobody put there.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.sync.model import LeftOut, Signature, join

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_KEY_BYTES = 1024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_FILE_BYTES = 5 * 1024**3  # what S3 takes in one PUT; the pipeline could not read more anyway

KEEPER = ".gitkeep"  # keeps an empty folder in Git; nothing to tell anyone about

_UNFINISHED = "a download that is not finished"
_TEMPORARY = "a temporary file"
_EDITOR = "an editor's working copy"
_SYSTEM = "written by the operating system, not by you"
_HIDDEN = "hidden: its name begins with a dot"

# Matched without regard to case. The first rule that fits gives the reason.
LEFT_OUT_NAMES: tuple[tuple[str, str], ...] = (
    (".DS_Store", _SYSTEM),
    ("Thumbs.db", _SYSTEM),
    ("ehthumbs.db", _SYSTEM),
    ("desktop.ini", _SYSTEM),
    (".#*", _EDITOR),
    ("~$*", _EDITOR),
    ("*~", _EDITOR),
    ("#*#", _EDITOR),
    ("*.swp", _EDITOR),
    ("*.swo", _EDITOR),
    ("*.swx", _EDITOR),
    ("*.kate-swp", _EDITOR),
    ("*.part", _UNFINISHED),
    ("*.partial", _UNFINISHED),
    ("*.crdownload", _UNFINISHED),
    ("*.download", _UNFINISHED),
    ("*.opdownload", _UNFINISHED),
    ("*.aria2", _UNFINISHED),
    ("*.filepart", _UNFINISHED),
    ("*.!ut", _UNFINISHED),
    ("*.tmp", _TEMPORARY),
    ("*.temp", _TEMPORARY),
    (".*", _HIDDEN),
)
_RULES = tuple((re.compile(fnmatch.translate(p), re.IGNORECASE), reason) for p, reason in LEFT_OUT_NAMES)
_ANY = re.compile("|".join(f"(?:{rule.pattern})" for rule, _ in _RULES), re.IGNORECASE)

_LINK = "a symbolic link: links are not followed"
_NOT_UTF8 = "its name is not valid UTF-8, and an S3 key has to be; rename it"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that counts, as the walk saw it."""

    path: str
    signature: Signature
    changed_at: float  # Unix time of the last change of content or status


@dataclass(frozen=True, slots=True)
class Folder:
    """What one folder holds. `readable` is false when it could not be listed: then nothing is known."""

    path: str
    files: tuple[Found, ...]
    left_out: tuple[LeftOut, ...]
    readable: bool = True


def why_name(name: str) -> str | None:
    """Why a file or folder of this name is left out, or None when it counts."""
    if not _ANY.match(name):
        return None
    return next(reason for rule, reason in _RULES if rule.match(name))


def why_key(key: str) -> str | None:
    """Why S3 could not take this key, or None when it can."""
    try:
        length = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        return _NOT_UTF8
    if length > MAX_KEY_BYTES:
        return f"its key would have {length} bytes; S3 takes at most {MAX_KEY_BYTES}. Use shorter names"
    return None


def why_kind(mode: int) -> str | None:
    """Why a thing of this file mode is left out, or None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    kinds = (
        (stat.S_ISLNK, _LINK),
        (stat.S_ISFIFO, "a named pipe, not a file"),
        (stat.S_ISSOCK, "a socket, not a file"),
    )
    return next((reason for test, reason in kinds if test(mode)), "a device, not a file")


def why_size(size_bytes: int) -> str | None:
    """Why a file of this size is refused, or None when it may be uploaded."""
    if size_bytes <= MAX_FILE_BYTES:
        return None
    return f"it has {size_bytes / 1024**3:.1f} GiB; at most 5 GiB are uploaded. Make it smaller"


def why_path(path: str, prefix: str) -> LeftOut | None:
    """The first part of a path that keeps it out, with the reason; None when all of it counts."""
    parts = path.split("/")
    for depth, name in enumerate(parts, start=1):
        if reason := why_name(name):
            return LeftOut("/".join(parts[:depth]), reason)
    reason = why_key(prefix + path)
    return LeftOut(path, reason) if reason else None


def walk(root: str, start: str, prefix: str) -> Iterator[Folder]:
    """Every folder from `start` (a path; "" is the root) downwards; a folder that vanishes is skipped.

    Left-out folders are named once and not entered.
    """
    todo = [start]
    while todo:
        path = todo.pop()
        try:
            folder, below = _list(root, path, prefix)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason = f"the folder cannot be read: {error.strerror}; it is tried again"
            yield Folder(path, (), (LeftOut(path or ".", reason),), readable=False)
            continue
        yield folder
        todo.extend(below)


def _list(root: str, path: str, prefix: str) -> tuple[Folder, list[str]]:
    files: list[Found] = []
    left_out: list[LeftOut] = []
    below: list[str] = []
    with os.scandir(join(root, path)) as entries:
        for entry in entries:
            child = f"{path}/{entry.name}" if path else entry.name
            if entry.name == KEEPER:
                continue
            if reason := why_name(entry.name):
                left_out.append(LeftOut(child, reason))
            elif entry.is_dir(follow_symlinks=False):
                below.append(child)
            else:
                _look(entry, child, prefix, files, left_out)
    return Folder(path, tuple(files), tuple(left_out)), below


def _look(
    entry: os.DirEntry[str], path: str, prefix: str, files: list[Found], left_out: list[LeftOut]
) -> None:
    try:
        info = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # gone between listing and looking
    if reason := why_kind(info.st_mode) or why_key(prefix + path) or why_size(info.st_size):
        left_out.append(LeftOut(path, reason))
        return
    files.append(Found(path, Signature.of(info), max(info.st_mtime, info.st_ctime)))
