"""The sections of a fixture and the answers that they make.

Each section is read by a module of its own; this one knows which sections there are and turns them into one widest
answer per operation: the answer from which every request for the picture gets its part.

`answers` is the way out for everything that the sections cannot say: per operation an answer in the service's own
shape, such as one that was copied from the AWS console. It wins over the sections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.rekognition import moderation, protection, texts
from darkroom.rekognition.celebrities import read_celebrity
from darkroom.rekognition.faces import FACE_KEYS, compared, read_face
from darkroom.rekognition.label_section import read_labels
from darkroom.rekognition.labels import MODEL_VERSION
from darkroom.rekognition.model import service_model
from darkroom.rekognition.operations import missing_member
from darkroom.rekognition.validation import answer_problems
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.rekognition.reading import Reader

SECTIONS = ("labels", "faces", "text", "moderation", "content_types", "protective_equipment", "answers")

Document = dict[str, Any]


def build_answers(reader: Reader, document: Document) -> dict[str, dict[str, Any]]:
    """Per operation the widest answer, each checked against the service's model; problems stay with the reader."""
    answers = {name: build(reader, document) for name, build in BUILDERS.items()}
    if "answers" in document:
        answers.update(_raw_answers(reader, document["answers"]))
    # Sections that several operations share were read several times.
    reader.problems[:] = dict.fromkeys(reader.problems)
    reader.remarks[:] = dict.fromkeys(reader.remarks)
    if not reader.problems:
        for name, answer in answers.items():
            reader.problems.extend(answer_problems(service_model().operations[name].output, answer, name))
    if not reader.problems:
        for name, answer in answers.items():
            member = missing_member(name, answer)
            if member:
                reader.problem(
                    f"answers.{name}", f"something lacks its {member!r}, which requests are applied to"
                )
    return answers


def persons(document: Document) -> tuple[str | None, ...]:
    """Who the written faces are, in their order: for CompareFaces."""
    found: list[str | None] = []
    for face in document.get("faces", ()):
        celebrity = face.get("celebrity")
        name = celebrity.get("name") if isinstance(celebrity, dict) else celebrity
        person = face.get("person", name)
        found.append(None if person is None else str(person))
    return tuple(found)


def _labels(reader: Reader, document: Document) -> dict[str, Any]:
    written = document.get("labels")
    if written is None:
        written = _implied_labels(document)
    return {"Labels": read_labels(reader, written), "LabelModelVersion": MODEL_VERSION}


def _implied_labels(document: Document) -> dict[str, float]:
    """Where no labels are written, what the other sections say is at least there."""
    implied: dict[str, float] = {}
    if document.get("faces"):
        implied["Face"] = 99.0
    if document.get("text"):
        implied["Text"] = 99.0
    return implied


def _read_faces(reader: Reader, document: Document) -> list[tuple[dict[str, Any], Any, str]]:
    """Each face, what is written about its celebrity, and its place."""
    found = []
    for where, item in reader.entries(document.get("faces", []), "faces"):
        details = reader.mapping(item, where, known=FACE_KEYS)
        found.append((read_face(reader, details, where), details.get("celebrity"), where))
    return found


def _faces(reader: Reader, document: Document) -> dict[str, Any]:
    return {"FaceDetails": [face for face, _celebrity, _where in _read_faces(reader, document)]}


def _celebrities(reader: Reader, document: Document) -> dict[str, Any]:
    recognised, others = [], []
    for face, celebrity, where in _read_faces(reader, document):
        if celebrity is None:
            others.append(compared(face))
        else:
            recognised.append(read_celebrity(reader, celebrity, face, f"{where}.celebrity"))
    return {"CelebrityFaces": recognised, "UnrecognizedFaces": others}


def _text(reader: Reader, document: Document) -> dict[str, Any]:
    return {
        "TextDetections": texts.read_text(reader, document.get("text", [])),
        "TextModelVersion": texts.MODEL_VERSION,
    }


def _moderation(reader: Reader, document: Document) -> dict[str, Any]:
    return {
        "ModerationLabels": moderation.read_moderation(reader, document.get("moderation", {})),
        "ModerationModelVersion": moderation.MODEL_VERSION,
        "ContentTypes": moderation.read_content_types(reader, document.get("content_types", {})),
    }


def _protection(reader: Reader, document: Document) -> dict[str, Any]:
    return {
        "ProtectiveEquipmentModelVersion": protection.MODEL_VERSION,
        "Persons": protection.read_persons(reader, document.get("protective_equipment", [])),
    }


BUILDERS: dict[str, Callable[[Reader, Document], dict[str, Any]]] = {
    "DetectLabels": _labels,
    "DetectFaces": _faces,
    "RecognizeCelebrities": _celebrities,
    "DetectText": _text,
    "DetectModerationLabels": _moderation,
    "DetectProtectiveEquipment": _protection,
}


def _raw_answers(reader: Reader, value: object) -> dict[str, dict[str, Any]]:
    """Literal answers: nulls (as some SDKs print them) dropped, fractions as float32.

    CompareFaces is the answer for this picture as the source, whatever the target.
    """
    known = (*BUILDERS, "CompareFaces")
    return {
        name: _plain(reader.mapping(answer, f"answers.{name}"))
        for name, answer in reader.mapping(value, "answers", known=known).items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return float32(value) if isinstance(value, float) else value
