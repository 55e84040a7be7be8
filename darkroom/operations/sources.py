"""Which files decided the last deployment, so that a change can be told: these are not deployed by themselves."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from darkroom.engine.keys import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SOURCES = ("template.yaml", "environments/local.toml")
_NOTE = "deployed.json"


def digests(project: Path) -> dict[str, str]:
    """SHA-256 of each, by its path in the project; an empty text where there is none."""
    return {name: _digest(project / name) for name in _SOURCES}


def note_deployed(home: Path, sources: Mapping[str, str]) -> None:
    """Note what a deployment was made of."""
    write_private(home / _NOTE, json.dumps(dict(sources), indent=2) + "\n")


def changed_sources(home: Path, project: Path) -> tuple[str, ...]:
    """The files that are not as they were at the last deployment; none where nothing was noted."""
    try:
        noted = json.loads((home / _NOTE).read_text())
    except (OSError, ValueError):
        return ()
    return tuple(name for name, digest in digests(project).items() if noted.get(name, digest) != digest)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
