"""One stack in CloudFormation: change sets, their execution, and what went wrong, in words."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.errors import DeployError
from darkroom.stack.plan import CloudFormationChange, Deployed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import boto3
    from types_boto3_cloudformation.type_defs import ResourceChangeTypeDef

    from darkroom.stack.leftovers import Leftover

_FIRST_POLL_S = 0.02
_LONGEST_POLL_S = 2.0
_CAPABILITIES = "CAPABILITY_IAM"
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed", "did not contain changes")
"""CloudFormation's words for a change set without changes; they differ by the kind of template."""
_REFUSALS = frozenset(
    {
        "ValidationError",
        "InsufficientCapabilitiesException",
        "AlreadyExistsException",
        "LimitExceededException",
    }
)
"""Errors that are about the template or the stack, not about the caller or the network."""
_SPENT = frozenset({"OBSOLETE", "EXECUTE_COMPLETE", "EXECUTE_FAILED", "EXECUTE_IN_PROGRESS"})
_CONSEQUENCES = ("Resource creation cancelled", "Resource update cancelled")
"""Reasons of resources that failed only because another one did."""


class ChangeSetType(StrEnum):
    """What a change set is for."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    IMPORT = "IMPORT"


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that can be executed.

    Attributes:
        id: its ARN.
        kind: what it is for.
        changes: what it would do, as CloudFormation says.
    """

    id: str
    kind: ChangeSetType
    changes: tuple[CloudFormationChange, ...]


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One step of one resource."""

    logical_id: str
    type: str
    status: str
    reason: str

    @property
    def is_failure(self) -> bool:
        return self.status.endswith("_FAILED")


class Stacks:
    """One stack in CloudFormation.

    Args:
        session: access to the account or the engine.
        stack_name: name of the stack.
        on_event: told of every event of the stack while it changes.
        timeout_s: how long a change may take.
    """

    def __init__(
        self,
        session: boto3.Session,
        stack_name: str,
        on_event: Callable[[StackEvent], None],
        timeout_s: float,
    ) -> None:
        self._client = session.client("cloudformation")
        self._name = stack_name
        self._on_event = on_event
        self._timeout_s = timeout_s
        self._seen: set[str] = set()

    def describe(self) -> Deployed | None:
        """The stack as it is; None where there is none."""
        try:
            stack = self._client.describe_stacks(StackName=self._name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise
        return Deployed(
            status=stack["StackStatus"],
            parameters={it["ParameterKey"]: it["ParameterValue"] for it in stack.get("Parameters", [])},
            outputs={it["OutputKey"]: it["OutputValue"] for it in stack.get("Outputs", [])},
            tags={it["Key"]: it["Value"] for it in stack.get("Tags", [])},
        )

    def template(self) -> str:
        """The text of the stack's template, as it was sent."""
        body: Any = self._client.get_template(StackName=self._name, TemplateStage="Original")["TemplateBody"]
        # botocore makes a mapping of a template that was sent as JSON
        return body if isinstance(body, str) else json.dumps(body)

    def prepare(
        self,
        kind: ChangeSetType,
        body: str,
        values: Mapping[str, str],
        *,
        tags: Mapping[str, str],
        imports: Sequence[Leftover] = (),
    ) -> ChangeSet | None:
        """Have CloudFormation work out what would change; None when nothing would.

        Raises:
            DeployError: CloudFormation refused it, or took too long.
        """
        request: dict[str, Any] = {
            "StackName": self._name,
            "ChangeSetName": f"darkroom-{time.time_ns():x}",
            "ChangeSetType": kind.value,
            "TemplateBody": body,
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
            "Capabilities": [_CAPABILITIES],
        }
        if tags:
            request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        if imports:
            request["ResourcesToImport"] = [
                {
                    "ResourceType": it.type,
                    "LogicalResourceId": it.logical_id,
                    "ResourceIdentifier": dict(it.identifier),
                }
                for it in imports
            ]
        try:
            change_set = self._client.create_change_set(**request)["Id"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _REFUSALS:
                raise
            message = error.response["Error"].get("Message", str(error))
            raise DeployError(f"CloudFormation refused the stack {self._name}: {message}") from error
        return self.ready(change_set, kind)

    def ready(self, change_set: str, kind: ChangeSetType) -> ChangeSet | None:
        """A change set that was made before, once it can be executed; None when it holds no change.

        Raises:
            DeployError: it was refused, or can be executed no more.
        """
        return ChangeSet(change_set, kind, self._changes(change_set)) if self._is_ready(change_set) else None

    def execute(self, change_set: ChangeSet) -> None:
        """Execute a change set, and wait until the stack has changed.

        Raises:
            DeployError: it was rolled back, or took too long.
        """
        self._remember_events()
        self._client.execute_change_set(ChangeSetName=change_set.id, StackName=self._name)
        self._follow(change_set.kind)

    def discard(self, change_set: ChangeSet) -> None:
        """Delete a change set; and the empty stack that one for a new stack brings with it."""
        self._client.delete_change_set(ChangeSetName=change_set.id, StackName=self._name)
        if self._status_of(self._name) == "REVIEW_IN_PROGRESS":
            self.delete()

    def change(
        self,
        kind: ChangeSetType,
        body: str,
        values: Mapping[str, str],
        *,
        tags: Mapping[str, str],
        imports: Sequence[Leftover] = (),
    ) -> bool:
        """Prepare a change set and execute it; False when it holds no change.

        Raises:
            DeployError: CloudFormation refused it, rolled it back, or took too long.
        """
        change_set = self.prepare(kind, body, values, tags=tags, imports=imports)
        if change_set is None:
            return False
        self.execute(change_set)
        return True

    def settle(self) -> str | None:
        """Wait until nobody changes the stack; its status then, None where there is no stack.

        Raises:
            DeployError: it took too long.
        """
        for _ in self._polls(f"what it does with the stack {self._name}"):
            status = self._status_of(self._name)
            if status is None or status == "REVIEW_IN_PROGRESS" or not status.endswith("_IN_PROGRESS"):
                return status
            for event in self._new_events():
                self._on_event(event)
        raise AssertionError("unreachable: polling ends by returning or raising")

    def import_resources(self, body: str, imports: Sequence[Leftover]) -> None:
        """Take resources into a new stack that holds nothing else.

        Raises:
            DeployError: CloudFormation refused.
        """
        self.change(ChangeSetType.IMPORT, body, {}, tags={}, imports=imports)

    def delete(self) -> None:
        """Delete the stack and wait until it is gone.

        Raises:
            DeployError: something in it could not be deleted.
        """
        self._remember_events()
        stack_id = self._client.describe_stacks(StackName=self._name)["Stacks"][0].get("StackId", self._name)
        self._client.delete_stack(StackName=self._name)
        for _ in self._polls(f"deleting the stack {self._name}"):
            # By its id a deleted stack is still described; by its name it is not.
            status = self._status_of(stack_id)
            if status in (None, "DELETE_COMPLETE"):
                return
            if status == "DELETE_FAILED":
                raise DeployError(f"The stack {self._name} could not be deleted: {self._failure_text()}")

    def physical_ids(self) -> dict[str, str]:
        """Logical id -> physical id of everything in the stack."""
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self._name)
        return {
            it["LogicalResourceId"]: it.get("PhysicalResourceId", "")
            for page in pages
            for it in page["StackResourceSummaries"]
        }

    def _is_ready(self, change_set: str) -> bool:
        """Wait until a change set can be executed; False when it holds no change."""
        for _ in self._polls("preparing the change set"):
            answer = self._client.describe_change_set(ChangeSetName=change_set, StackName=self._name)
            if answer["Status"] == "CREATE_COMPLETE":
                if answer.get("ExecutionStatus") in _SPENT:
                    raise DeployError(
                        f"The change set {change_set} can be executed no more: "
                        f"it is {answer['ExecutionStatus'].lower().replace('_', ' ')}.",
                        hint="The stack has changed since it was planned. Plan again.",
                    )
                return True
            if answer["Status"] == "FAILED":
                reason = answer.get("StatusReason", "")
                self._client.delete_change_set(ChangeSetName=change_set, StackName=self._name)
                if any(words in reason for words in _NO_CHANGES):
                    return False
                raise DeployError(f"CloudFormation refused the stack {self._name}: {reason}")
        raise AssertionError("unreachable: polling ends by returning or raising")

    def _changes(self, change_set: str) -> tuple[CloudFormationChange, ...]:
        pages = self._client.get_paginator("describe_change_set").paginate(
            ChangeSetName=change_set, StackName=self._name
        )
        return tuple(
            _change(it["ResourceChange"])
            for page in pages
            for it in page.get("Changes", [])
            if "ResourceChange" in it
        )

    def _follow(self, kind: ChangeSetType) -> None:
        """Wait until the stack has changed, and report its events meanwhile."""
        failures: list[StackEvent] = []
        for _ in self._polls(f"changing the stack {self._name}"):
            status = self._status_of(self._name)
            for event in self._new_events():
                self._on_event(event)
                if event.is_failure and not event.reason.startswith(_CONSEQUENCES):
                    failures.append(event)
            if status == f"{kind.value}_COMPLETE":
                return
            if status is None or not status.endswith("_IN_PROGRESS"):
                raise self._failed(kind, status, failures)

    def _failed(self, kind: ChangeSetType, status: str | None, failures: list[StackEvent]) -> DeployError:
        verb = {
            ChangeSetType.CREATE: "created",
            ChangeSetType.UPDATE: "updated",
            ChangeSetType.IMPORT: "made from what was there",
        }[kind]
        reasons = "; ".join(_words(it) for it in failures if it.logical_id != self._name)
        return DeployError(
            f"The stack {self._name} could not be {verb}: {reasons or 'CloudFormation gives no reason'}.",
            hint=f"It is in the state {status}. Mend the cause, then deploy again.",
        )

    def _failure_text(self) -> str:
        return "; ".join(_words(it) for it in self._new_events() if it.is_failure) or "no reason is given"

    def _status_of(self, name_or_id: str) -> str | None:
        try:
            return self._client.describe_stacks(StackName=name_or_id)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise

    def _remember_events(self) -> None:
        """Forget what happened before: only later events are reported."""
        for _ in self._new_events():
            pass

    def _new_events(self) -> list[StackEvent]:
        """Events that were not seen yet, the oldest first."""
        found: list[StackEvent] = []
        for page in self._client.get_paginator("describe_stack_events").paginate(StackName=self._name):
            new = [it for it in page["StackEvents"] if it["EventId"] not in self._seen]
            self._seen.update(it["EventId"] for it in new)
            found += [
                StackEvent(
                    logical_id=it.get("LogicalResourceId", ""),
                    type=it.get("ResourceType", ""),
                    status=it.get("ResourceStatus", ""),
                    reason=it.get("ResourceStatusReason", ""),
                )
                for it in new
            ]
            if len(new) < len(page["StackEvents"]):
                break  # events come newest first, so that the rest was seen
        return found[::-1]

    def _polls(self, doing: str) -> Iterator[None]:
        """One turn per look, soon at first and seldom later.

        Raises:
            DeployError: it took too long.
        """
        deadline = time.monotonic() + self._timeout_s
        pause_s = _FIRST_POLL_S
        while True:
            yield
            if time.monotonic() > deadline:
                raise DeployError(
                    f"CloudFormation took longer than {self._timeout_s:.0f} s for {doing}.",
                    hint="It may still be at work: look at the stack, then deploy again.",
                )
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)


def _change(change: ResourceChangeTypeDef) -> CloudFormationChange:
    targets = [it.get("Target", {}) for it in change.get("Details", [])]
    return CloudFormationChange(
        logical_id=change.get("LogicalResourceId", ""),
        type=change.get("ResourceType", ""),
        action=change.get("Action", ""),
        replacement=change.get("Replacement", ""),
        policy=change.get("PolicyAction", ""),
        name=change.get("PhysicalResourceId", ""),
        recreating=tuple(
            dict.fromkeys(
                it.get("Name", "") for it in targets if it.get("RequiresRecreation", "Never") != "Never"
            )
        ),
    )


def _words(event: StackEvent) -> str:
    return f"{event.logical_id} ({event.type}): {event.reason or event.status}"
