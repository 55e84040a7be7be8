"""Recorded answers: what the real service said, one file per operation, picture and parameters.

    recorded/<Operation>/<first two digits>/<SHA-256>/<fingerprint of the parameters>.json

with ``{"operation", "image": {"sha256"}, "parameters", "response"}``. CompareFaces uses the two hashes joined by
``-``, GetCelebrityInfo the id. Recorded truth is never edited: it is served as it is, or narrowed by the same
filters that serve fixtures where a wider recording holds what a request asks for.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import FixtureError
from darkroom.rekognition.model import service_model
from darkroom.rekognition.operations import missing_member
from darkroom.rekognition.parameters import canonical, fingerprint, is_wider
from darkroom.rekognition.validation import answer_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded answer. `exact` says that it was recorded with the very parameters that were asked for."""

    path: Path
    parameters: Mapping[str, Any]
    response: dict[str, Any]
    exact: bool = False


@dataclass(slots=True)
class RecordingStore:
    """The recordings in one folder.

    Args:
        folder: may be missing.
    """

    folder: Path
    _remembered: OrderedDict[Path, tuple[tuple[int, int], Recording]] = field(
        default_factory=OrderedDict, init=False
    )

    def find(self, operation: str, key: str, request: Mapping[str, Any]) -> Recording | None:
        """The exact recording, or the one that holds the answer; None where there is none.

        Raises:
            FixtureError: a recording of the picture cannot be read.
        """
        home = self._home(operation, key)
        if not home.is_dir():
            return None
        wanted = canonical(operation, request)
        exact = home / f"{fingerprint(wanted)}.json"
        for path in [exact, *sorted(home.glob("*.json"))]:
            recording = self._read(path)
            if recording is None:
                continue
            if path == exact:
                return Recording(path, recording.parameters, recording.response, exact=True)
            if is_wider(operation, recording.parameters, wanted, recording.response):
                return recording
        return None

    def near(self, key: str) -> Iterator[str]:
        """The operations that were recorded for a picture: for strict mode's message."""
        for home in sorted(self.folder.glob(f"*/{key[:2]}/{key}")):
            yield home.parent.parent.name

    def path_for(self, operation: str, key: str, request: Mapping[str, Any]) -> Path:
        """Where the recording of a request belongs."""
        return self._home(operation, key) / f"{fingerprint(canonical(operation, request))}.json"

    def _home(self, operation: str, key: str) -> Path:
        return self.folder / operation / key[:2] / key

    def _read(self, path: Path) -> Recording | None:
        try:
            status = path.stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._remembered.get(path)
        if known and known[0] == stamp:
            return known[1]
        try:
            document = json.loads(path.read_bytes())
            recording = Recording(path, dict(document["parameters"]), dict(document["response"]))
            problem = _problem(recording, path.parent.parent.parent.name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FixtureError(path, [f"not a recording: {error!r}"]) from None
        if problem:
            raise FixtureError(path, [problem])
        self._remembered[path] = (stamp, recording)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return recording


def _problem(recording: Recording, operation: str) -> str:
    """Why a recording cannot be served; empty if it can."""
    problems = answer_problems(service_model().operations[operation].output, recording.response, operation)
    if problems:
        return "; ".join(problems[:3])
    member = "" if operation == "GetCelebrityInfo" else missing_member(operation, recording.response)
    return f"something lacks its {member!r}, which requests are applied to" if member else ""
