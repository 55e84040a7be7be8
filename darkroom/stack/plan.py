"""What will be done: a pure function from what there is and what is wanted.

                         not there, in review ──▶ CREATE
    healthy, same release ──▶ NOTHING       healthy, other release ──▶ UPDATE
    failed at its creation ──▶ RECREATE     anything else: an error that says what to do

A release is a hash of template, parameters, tags and code. It is a parameter of the stack itself, so that one
DescribeStacks call tells whether anything is to be done. (Tags of the stack would be copied to every
resource, and each release would touch all of them.)

What becomes of each resource is CloudFormation's own answer, its change set; which values differ, and who may do
what, is worked out here from both templates. A plan is data: it can be printed, saved, compared and tested.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from darkroom.errors import DeployError
from darkroom.stack.policies import StatementChange, statement_changes, statements
from darkroom.stack.recreation import may_recreate
from darkroom.stack.rendering import differences, rendered, short

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from darkroom.stack.template import Template

CODE_PARAMETERS = frozenset({"CodeBucket", "CodeKey", "CodeHash", "Release"})
"""Parameters that the deployment sets itself."""

DATA_TYPES = frozenset({"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool"})
"""Types whose replacement or removal takes images, records or users out of the stack."""

_SAME_RELEASE = "(release)"
"""Stands for the release on both sides of a comparison: a new one is no difference worth a line."""
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


class ResourceAction(StrEnum):
    """What becomes of a resource."""

    ADD = "added"
    ADOPT = "adopted"
    CHANGE = "changed in place"
    REPLACE = "replaced"
    MAY_REPLACE = "may be replaced"
    REMOVE = "removed"

    @property
    def loses(self) -> bool:
        """Whether what is there now leaves the stack."""
        return self in (ResourceAction.REPLACE, ResourceAction.MAY_REPLACE, ResourceAction.REMOVE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be deployed.

    Attributes:
        stack_name: name of the stack.
        template_hash: hash of the template.
        code_hash: hash of the code package, as Lambda's CodeSha256.
        parameters: all of the template's but those that the deployment sets.
        tags: of the stack and all in it.
        template: the template itself; without it the plan does not tell which values differ.
        pseudo: values of the pseudo parameters, for the plan to name things in full.
    """

    stack_name: str
    template_hash: str
    code_hash: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    template: Template | None = None
    pseudo: Mapping[str, str] = field(default_factory=dict)

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
    tags: Mapping[str, str] = field(default_factory=dict)
    template: Template | None = None


@dataclass(frozen=True, slots=True)
class CloudFormationChange:
    """One entry of a change set, in CloudFormation's words.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html

    Attributes:
        logical_id: in the template.
        type: resource type.
        action: Add, Modify, Remove, Import or Dynamic.
        replacement: True, False, Conditional, or empty.
        policy: what happens to the old one: Delete, Retain, Snapshot, ReplaceAndDelete, ReplaceAndRetain, or empty.
        name: physical id, empty where there is none yet.
        recreating: properties whose change asks for a replacement.
    """

    logical_id: str
    type: str
    action: str
    replacement: str = ""
    policy: str = ""
    name: str = ""
    recreating: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter with another value; None where there is none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """A value within a resource; None where there is none."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {short(self.before)} → {short(self.after)}"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What becomes of one resource.

    Attributes:
        logical_id: in the template.
        type: resource type.
        action: what becomes of it.
        name: of the one that is there, empty where there is none.
        kept: whether the old one outlives its replacement or removal, outside the stack.
        properties: the values that differ.
        recreating: the properties that ask for a replacement.
    """

    logical_id: str
    type: str
    action: ResourceAction
    name: str = ""
    kept: bool = False
    properties: tuple[PropertyChange, ...] = ()
    recreating: tuple[str, ...] = ()

    @property
    def endangers_data(self) -> bool:
        return self.action.loses and self.type in DATA_TYPES


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, and why."""

    action: Action
    release: str
    parameter_changes: tuple[ParameterChange, ...] = ()
    code_changed: bool = False
    template_or_tags_changed: bool = False
    code_hashes: tuple[str, str] = ("", "")
    """Of the code that is there, and of the code to come."""
    resources: tuple[ResourceChange, ...] = ()
    statements: tuple[StatementChange, ...] = ()

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

    @property
    def changes_anything(self) -> bool:
        return self.action is not Action.NOTHING

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON's types, for `--json`, a saved plan and the history of deployments."""
        return {**json.loads(json.dumps(asdict(self))), "summary": self.summary}

    def _changed(self) -> list[str]:
        changed = ["code"] if self.code_changed else []
        changed += ["template or tags"] if self.template_or_tags_changed else []
        return changed + [f"{it.name} {it.before} → {it.after}" for it in self.parameter_changes]


def make_plan(
    wanted: Wanted,
    deployed: Deployed | None,
    *,
    changes: Collection[CloudFormationChange] = (),
    adopted: Mapping[str, str] | None = None,
) -> Plan:
    """Decide what to do.

    Args:
        wanted: what shall be there.
        deployed: what is there.
        changes: what CloudFormation says it would do; without it a new stack's resources are all that is told.
        adopted: logical id -> name of what outlived an earlier stack and is taken into the new one.

    Raises:
        DeployError: another deployment is under way, or the stack is in a state that needs a person.
    """
    decided = _decide(wanted, deployed)
    if decided.action is Action.NOTHING or wanted.template is None:
        return decided
    after = _resources(wanted.template, {**wanted.pseudo, **wanted.parameters})
    template = deployed.template if deployed and decided.action is Action.UPDATE else None
    before = _resources(template, {**wanted.pseudo, **deployed.parameters}) if template and deployed else {}
    if decided.action is Action.UPDATE:
        resources = tuple(_resource_change(it, before, after) for it in changes)
    else:
        resources = tuple(_new(wanted.template, key, adopted or {}) for key in after)
    return replace(
        decided,
        resources=resources,
        statements=statement_changes(
            statements(before, _types(template)) if template else {},
            statements(after, _types(wanted.template)),
        ),
    )


def refuse_loss(plan: Plan, *, allowed: Collection[str], flag: str) -> None:
    """Refuse a plan that takes data out of the stack, unless each resource was named.

    Args:
        plan: the plan.
        allowed: logical ids that may go.
        flag: how the user names them, for the message.

    Raises:
        DeployError: some were not named; nothing has been done.
    """
    lost = [it for it in plan.resources if it.endangers_data and it.logical_id not in allowed]
    if not lost:
        return
    told = "; ".join(_told(it) for it in lost)
    flags = " ".join(f"{flag} {it.logical_id}" for it in lost)
    raise DeployError(
        f"Data would leave the stack: {told}. Nothing was changed.", hint=f"If you mean it: {flags}"
    )


def _told(change: ResourceChange) -> str:
    because = f" because of {', '.join(change.recreating)}" if change.recreating else ""
    rest = (
        "the old one stays, outside the stack" if change.kept else "the old one is DELETED with all it holds"
    )
    named = f" ({change.name})" if change.name else ""
    return f"{change.logical_id}{named} is {change.action}{because}, and {rest}".replace(
        "is may be", "may be"
    )


def _decide(wanted: Wanted, deployed: Deployed | None) -> Plan:
    hashes = ("", wanted.code_hash)
    if deployed is None or deployed.status in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
        return Plan(Action.CREATE, wanted.release, code_hashes=hashes)
    if deployed.status in _NEVER_CREATED:
        return Plan(Action.RECREATE, wanted.release, code_hashes=hashes)
    if deployed.status not in _HEALTHY:
        raise _unusable(wanted.stack_name, deployed.status)
    hashes = (deployed.parameters.get("CodeHash", ""), wanted.code_hash)
    if deployed.parameters.get("Release") == wanted.release:
        return Plan(Action.NOTHING, wanted.release, code_hashes=hashes)
    changes = _parameter_changes(wanted.parameters, deployed.parameters)
    code_changed = hashes[0] != hashes[1]
    unexplained = not changes and not code_changed
    return Plan(
        Action.UPDATE,
        wanted.release,
        parameter_changes=changes,
        code_changed=code_changed,
        template_or_tags_changed=unexplained or _template_changed(wanted, deployed),
        code_hashes=hashes,
    )


def _template_changed(wanted: Wanted, deployed: Deployed) -> bool:
    """Whether template or tags differ, as far as that is known."""
    if deployed.template is None or wanted.template is None:
        return False
    return deployed.template.hash != wanted.template.hash or dict(deployed.tags) != dict(wanted.tags)


def _resources(template: Template, parameters: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    defaults = {name: it.default or "" for name, it in template.parameters.items()}
    hidden = dict.fromkeys(CODE_PARAMETERS & template.parameters.keys(), _SAME_RELEASE)
    return rendered(template, {**defaults, **parameters, **hidden})


def _types(template: Template) -> dict[str, str]:
    return {key: it.type for key, it in template.resources.items()}


def _resource_change(
    change: CloudFormationChange, before: Mapping[str, Any], after: Mapping[str, Any]
) -> ResourceChange:
    action = _ACTIONS[change.action]
    if change.action == "Modify" and change.replacement == "True":
        action = ResourceAction.REPLACE
    elif change.replacement == "Conditional" and may_recreate(change.type, change.recreating):
        action = ResourceAction.MAY_REPLACE
    in_place = action in (ResourceAction.CHANGE, ResourceAction.REPLACE, ResourceAction.MAY_REPLACE)
    pair = (before.get(change.logical_id), after.get(change.logical_id))
    found = differences(*pair) if in_place and None not in pair else ()
    return ResourceChange(
        change.logical_id,
        change.type,
        action,
        change.name,
        kept=change.policy in ("Retain", "ReplaceAndRetain", "RetainExceptOnCreate"),
        properties=tuple(PropertyChange(*it) for it in found),
        recreating=change.recreating if action.loses else (),
    )


_ACTIONS = {
    "Add": ResourceAction.ADD,
    "Import": ResourceAction.ADOPT,
    "Modify": ResourceAction.CHANGE,
    "Dynamic": ResourceAction.MAY_REPLACE,
    "Remove": ResourceAction.REMOVE,
}


def _new(template: Template, key: str, adopted: Mapping[str, str]) -> ResourceChange:
    action = ResourceAction.ADOPT if key in adopted else ResourceAction.ADD
    return ResourceChange(key, template.resources[key].type, action, adopted.get(key, ""))


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
