"""Recorded answers: what the real service said, one file per operation, picture and parameters.

    recorded/<Operation>/<first two digits>/<SHA-256>/<fingerprint of the parameters>.json

    {"operation", "image": {"sha256", "width", "height"}, "parameters", "recorded": "2026-11-25", "region",
     "model_version", "with_faces", "downscaled", "response" or "error": {"code", "message", "status"}}

CompareFaces uses the two hashes joined by ``-``, GetCelebrityInfo the id. Recorded truth is never edited: it is served
as it is, or narrowed by the same filters that serve fixtures where a wider recording holds what a request asks for.
A file is written beside its place and then renamed, and two interactions never share one, so that parallel
recorders and git merges do not meet.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import FixtureError, ServiceError
from darkroom.rekognition.keeping import ERRORS_OF_THE_PICTURE, lacks_faces
from darkroom.rekognition.model import service_model
from darkroom.rekognition.operations import missing_member
from darkroom.rekognition.parameters import canonical, fingerprint, is_wider
from darkroom.rekognition.validation import answer_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_REMEMBERED = 512
_MEMBERS = ("region", "model_version", "with_faces", "downscaled")
OLD_AFTER_DAYS = 180
"""The service's models change a few times a year: after so long an answer is worth asking for again."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded interaction: the real service's response, or its refusal.

    Attributes:
        path: its file.
        operation: such as DetectLabels.
        key: SHA-256 of the picture, or what stands in its place.
        parameters: canonical.
        response: as recorded; empty for a refusal.
        error: the refusal.
        recorded: the day; None where the file tells none.
        region: of AWS; empty where the file tells none.
        model_version: empty where the operation tells none.
        with_faces: whether details of faces were recorded.
        downscaled: whether AWS saw a smaller copy.
        size: upright width and height of the picture, where the file tells it.
        exact: it was recorded with the very parameters that were asked for.
    """

    path: Path
    operation: str
    key: str
    parameters: Mapping[str, Any]
    response: dict[str, Any]
    error: ServiceError | None = None
    recorded: date | None = None
    region: str = ""
    model_version: str = ""
    with_faces: bool = True
    downscaled: bool = False
    size: tuple[int, int] | None = None
    exact: bool = False

    def age_days(self, today: date) -> int | None:
        """How old it is; None where nobody knows."""
        return None if self.recorded is None else (today - self.recorded).days

    def is_old(self, today: date) -> bool:
        """Whether the service may answer otherwise by now."""
        return (self.age_days(today) or 0) > OLD_AFTER_DAYS

    def document(self) -> dict[str, Any]:
        """As its file has it."""
        image: dict[str, Any] = {"sha256": self.key}
        if self.size is not None:
            image |= {"width": self.size[0], "height": self.size[1]}
        written: dict[str, Any] = {
            "operation": self.operation,
            "image": image,
            "parameters": dict(self.parameters),
            "recorded": self.recorded.isoformat() if self.recorded else None,
            **{name: getattr(self, name) for name in _MEMBERS},
        }
        if self.error is None:
            return {**written, "response": self.response}
        error = {"code": self.error.code, "message": self.error.message, "status": self.error.status}
        return {**written, "error": error}


def today() -> date:
    """The day in UTC: a recording's date does not depend on where it was made."""
    return datetime.now(UTC).date()


@dataclass(slots=True)
class RecordingStore:
    """The recordings in one folder. Safe for several threads and processes.

    Args:
        folder: may be missing.
    """

    folder: Path
    _remembered: OrderedDict[Path, tuple[tuple[int, int], Recording]] = field(
        default_factory=OrderedDict, init=False
    )

    def find(
        self, operation: str, key: str, request: Mapping[str, Any], *, needs_faces: bool = False
    ) -> Recording | None:
        """The exact recording, or the one that holds the answer; None where there is none.

        Args:
            operation: such as DetectLabels.
            key: SHA-256 of the picture, or what stands in its place.
            request: its parameters; pictures in it are not looked at.
            needs_faces: pass over recordings from which details of faces were left out.

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
            if recording is None or (
                needs_faces and lacks_faces(operation, recorded_with_faces=recording.with_faces)
            ):
                continue
            if path == exact:
                return replace(recording, exact=True)
            if _holds(recording, wanted):
                return recording
        return None

    def of_picture(self, key: str, operation: str = "*") -> Iterator[Recording]:
        """Everything that was recorded for a picture.

        Raises:
            FixtureError: a recording of the picture cannot be read.
        """
        for path in sorted(self.folder.glob(f"{operation}/{key[:2]}/{key}/*.json")):
            recording = self._read(path)
            if recording is not None:
                yield recording

    def near(self, key: str) -> Iterator[str]:
        """The operations that were recorded for a picture: for strict mode's message."""
        for home in sorted(self.folder.glob(f"*/{key[:2]}/{key}")):
            yield home.parent.parent.name

    def paths(self) -> Iterator[Path]:
        """Every file that lies where a recording lies."""
        yield from sorted(self.folder.glob("*/*/*/*.json"))

    def read(self, path: Path) -> Recording:
        """One file.

        Raises:
            FixtureError: it is not there, or cannot be read as a recording.
        """
        recording = self._read(path)
        if recording is None:
            raise FixtureError(path, ["is not there"])
        return recording

    def path_for(self, operation: str, key: str, request: Mapping[str, Any]) -> Path:
        """Where the recording of a request belongs."""
        return self._home(operation, key) / f"{fingerprint(canonical(operation, request))}.json"

    def write(self, recording: Recording) -> None:
        """Put a recording in its place, whole or not at all.

        Raises:
            FixtureError: the folder cannot be written.
        """
        text = json.dumps(recording.document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        path = recording.path
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise FixtureError(path, [f"the recording cannot be written: {error.strerror}"]) from error

    def remove(self, path: Path) -> None:
        """Delete a recording, and its folders where they are empty then."""
        path.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
            try:
                folder.rmdir()
            except OSError:
                return  # another recording lies there

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
        recording = read_recording(path)
        self._remembered[path] = (stamp, recording)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return recording


def _holds(recording: Recording, wanted: Mapping[str, Any]) -> bool:
    """Whether the answer to a request follows from a recording with other parameters."""
    if recording.error is not None:
        return recording.error.code in ERRORS_OF_THE_PICTURE
    return is_wider(recording.operation, recording.parameters, wanted, recording.response)


def read_recording(path: Path) -> Recording:
    """Read and check one file.

    Raises:
        FixtureError: it cannot be read as a recording, or does not hold what its place says.
    """
    key, operation = path.parent.name, path.parent.parent.parent.name
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        image = dict(document.get("image", {}))
        error = document.get("error")
        day = document.get("recorded")
        recording = Recording(
            path=path,
            operation=operation,
            key=key,
            parameters=dict(document["parameters"]),
            response={} if error else dict(document["response"]),
            error=ServiceError(str(error["code"]), str(error["message"]), status=int(error["status"]))
            if error
            else None,
            recorded=date.fromisoformat(day) if day else None,
            size=(int(image["width"]), int(image["height"])) if "width" in image else None,
            **{name: document[name] for name in _MEMBERS if name in document},
        )
        problem = _problem(recording)
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise FixtureError(path, [f"not a recording: {broken!r}"]) from None
    if problem:
        raise FixtureError(path, [problem])
    return recording


def _problem(recording: Recording) -> str:
    """Why a recording cannot be served; empty if it can."""
    operation = recording.operation
    model = service_model().operations.get(operation)
    if model is None:
        return f"{operation} is not an operation that is served here"
    if recording.error is not None:
        return ""
    problems = answer_problems(model.output, recording.response, operation)
    if problems:
        return "; ".join(problems[:3])
    member = "" if operation == "GetCelebrityInfo" else missing_member(operation, recording.response)
    return f"something lacks its {member!r}, which requests are applied to" if member else ""
