"""What can go wrong in the functions, as one tree.

PipelineError
├── ConfigurationError   an environment variable is missing or wrong: the function cannot start
├── ObjectGoneError      the object of an event is not there any more: nothing is left to do
├── ObjectReplacedError  the object of an event was replaced: the event of the new one does the work
├── ImageRefusedError    Rekognition will never accept this image: the record says why
├── ImageBusyError       another invocation works on the same image: Lambda tries again later
├── ClaimLostError       a newer event took the image over while this one was at work
└── BatchFailedError     some images of one event failed: Lambda tries the event again
"""

from __future__ import annotations


class PipelineError(Exception):
    """The root: what the functions raise on purpose."""


class ConfigurationError(PipelineError):
    """An environment variable is missing or wrong."""


class ObjectGoneError(PipelineError):
    """The object, or the version of it, does not exist any more."""


class ObjectReplacedError(PipelineError):
    """The object holds other bytes than those that the event is about."""


class ImageRefusedError(PipelineError):
    """The image itself is the reason of a refusal, so that trying again cannot help.

    Args:
        code: the error code as Rekognition words it, or one of ours (`EmptyObject`).
        message: the reason, for a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ImageBusyError(PipelineError):
    """Another invocation holds the claim on this image."""


class ClaimLostError(PipelineError):
    """The claim was taken over by the event of a newer upload."""


class BatchFailedError(PipelineError):
    """Some images of one event failed for a reason that may pass.

    Args:
        failures: key of the image -> what happened.
        total: how many images the event named.
    """

    def __init__(self, failures: dict[str, Exception], total: int) -> None:
        reasons = "; ".join(f"{key}: {type(error).__name__}: {error}" for key, error in failures.items())
        super().__init__(f"{len(failures)} of {total} images failed: {reasons}")
        self.failures = failures
