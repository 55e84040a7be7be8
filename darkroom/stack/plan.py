"""What will be done: a pure function from what there is and what is wanted.

                         not there, in review ──▶ CREATE
    healthy, same release ──▶ NOTHING       healthy, other release ──▶ UPDATE
    failed at its creation ──▶ RECREATE     anything else: an error that says what to do

A release is a hash of template, parameters, tags and code. It is a parameter of the stack itself, so that one
DescribeStacks call tells whether anything is to be done. (Tags of the stack would be copied to every
resource, and each release would touch all of them.)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from darkroom.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

CODE_PARAMETERS = frozenset({"CodeBucket", "CodeKey", "CodeHash", "Release"})
"""Parameters that the deployment sets itself."""

_HEALTHY = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_NEVER_CREATED = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"})
"""Only deleting helps: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html"""


class Action(StrEnum):
    """What a deployment does."""

    NOTHING = "nothing"
    CREATE = "create"
    UPDATE = "update"
    RECREATE = "recreate"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be deployed. `parameters` are all of the template's but those that the deployment sets."""

    stack_name: str
    template_hash: str
    code_hash: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """Hash of everything that decides what the stack is."""
        decisive = [
            self.template_hash,
            self.code_hash,
            sorted(self.parameters.items()),
            sorted(self.tags.items()),
        ]
        return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Deployed:
    """What there is. `parameters` are all of the stack's, as DescribeStacks tells them."""

    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter with another value; None where there is none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, and why."""

    action: Action
    release: str
    parameter_changes: tuple[ParameterChange, ...] = ()
    code_changed: bool = False
    template_or_tags_changed: bool = False

    @property
    def summary(self) -> str:
        """One line for a person."""
        match self.action:
            case Action.NOTHING:
                return "nothing changed"
            case Action.CREATE:
                return "the stack is created"
            case Action.RECREATE:
                return "the stack that failed at its creation is removed and created again"
            case Action.UPDATE:
                return f"changed: {', '.join(self._changed())}"

    def _changed(self) -> list[str]:
        changed = ["code"] if self.code_changed else []
        changed += ["template or tags"] if self.template_or_tags_changed else []
        return changed + [f"{it.name} {it.before} → {it.after}" for it in self.parameter_changes]


def make_plan(wanted: Wanted, deployed: Deployed | None) -> Plan:
    """Decide what to do.

    Raises:
        DeployError: another deployment is under way, or the stack is in a state that needs a person.
    """
    if deployed is None or deployed.status in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
        return Plan(Action.CREATE, wanted.release)
    if deployed.status in _NEVER_CREATED:
        return Plan(Action.RECREATE, wanted.release)
    if deployed.status not in _HEALTHY:
        raise _unusable(wanted.stack_name, deployed.status)
    if deployed.parameters.get("Release") == wanted.release:
        return Plan(Action.NOTHING, wanted.release)
    changes = _parameter_changes(wanted.parameters, deployed.parameters)
    code_changed = deployed.parameters.get("CodeHash") != wanted.code_hash
    unexplained = not changes and not code_changed
    return Plan(
        Action.UPDATE,
        wanted.release,
        parameter_changes=changes,
        code_changed=code_changed,
        template_or_tags_changed=unexplained,
    )


def _parameter_changes(wanted: Mapping[str, str], deployed: Mapping[str, str]) -> tuple[ParameterChange, ...]:
    names = (wanted.keys() | deployed.keys()) - CODE_PARAMETERS
    return tuple(
        ParameterChange(name, deployed.get(name), wanted.get(name))
        for name in sorted(names)
        if deployed.get(name) != wanted.get(name)
    )


def _unusable(stack_name: str, status: str) -> DeployError:
    if status.endswith("_IN_PROGRESS"):
        return DeployError(
            f"The stack {stack_name} is being changed by somebody else ({status}).",
            hint="Wait until that is done, then deploy again.",
        )
    return DeployError(
        f"The stack {stack_name} is in the state {status}, from which it cannot be updated.",
        hint="Continue or cancel its rollback in CloudFormation's console, then deploy again.",
    )
