"""A deployed stack that commands work on, wherever it runs: a session and the stack's outputs, nothing of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import boto3

    from darkroom.stack import StackOutputs


@dataclass(frozen=True, slots=True)
class Target:
    """One stack.

    Attributes:
        session: access to the engine or the account.
        stack: the stack's name.
        outputs: what the template says under Outputs.
    """

    session: boto3.Session
    stack: str
    outputs: StackOutputs

    @classmethod
    def of(cls, session: boto3.Session, stack: str) -> Target:
        """The deployed stack of a name.

        Raises:
            NotFoundError: there is no such stack.
            DeployError: it was made from another template.
        """
        from darkroom.stack import read_outputs

        return cls(session, stack, read_outputs(session, stack))
