"""What a template allows whom: every policy statement in it, and how two of them differ.

Roles, users' and groups' policies, resource policies of buckets, queues and topics, and permissions of functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class StatementAction(StrEnum):
    """What becomes of a statement."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        holder: logical id of the resource that carries it.
        sid: its name in the policy, or its place.
        effect: Allow or Deny.
        actions: sorted.
        resources: sorted; of a trust policy or a function's permission empty.
        principals: sorted; empty where the holder itself is meant.
        conditions: `operator key = values`, sorted.
    """

    holder: str
    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()

    def __str__(self) -> str:
        who = ", ".join(self.principals)
        verb = "allows" if self.effect == "Allow" else "denies"
        words = [
            f"{self.holder} {verb} {who} to" if who else f"{self.holder} {verb}",
            ", ".join(self.actions),
        ]
        if self.resources:
            words.append(f"on {', '.join(self.resources)}")
        if self.conditions:
            words.append(f"if {' and '.join(self.conditions)}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class StatementChange:
    """A statement that is added, removed, or says something else."""

    action: StatementAction
    statement: Statement
    details: tuple[str, ...] = field(default=())
    """Of a changed one: what is gained (`+ …`) and lost (`- …`)."""

    @property
    def widens(self) -> bool:
        """Whether somebody may do something that was refused before; a lost condition or denial counts."""
        denies = self.statement.effect == "Deny"
        match self.action:
            case StatementAction.ADDED:
                return not denies
            case StatementAction.REMOVED:
                return denies
            case StatementAction.CHANGED:
                # an allowance grows by what it gains, a denial shrinks by what it loses; of conditions the reverse
                mark, condition = ("-", "+ if ") if denies else ("+", "- if ")
                return any(
                    (it.startswith(mark) and not it.startswith(f"{mark} if ")) or it.startswith(condition)
                    for it in self.details
                )


def statements(resources: Mapping[str, Any], types: Mapping[str, str]) -> dict[tuple[str, str], Statement]:
    """(holder, sid) -> statement.

    Args:
        resources: logical id -> rendered properties.
        types: logical id -> resource type.
    """
    found: dict[tuple[str, str], Statement] = {}
    for key, properties in resources.items():
        for statement in _of_resource(key, types.get(key, ""), properties):
            found[statement.holder, statement.sid] = statement
    return found


def statement_changes(
    before: Mapping[tuple[str, str], Statement], after: Mapping[tuple[str, str], Statement]
) -> tuple[StatementChange, ...]:
    """How the statements differ, in the order of the template."""
    changes: list[StatementChange] = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if new is None and old is not None:
            changes.append(StatementChange(StatementAction.REMOVED, old))
        elif old is None and new is not None:
            changes.append(StatementChange(StatementAction.ADDED, new))
        elif old is not None and new is not None and old != new:
            changes.append(StatementChange(StatementAction.CHANGED, new, tuple(_details(old, new))))
    return tuple(changes)


def _details(old: Statement, new: Statement) -> Iterator[str]:
    if old.effect != new.effect:
        yield f"- {old.effect}"
        yield f"+ {new.effect}"
    for name in ("principals", "actions", "resources", "conditions"):
        was, now = getattr(old, name), getattr(new, name)
        mark = "if " if name == "conditions" else ""
        yield from (f"- {mark}{item}" for item in was if item not in now)
        yield from (f"+ {mark}{item}" for item in now if item not in was)


def _of_resource(key: str, kind: str, properties: Mapping[str, Any]) -> Iterator[Statement]:
    if kind == "AWS::Lambda::Permission":
        conditions = tuple(
            f"{name} = {properties[name]}" for name in ("SourceAccount", "SourceArn") if name in properties
        )
        yield Statement(
            key,
            "permission",
            "Allow",
            (str(properties.get("Action")),),
            (str(properties.get("FunctionName")),),
            (str(properties.get("Principal")),),
            conditions,
        )
        return
    yield from _of_document(key, "trust", properties.get("AssumeRolePolicyDocument"))
    policies = properties.get("Policies")  # of a user pool they are rules for passwords, and no list
    for policy in policies if isinstance(policies, list) else ():
        yield from _of_document(key, str(policy.get("PolicyName", "")), policy.get("PolicyDocument"))
    yield from _of_document(key, "", properties.get("PolicyDocument"))
    for arn in properties.get("ManagedPolicyArns") or ():
        yield Statement(key, f"managed policy {arn}", "Allow", (f"all of {arn}",))


def _of_document(holder: str, policy: str, document: Any) -> Iterator[Statement]:
    if not isinstance(document, dict):
        return
    for place, given in enumerate(_list(document.get("Statement"))):
        sid = given.get("Sid") or str(place + 1)
        yield Statement(
            holder,
            f"{policy}/{sid}" if policy else sid,
            str(given.get("Effect")),
            _texts(given.get("Action")) or tuple(f"not {it}" for it in _texts(given.get("NotAction"))),
            _texts(given.get("Resource")) or tuple(f"not {it}" for it in _texts(given.get("NotResource"))),
            _principals(given.get("Principal")),
            tuple(sorted(_conditions(given.get("Condition") or {}))),
        )


def _principals(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        return tuple(sorted(f"{kind} {it}" for kind, items in value.items() for it in _texts(items)))
    return tuple("everybody" if it == "*" else it for it in _texts(value))


def _conditions(value: Mapping[str, Any]) -> Iterator[str]:
    for operator, keys in value.items():
        for key, items in keys.items():
            yield f"{operator} {key} = {', '.join(_texts(items))}"


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(sorted(str(it) for it in _list(value)))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
