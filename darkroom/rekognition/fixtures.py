"""Fixture files: what a person says is in a picture, found by the SHA-256 of the picture's bytes.

One YAML file per picture holds the answers of all operations::

    image:
      name: cat.png
      sha256: 596aa1e7…
    labels: {Cat: 71.2, Animal: 98.4}

What a fixture does not mention is not in the picture. A file is indexed by its hash with one cheap look and
parsed when its picture is first asked for. Changes are noticed without a restart: the folder is looked at when
an answer is due, at most once a second.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import FixtureError
from darkroom.rekognition.reading import Reader, UnreadableError, load_mapping
from darkroom.rekognition.rules import Condition, read_condition
from darkroom.rekognition.sections import SECTIONS, build_answers, persons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 1.0
SUFFIXES = (".yaml", ".yml")
_HASH_LINE = re.compile(
    rb"""^(?:\s+|image:\s*\{.*?\b)["']?sha256["']?:\s*["']?([0-9a-fA-F]{64})\b""", re.MULTILINE
)
_WHEN_LINE = re.compile(rb"^when:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fixture:
    """What is in one picture, or in every picture that fits a rule.

    `answers` holds per operation the widest answer that any request can be given a part of; `persons` who the
    faces are; `size` is upright width and height where it is written.
    """

    path: Path
    image_name: str
    sha256: str
    answers: Mapping[str, dict[str, Any]]
    persons: tuple[str | None, ...] = ()
    condition: Condition | None = None
    size: tuple[int, int] | None = None
    remarks: tuple[str, ...] = ()


def read_fixture(path: Path) -> Fixture:
    """Parse, complete and check one file.

    Raises:
        FixtureError: with every problem of the file, each naming its place.
    """
    reader = Reader()
    try:
        document = load_mapping(path.read_bytes())
    except (UnreadableError, OSError) as error:
        raise FixtureError(path, [str(error)]) from None
    document = reader.mapping(document, "the file", known=("image", "when", *SECTIONS))
    condition = None
    image: dict[str, Any] = {}
    sha256 = ""
    if "when" in document:
        condition = read_condition(reader, document["when"])
        if "image" in document:
            reader.problem("the file", "`image` and `when` exclude each other")
    else:
        image = reader.mapping(document.get("image", {}), "image", known=("name", "sha256", "size"))
        sha256 = _read_hash(reader, image)
    size = _read_size(reader, image)
    answers = build_answers(reader, document)
    if reader.problems:
        raise FixtureError(path, reader.problems)
    return Fixture(
        path=path,
        image_name=str(image.get("name", path.stem)),
        sha256=sha256,
        answers=answers,
        persons=persons(document),
        condition=condition,
        size=size,
        remarks=tuple(reader.remarks),
    )


def _read_hash(reader: Reader, image: Mapping[str, Any]) -> str:
    sha256 = reader.text(image.get("sha256", ""), "image.sha256").lower()
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        reader.problem("image.sha256", "must be the 64 hexadecimal digits of the picture's SHA-256")
    return sha256


def _read_size(reader: Reader, image: Mapping[str, Any]) -> tuple[int, int] | None:
    if "size" not in image:
        return None
    match = re.fullmatch(r"(\d+) ?x ?(\d+)", str(image["size"]))
    if match is None:
        reader.problem("image.size", f"must be like 640x480, not {image['size']!r}")
        return None
    return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file as it was when it was indexed; `sha256` is empty for a rule and for what has no readable hash."""

    path: Path
    stamp: tuple[int, int]
    sha256: str
    is_rule: bool


@dataclass(slots=True)
class FixtureStore:
    """The fixture files of one folder and its subfolders.

    Args:
        folder: may be missing; it is noticed when it comes.
        clock: seconds, monotonic.
    """

    folder: Path
    clock: Callable[[], float]
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _checked_at: float = field(default=float("-inf"), init=False)
    _entries: dict[Path, _Entry] = field(default_factory=dict, init=False)
    _by_hash: dict[str, _Entry] = field(default_factory=dict, init=False)
    _rules: list[_Entry] = field(default_factory=list, init=False)
    _parsed: dict[Path, tuple[_Entry, Fixture]] = field(default_factory=dict, init=False)

    def find(self, sha256: str) -> Fixture | None:
        """The fixture of a picture.

        Raises:
            FixtureError: there is one, but it cannot be used.
        """
        self._refresh()
        entry = self._by_hash.get(sha256)
        return self._read(entry) if entry else None

    def has(self, sha256: str) -> bool:
        """Whether a picture has a fixture, usable or not."""
        self._refresh()
        return sha256 in self._by_hash

    def place(self, sha256: str) -> Path | None:
        """The file for a picture, usable or not."""
        self._refresh()
        entry = self._by_hash.get(sha256)
        return entry.path if entry else None

    def rules(self) -> Iterator[Fixture]:
        """The rules in the order of their files' names.

        Raises:
            FixtureError: a rule cannot be used. None after it is tried: the first that fits must win.
        """
        self._refresh()
        for entry in tuple(self._rules):
            yield self._read(entry)

    def usable(self) -> Iterator[Fixture]:
        """Every fixture that can be used, rules too."""
        self._refresh()
        for entry in tuple(self._entries.values()):
            if entry.sha256 or entry.is_rule:
                try:
                    yield self._read(entry)
                except FixtureError as error:
                    logger.warning("%s", error)

    def _read(self, entry: _Entry) -> Fixture:
        known = self._parsed.get(entry.path)
        if known and known[0] == entry:
            return known[1]
        fixture = read_fixture(entry.path)
        self._parsed[entry.path] = (entry, fixture)
        return fixture

    def _refresh(self) -> None:
        if self.clock() - self._checked_at < CHECK_EVERY_S:
            return
        with self._lock:
            now = self.clock()
            if now - self._checked_at < CHECK_EVERY_S:
                return
            found = dict(listing(self.folder))
            if found != {path: entry.stamp for path, entry in self._entries.items()}:
                self._index({path: self._entry(path, stamp) for path, stamp in found.items()})
            self._checked_at = now

    def _index(self, entries: dict[Path, _Entry]) -> None:
        """Other threads look things up meanwhile, so each index is replaced whole."""
        by_hash: dict[str, _Entry] = {}
        for entry in entries.values():
            if entry.sha256 in by_hash:
                other = by_hash[entry.sha256].path
                logger.warning("%s and %s describe the same picture; the first is used", other, entry.path)
            elif entry.sha256:
                by_hash[entry.sha256] = entry
            elif not entry.is_rule:
                logger.warning("%s has neither image.sha256 nor when: it is not used", entry.path)
        self._by_hash = by_hash
        self._rules = [entry for entry in entries.values() if entry.is_rule]
        self._parsed = {path: known for path, known in self._parsed.items() if entries.get(path) == known[0]}
        self._entries = entries

    def _entry(self, path: Path, stamp: tuple[int, int]) -> _Entry:
        known = self._entries.get(path)
        if known and known.stamp == stamp:
            return known
        try:
            data = path.read_bytes()
        except OSError as error:
            logger.warning("%s cannot be read: %s", path, error)
            data = b""
        is_rule = _WHEN_LINE.search(data) is not None
        match = None if is_rule else _HASH_LINE.search(data)
        return _Entry(
            path=path, stamp=stamp, sha256=match[1].decode().lower() if match else "", is_rule=is_rule
        )


def listing(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Every fixture file in the order of its name, with what changes when the file does."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                path = Path(parent, name)
                try:
                    status = path.stat()
                except OSError:
                    continue  # removed while we looked
                yield path, (status.st_mtime_ns, status.st_size)
