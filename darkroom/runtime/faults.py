"""Lambda's error documents for what goes wrong outside a handler, in Lambda's words.

Source: "Troubleshoot invocation issues in Lambda"
(https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html).
"""

from __future__ import annotations

import json
import signal
from typing import Any

TIMED_OUT = "Sandbox.Timedout"
EXIT = "Runtime.ExitError"
OUT_OF_MEMORY = "Runtime.OutOfMemory"
TOO_LARGE = "Function.ResponseSizeTooLarge"


def document(error_type: str, message: str) -> bytes:
    """An error document as a caller gets it."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def for_request(error_type: str, request_id: str, words: str) -> bytes:
    """The document of one invocation's failure; without a request id, of the init phase's."""
    prefix = f"RequestId: {request_id} " if request_id else ""
    return document(error_type, f"{prefix}Error: {words}")


def error_type(found: bytes) -> str:
    """The type that a document names."""
    try:
        return str(json.loads(found)["errorType"]) or "Unhandled"
    except (ValueError, KeyError, TypeError):
        return "Unhandled"


def exit_words(code: int) -> str:
    """How Lambda says that a runtime's process ended; negative codes are signals."""
    if code < 0:
        names = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGABRT: "aborted"}
        number = signal.Signals(-code)
        return f"Runtime exited with error: signal: {names.get(number, number.name)}"
    if code == 0:
        return "Runtime exited without providing a reason"
    return f"Runtime exited with error: exit status {code}"


def described(found: bytes, error_type: str) -> dict[str, Any]:
    """The members of an init error's document that a person needs; the stack trace names file and line."""
    try:
        members = json.loads(found)
    except ValueError:
        members = {}
    return {
        "errorType": error_type,
        "errorMessage": str(members.get("errorMessage", "")),
        "stackTrace": [str(line) for line in members.get("stackTrace") or []],
    }
