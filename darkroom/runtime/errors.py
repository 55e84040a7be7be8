"""What can go wrong here, as one tree.

RuntimeFaultError                     the root
├── StartError                        the runtime cannot start: one clear line, exit code 4
├── QueueError                        an event could not be written to disk, so it is not acknowledged
├── SystemFaultError                  not possible now, through no fault of the function (engine away, code
│                                     unreadable …): an asynchronous event waits and no retry is burned
└── ApiError                          an answer of the Invoke API, in Lambda's REST-JSON shape
    ├── ResourceNotFoundError      404
    ├── RequestTooLargeError       413
    ├── InvalidRequestContentError 400
    ├── InvalidParameterValueError 400
    ├── TooManyRequestsError       429   with a reason
    └── ServiceFailureError        500

Source for names, status codes and members: "Invoke" in the Lambda API reference
(https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
"""

from __future__ import annotations

import json
from typing import ClassVar


class RuntimeFaultError(Exception):
    """The root: catches everything that this package raises on purpose."""


class StartError(RuntimeFaultError):
    """The runtime cannot start; the message says what to do."""


class QueueError(RuntimeFaultError):
    """The durable queue refused a write (disk full, read-only folder); the message names the file."""


class SystemFaultError(RuntimeFaultError):
    """The function could not be run now, through no fault of its own."""


class ApiError(RuntimeFaultError):
    """An answer of the Invoke API that is not a result.

    Lambda's model spells the message member of some errors `Message` and of others `message`.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "ServiceException"
    kind: ClassVar[str] = "User"
    message_member: ClassVar[str] = "message"

    def document(self) -> dict[str, str]:
        """The JSON members of the answer."""
        return {"Type": self.kind, self.message_member: str(self)}

    def body(self) -> bytes:
        """The answer's body."""
        return json.dumps(self.document()).encode()


class ResourceNotFoundError(ApiError):
    """No such function, version or alias."""

    status = 404
    code = "ResourceNotFoundException"
    message_member = "Message"


class RequestTooLargeError(ApiError):
    """The event is larger than Lambda accepts for this invocation type."""

    status = 413
    code = "RequestTooLargeException"


class InvalidRequestContentError(ApiError):
    """The event is not JSON."""

    status = 400
    code = "InvalidRequestContentException"


class InvalidParameterValueError(ApiError):
    """A parameter or header of the call is wrong."""

    status = 400
    code = "InvalidParameterValueException"


class TooManyRequestsError(ApiError):
    """A throttle. `reason` is one of the model's ThrottleReason values."""

    status = 429
    code = "TooManyRequestsException"

    def __init__(self, reason: str, message: str = "Rate Exceeded.") -> None:
        super().__init__(message)
        self.reason = reason

    def document(self) -> dict[str, str]:
        """The JSON members, with the reason."""
        return {"Reason": self.reason, **super().document()}


class ServiceFailureError(ApiError):
    """The runtime itself failed; the caller may try again."""

    status = 500
    code = "ServiceException"
    kind = "Service"
    message_member = "Message"
