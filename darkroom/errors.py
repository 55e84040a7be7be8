"""What can go wrong, as one tree.

    DarkroomError                 a user can mend it: message, next step, exit code; never a traceback
    ├── UsageError          (2)   a wrong option, path or setting
    ├── NotRunningError     (3)   the environment is not up
    ├── EngineError         (4)   a part of the local environment cannot start or died
    ├── DeployError         (5)   the stack was refused or rolled back
    ├── NotFoundError       (6)   no such file, key, function or record
    ├── FunctionFailedError (7)   a function that was invoked by hand raised, timed out or did not start
    ├── DifferenceError     (8)   what was compared differs
    └── IncompleteError     (9)   a command could do only a part of its work

Anything else that escapes is a bug of ours and keeps its traceback (exit code 1).
"""

from __future__ import annotations


class DarkroomError(Exception):
    """The root: one `except` catches every error that a user can mend.

    Args:
        message: what is wrong, naming the file, key or setting.
        hint: what to do next, one sentence; shown under the message.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DarkroomError):
    """A wrong option, path or setting."""

    exit_code = 2


class NotRunningError(DarkroomError):
    """The local environment is not up."""

    exit_code = 3


class EngineError(DarkroomError):
    """A part of the local environment cannot start, or died and stays dead."""

    exit_code = 4


class DeployError(DarkroomError):
    """CloudFormation refused the stack or rolled it back."""

    exit_code = 5


class NotFoundError(DarkroomError):
    """No such file, key, function or record."""

    exit_code = 6


class FunctionFailedError(DarkroomError):
    """A function that was invoked by hand raised, timed out or did not start."""

    exit_code = 7


class DifferenceError(DarkroomError):
    """What was compared differs."""

    exit_code = 8


class IncompleteError(DarkroomError):
    """A command could do only a part of its work, for example because a budget was reached."""

    exit_code = 9
