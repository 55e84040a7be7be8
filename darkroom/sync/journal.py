"""The journal: what was uploaded, so that nothing is uploaded twice. SQLite with a write-ahead log.

It is a memory, not the truth: the truth is the folder and the bucket. A line that was not written (kill -9
between PUT and journal) is found again by comparing ETags at the next start, so a commit does not wait for
the disk (`synchronous=NORMAL`).

Lines belong to a *scope*: folder, bucket and prefix together. Another folder or bucket with the same journal
file starts from nothing and never touches the first one's lines.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.errors import UsageError
from darkroom.sync.model import Row, Signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SCHEMA = """
CREATE TABLE IF NOT EXISTS scopes (
    id INTEGER PRIMARY KEY, folder TEXT NOT NULL, bucket TEXT NOT NULL, prefix TEXT NOT NULL,
    UNIQUE (folder, bucket, prefix));
CREATE TABLE IF NOT EXISTS uploads (
    scope INTEGER NOT NULL, folder TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    digest TEXT NOT NULL, etag TEXT NOT NULL, version TEXT, uploaded_at REAL NOT NULL, racy INTEGER NOT NULL,
    PRIMARY KEY (scope, folder, name)) WITHOUT ROWID;
"""
_COLUMNS = "folder, name, size, mtime_ns, inode, digest, etag, version, uploaded_at, racy"
_VERSION = 1


class Journal:
    """One scope of a journal file. Used by one thread at a time; another one opens its own.

    Raises:
        UsageError: the file cannot be made or is not a journal of this version.
    """

    def __init__(self, file: str, *, folder: str, bucket: str, prefix: str) -> None:
        self.file = file
        self._scope_key = (os.fsencode(folder).decode("utf-8", "backslashreplace"), bucket, prefix)
        self._prefix = prefix
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=5.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(file, error) from error
        try:
            self._scope = self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise _unusable(file, error) from error

    def another(self) -> Journal:
        """The same scope for another thread."""
        return Journal(self.file, folder=self._scope_key[0], bucket=self._scope_key[1], prefix=self._prefix)

    def _prepare(self) -> int:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"it has version {version}, this program writes version {_VERSION}")
        if version == 0:
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_VERSION}")
        find = "SELECT id FROM scopes WHERE folder=? AND bucket=? AND prefix=?"
        known = self._db.execute(find, self._scope_key).fetchone()
        if known is None:
            self._db.execute(
                "INSERT OR IGNORE INTO scopes (folder, bucket, prefix) VALUES (?,?,?)", self._scope_key
            )
            known = self._db.execute(find, self._scope_key).fetchone()
        return int(known[0])

    def row(self, path: str) -> Row | None:
        """The line of one path."""
        folder, name = _split(path)
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM uploads WHERE scope=? AND folder=? AND name=?",  # noqa: S608 - a constant
            (self._scope, folder, name),
        ).fetchone()
        return _row(found) if found else None

    def in_folder(self, folder: str) -> dict[str, Row]:
        """The lines of the files directly in one folder, by path."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM uploads WHERE scope=? AND folder=?",  # noqa: S608 - a constant
            (self._scope, folder),
        )
        return {row.path: row for row in map(_row, rows)}

    def folders(self, start: str = "") -> list[str]:
        """Every folder at or below `start` that holds uploaded files."""
        rows = self._db.execute("SELECT DISTINCT folder FROM uploads WHERE scope=?", (self._scope,))
        return [f for (f,) in rows if not start or f == start or f.startswith(start + "/")]

    def below(self, path: str) -> Iterator[Row]:
        """The line of a path, or of everything under it when it was a folder."""
        if row := self.row(path):
            yield row
        for folder in self.folders(path):
            yield from self.in_folder(folder).values()

    def anchor(self) -> Row | None:
        """Any one line: what a quick look at the bucket asks for."""
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM uploads WHERE scope=? LIMIT 1",  # noqa: S608 - a constant
            (self._scope,),
        ).fetchone()
        return _row(found) if found else None

    def write(self, rows: Iterable[Row], *, forget: Iterable[str] = ()) -> None:
        """Write lines and drop others, all in one transaction.

        Raises:
            UsageError: the disk is full, or someone else holds the file.
        """
        try:
            self._write(rows, forget)
        except sqlite3.Error as error:
            raise UsageError(
                f"the sync's journal {self.file} cannot be written: {error}",
                hint="Make room on the disk; what was uploaded already is not uploaded again.",
            ) from error

    def _write(self, rows: Iterable[Row], forget: Iterable[str]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO uploads VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [self._values(r) for r in rows],
            )
            self._db.executemany(
                "DELETE FROM uploads WHERE scope=? AND folder=? AND name=?",
                [(self._scope, *_split(path)) for path in forget],
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    def _values(self, row: Row) -> tuple[object, ...]:
        folder, name = _split(row.path)
        s = row.signature
        stat = (s.size_bytes, s.mtime_ns, _signed(s.inode))
        key = self._prefix + row.path
        return (
            self._scope,
            folder,
            name,
            key,
            *stat,
            row.digest,
            row.etag,
            row.version,
            row.uploaded_at,
            row.racy,
        )


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _signed(inode: int) -> int:
    """SQLite's integers have a sign; some file systems use all 64 bits."""
    return inode - 2**64 if inode >= 2**63 else inode


def _row(found: tuple[str, str, int, int, int, str, str, str | None, float, int]) -> Row:
    folder, name, size, mtime_ns, inode, digest, etag, version, uploaded_at, racy = found
    path = f"{folder}/{name}" if folder else name
    signature = Signature(size, mtime_ns, inode % 2**64)
    return Row(path, signature, digest, etag, version, uploaded_at, bool(racy))


def _unusable(file: str, error: Exception) -> UsageError:
    return UsageError(
        f"the sync's journal {file} cannot be used: {error}",
        hint="Move it away: it is made again, and nothing is uploaded that the bucket already has.",
    )
