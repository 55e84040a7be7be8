"""Carries out a plan: uploads the code, changes the stack by a change set, and proves the result.

describe ─▶ plan ─▶ nothing to do: outputs
              └──▶ upload code ─▶ (remove a failed stack | adopt or drop leftovers)
                      ─▶ change set ─▶ execute ─▶ follow events ─▶ prove ─▶ outputs
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darkroom.errors import DeployError
from darkroom.stack import package, proof
from darkroom.stack.artefacts import upload_code
from darkroom.stack.changes import ChangeSetType, StackEvent, Stacks
from darkroom.stack.leftovers import Leftover, Leftovers, drop, find_leftovers, import_template
from darkroom.stack.plan import CODE_PARAMETERS, Action, Plan, Wanted, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import boto3

    from darkroom.stack.template import Template

__all__ = ["Deployment", "StackEvent", "deploy"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deployment did."""

    outputs: Mapping[str, str]
    plan: Plan
    changed: bool
    actions: tuple[str, ...]
    """What was done, a sentence each, for a person."""
    duration_s: float
    physical_ids: Mapping[str, str] = field(default_factory=dict)
    """Logical id -> physical id; empty where nothing was changed."""


def deploy(
    session: boto3.Session,
    *,
    stack_name: str,
    template: Template,
    parameters: Mapping[str, str],
    code_root: Path,
    artefact_bucket: str,
    dependencies: package.Dependencies | None = None,
    leftovers: Leftovers = Leftovers.REFUSE,
    tags: Mapping[str, str] | None = None,
    on_event: Callable[[StackEvent], None] = lambda _: None,
    timeout_s: float = 1800,
) -> Deployment:
    """Make the stack what template, parameters and code say. With nothing changed, one call tells so.

    Args:
        session: access to the account or the engine.
        stack_name: name of the stack.
        template: parsed template.
        parameters: values that differ from the template's defaults.
        code_root: folder of the functions' code.
        artefact_bucket: bucket for the code packages; made where it is missing.
        dependencies: libraries to pack with the code; None where the runtime holds them.
        leftovers: what to do with data resources that outlived an earlier stack.
        tags: tags of the stack and all its resources.
        on_event: told of every step of every resource.
        timeout_s: how long CloudFormation may take.

    Raises:
        UsageError: a parameter or the code folder is wrong.
        DeployError: the stack was refused or rolled back; the message names resource and reason.
    """
    run = _Run(session, stack_name, template, Stacks(session, stack_name, on_event, timeout_s), tags or {})
    return run.deploy(
        parameters, package.build(code_root, dependencies=dependencies), artefact_bucket, leftovers
    )


@dataclass(slots=True)
class _Run:
    """One deployment under way."""

    session: boto3.Session
    stack_name: str
    template: Template
    stacks: Stacks
    tags: Mapping[str, str]
    actions: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def deploy(
        self,
        parameters: Mapping[str, str],
        code: package.CodePackage,
        artefact_bucket: str,
        leftovers: Leftovers,
    ) -> Deployment:
        wanted = Wanted(
            stack_name=self.stack_name,
            template_hash=self.template.hash,
            code_hash=code.lambda_hash,
            parameters=self._parameters(parameters, artefact_bucket, code),
            tags=self.tags,
        )
        deployed = self.stacks.describe()
        plan = make_plan(wanted, deployed)
        if plan.action is Action.NOTHING and deployed is not None:
            return Deployment(deployed.outputs, plan, False, (), self._elapsed_s())
        if upload_code(self.session, bucket=artefact_bucket, code=code):
            files = "1 file" if code.file_count == 1 else f"{code.file_count} files"
            self.actions.append(f"uploaded the code ({len(code.content)} bytes, {files})")
        values = {
            **wanted.parameters,
            "CodeBucket": artefact_bucket,
            "CodeKey": code.key,
            "CodeHash": code.lambda_hash,
            "Release": wanted.release,
        }
        kind = self._prepare(plan, values, leftovers)
        changed = self.stacks.change(kind, self.template.body, values, tags=self.tags)
        self.actions.append(plan.summary if changed else "CloudFormation saw no change")
        return self._proven(plan, values)

    def _parameters(
        self, given: Mapping[str, str], artefact_bucket: str, code: package.CodePackage
    ) -> dict[str, str]:
        """All parameters but those that the deployment sets itself."""
        own = {"CodeBucket": artefact_bucket, "CodeKey": code.key, "CodeHash": code.lambda_hash}
        complete = self.template.complete({**given, **own, "Release": ""})
        return {name: value for name, value in complete.items() if name not in CODE_PARAMETERS}

    def _prepare(self, plan: Plan, values: Mapping[str, str], policy: Leftovers) -> ChangeSetType:
        """Bring the stack into a state from which the change set works; says which kind that is."""
        if plan.action is Action.UPDATE:
            return ChangeSetType.UPDATE
        if plan.action is Action.RECREATE:
            self.stacks.delete()
            self.actions.append("removed the stack that had failed at its creation")
        found = find_leftovers(self.session, self.template, {**values, **self._pseudo_parameters()})
        if not found:
            return ChangeSetType.CREATE
        names = ", ".join(f"{it.name} ({it.type})" for it in found)
        match policy:
            case Leftovers.REFUSE:
                raise DeployError(
                    f"The stack {self.stack_name} cannot be created, because this exists already: {names}.",
                    hint="Adopt it into the stack, or drop it with all that it holds.",
                )
            case Leftovers.DROP:
                for leftover in found:
                    drop(self.session, leftover)
                self.actions.append(f"dropped {names}")
                return ChangeSetType.CREATE
            case Leftovers.ADOPT:
                return self._adopt(found, names)

    def _adopt(self, found: list[Leftover], names: str) -> ChangeSetType:
        self.stacks.import_resources(import_template(found), found)
        self.actions.append(f"adopted {names}")
        return ChangeSetType.UPDATE

    def _pseudo_parameters(self) -> dict[str, str]:
        """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html"""
        identity = self.session.client("sts").get_caller_identity()
        return {
            "AWS::StackName": self.stack_name,
            "AWS::AccountId": identity["Account"],
            "AWS::Region": self.session.region_name or "",
            "AWS::Partition": identity["Arn"].split(":")[1],
        }

    def _proven(self, plan: Plan, values: Mapping[str, str]) -> Deployment:
        physical_ids = self.stacks.physical_ids()
        proof.prove(
            self.session,
            stack_name=self.stack_name,
            active=self.template.active(values),
            physical_ids=physical_ids,
        )
        deployed = self.stacks.describe()
        outputs = deployed.outputs if deployed else {}
        return Deployment(outputs, plan, True, tuple(self.actions), self._elapsed_s(), physical_ids)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.started_s
