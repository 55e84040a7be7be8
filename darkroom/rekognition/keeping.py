"""What of a real answer may be kept: an allow-list, so that what nobody thought of stays out of the repository.

Kept are the members that are named here, as far as the service's model knows them. Never kept: pictures, requests
that name an ARN, answers about a human review, errors that may pass or that tell of an account.

Details of faces (age, gender, emotions, landmarks, likeness) are about people. They are kept only on request;
without it, DetectFaces and CompareFaces are not recorded at all, and a celebrity's face keeps its box.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.model import service_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.rekognition.errors import ServiceError
    from darkroom.rekognition.model import Shape

_MEMBERS = {
    "CompareFaces": ("SourceImageFace", "FaceMatches", "UnmatchedFaces"),
    "DetectFaces": ("FaceDetails",),
    "DetectLabels": ("Labels", "LabelModelVersion", "ImageProperties"),
    "DetectModerationLabels": ("ModerationLabels", "ModerationModelVersion", "ContentTypes"),
    "DetectProtectiveEquipment": ("ProtectiveEquipmentModelVersion", "Persons", "Summary"),
    "DetectText": ("TextDetections", "TextModelVersion"),
    "GetCelebrityInfo": ("Urls", "Name", "KnownGender"),
    "RecognizeCelebrities": ("CelebrityFaces", "UnrecognizedFaces"),
}
_VERSIONS = {
    "DetectLabels": "LabelModelVersion",
    "DetectModerationLabels": "ModerationModelVersion",
    "DetectProtectiveEquipment": "ProtectiveEquipmentModelVersion",
    "DetectText": "TextModelVersion",
}
_WITH_ARNS = ("HumanLoopConfig", "ProjectVersion")
_ABOUT_FACES = frozenset(("DetectFaces", "CompareFaces"))
_OUTLINE = ("BoundingBox", "Confidence")

DETERMINISTIC_ERRORS = frozenset(
    (
        "ImageTooLargeException",
        "InvalidImageFormatException",
        "InvalidParameterException",
        "ResourceNotFoundException",
        "ValidationException",
    )
)
"""Errors about the picture or the parameters: the same call always gets them."""

ERRORS_OF_THE_PICTURE = frozenset(("ImageTooLargeException", "InvalidImageFormatException"))
"""Errors that the picture gets whatever the parameters are."""

_IDENTIFYING = re.compile(r"arn:|(?<!\d)\d{12}(?!\d)")


def reason_not_to_keep(operation: str, request: Mapping[str, Any], *, with_faces: bool) -> str:
    """Why the answer to a request is not recorded, as part of a sentence; empty where it is."""
    for name in _WITH_ARNS:
        if name in request:
            return f"{name} names an account"
    if operation in _ABOUT_FACES and not with_faces:
        return "details of faces are recorded only with --with-faces"
    return ""


def kept_response(operation: str, response: Mapping[str, Any], *, with_faces: bool) -> dict[str, Any]:
    """The part of a response that is recorded."""
    output = service_model().operations[operation].output
    kept = {
        name: _known(output.members[name], response[name]) for name in _MEMBERS[operation] if name in response
    }
    if operation == "RecognizeCelebrities" and not with_faces:
        kept["CelebrityFaces"] = [
            {**celebrity, "Face": _outline(celebrity["Face"])} if "Face" in celebrity else celebrity
            for celebrity in kept.get("CelebrityFaces", ())
        ]
        kept["UnrecognizedFaces"] = [_outline(face) for face in kept.get("UnrecognizedFaces", ())]
    return kept


def kept_error(error: ServiceError) -> dict[str, Any] | None:
    """What is recorded of an error; None where it may pass, or its words may tell of an account."""
    if error.code not in DETERMINISTIC_ERRORS or error.status != 400 or _IDENTIFYING.search(error.message):
        return None
    return {"code": error.code, "message": error.message, "status": error.status}


def lacks_faces(operation: str, *, recorded_with_faces: bool) -> bool:
    """Whether a recording of the operation was made poorer because details of faces were not wanted."""
    return operation == "RecognizeCelebrities" and not recorded_with_faces


def model_version(operation: str, response: Mapping[str, Any]) -> str:
    """The version of the model that answered; empty where the operation tells none."""
    return str(response.get(_VERSIONS.get(operation, ""), ""))


def _known(shape: Shape, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _known(member, value[name]) for name, member in shape.members.items() if name in value}
    if isinstance(value, list) and shape.element is not None:
        return [_known(shape.element, item) for item in value]
    return value


def _outline(face: Mapping[str, Any]) -> dict[str, Any]:
    return {name: face[name] for name in _OUTLINE if name in face}
