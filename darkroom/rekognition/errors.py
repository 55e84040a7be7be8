"""What can go wrong, as one tree.

    RekognitionError
    ├── ServiceError            an error that the API answers; knows status, code and which casing it uses
    ├── SourceError             an S3 object cannot be had; raised by an `ObjectSource`
    │   ├── ObjectMissingError      no such bucket, key or version
    │   ├── ObjectDeniedError       it may be there, but the credentials in use may not read it
    │   ├── ObjectTooLargeError     more bytes than the limit that was passed
    │   └── SourceUnavailableError  S3 itself does not answer: a failure of this side, worth a retry
    └── FixtureError            a fixture file cannot be used: which file, what is wrong, what to do

The service speaks in two casings: its own errors are ``{"__type", "Code", "Message"}``, those of the
framework in front of it (validation, unknown operation, malformed JSON) are ``{"__type", "message"}``.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class RekognitionError(Exception):
    """The root: one `except` catches everything this package raises on purpose."""


class Casing(Enum):
    """Which of the two error bodies an error uses."""

    SERVICE = "service"
    FRAMEWORK = "framework"


class ServiceError(RekognitionError):
    """An error that a caller of the API receives.

    Args:
        code: the exception's name, as in the service's model where the model has it.
        message: the service's words where a capture or the developer guide shows them.
        status: HTTP status. The service answers 400 for nearly everything, throttling and denial included.
        casing: which error body is used.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 400, casing: Casing = Casing.SERVICE
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.casing = casing

    def again(self) -> ServiceError:
        """The same error to raise once more: an exception that is raised twice keeps its first traceback alive."""
        return ServiceError(self.code, self.message, status=self.status, casing=self.casing)

    def document(self) -> dict[str, str]:
        """The JSON body."""
        if self.casing is Casing.FRAMEWORK:
            return {"__type": self.code, "message": self.message}
        return {"__type": self.code, "Code": self.code, "Message": self.message}


class SourceError(RekognitionError):
    """An S3 object cannot be had."""


class ObjectMissingError(SourceError):
    """No such bucket, key or version."""


class ObjectDeniedError(SourceError):
    """The credentials in use may not read the object."""


class ObjectTooLargeError(SourceError):
    """The object has more bytes than the limit that was passed."""


class SourceUnavailableError(SourceError):
    """S3 does not answer, or answers with a failure of its own."""


class FixtureError(RekognitionError):
    """A fixture file cannot be used.

    Args:
        path: the file.
        problems: each one sentence that names the place in the file and what would be right.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.path = path
        self.problems = tuple(problems)


def framework_error(code: str, message: str) -> ServiceError:
    """An error of the layer that parses and validates requests."""
    return ServiceError(code, message, casing=Casing.FRAMEWORK)


def validation_error(problems: list[str]) -> ServiceError:
    """One error for all violated constraints of a request, in AWS's sentence."""
    noun = "error" if len(problems) == 1 else "errors"
    return framework_error(
        "ValidationException", f"{len(problems)} validation {noun} detected: " + "; ".join(problems)
    )


def serialization_error(message: str) -> ServiceError:
    """The body is not JSON, or a value has the wrong JSON type."""
    return framework_error("SerializationException", message)


def invalid_image_format() -> ServiceError:
    """Not PNG or JPEG by content, or damaged. The wire has no final period."""
    return ServiceError("InvalidImageFormatException", "Request has invalid image format")


def invalid_parameters() -> ServiceError:
    """The picture is too small, or neither or both of Bytes and S3Object are given: one sentence for all."""
    return ServiceError("InvalidParameterException", "Request has invalid parameters")


def s3_object_unreadable() -> ServiceError:
    """The object is missing, in another region or not readable: the service does not tell which."""
    return ServiceError(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )


def s3_object_malformed() -> ServiceError:
    """`S3Object` lacks its bucket or its name."""
    return ServiceError("InvalidS3ObjectException", "Request has invalid S3 object.")


def image_too_many_bytes() -> ServiceError:
    """More bytes than the operation takes from S3."""
    return ServiceError("ImageTooLargeException", "Image size is too large")


def image_too_wide(*, width: int, height: int, limit: int) -> ServiceError:
    """More pixels on a side than the operation takes."""
    return ServiceError(
        "ImageTooLargeException",
        f"Input image dimensions {width} x {height} exceed maximum dimension size of {limit} pixels",
    )


def access_denied(operation: str) -> ServiceError:
    """The caller may not use the operation; 400, not 403, as captured."""
    action = f"rekognition:{operation}"
    return ServiceError(
        "AccessDeniedException",
        f"User: arn:aws:iam::000000000000:user/somebody is not authorized to perform: {action} "
        f"because no identity-based policy allows the {action} action",
    )


def internal_error(message: str = "Internal server error") -> ServiceError:
    """A failure of this side."""
    return ServiceError("InternalServerError", message, status=500)
