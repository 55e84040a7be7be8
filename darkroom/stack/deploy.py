"""Prepares a plan and carries it out: uploads the code, changes the stack by a change set, and proves the result.

prepare: describe ─▶ plan ─▶ nothing to do
                       └──▶ change set ─▶ what CloudFormation would do
execute: refuse what loses data ─▶ upload code ─▶ (remove a failed stack | adopt or drop leftovers)
                       ─▶ execute the change set ─▶ follow events ─▶ prove ─▶ outputs
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from darkroom.errors import DeployError
from darkroom.stack import package, proof
from darkroom.stack.api_deployment import with_fresh_deployments
from darkroom.stack.artefacts import Artefacts, partition_of, upload_code
from darkroom.stack.changes import ChangeSet, ChangeSetType, StackEvent, Stacks
from darkroom.stack.leftovers import Leftover, Leftovers, drop, find_leftovers, import_template
from darkroom.stack.plan import (
    CODE_PARAMETERS,
    Action,
    Deployed,
    Plan,
    Wanted,
    make_plan,
    refuse_loss,
)
from darkroom.stack.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    import boto3

__all__ = ["Deployment", "Job", "Prepared", "Release", "StackEvent", "deploy", "execute", "prepare"]


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


@dataclass(frozen=True, slots=True)
class Job:
    """Where a stack is deployed, and how.

    Attributes:
        session: access to the account or the engine.
        stack_name: name of the stack.
        artefact_bucket: bucket for the code packages; made where it is missing.
        leftovers: what to do with data resources that outlived an earlier stack.
        owner: account that must own the artefact bucket; None does not ask.
        flag: how a user names resources that may leave the stack with their data, for messages.
        on_event: told of every step of every resource.
        timeout_s: how long CloudFormation may take.
    """

    session: boto3.Session
    stack_name: str
    artefact_bucket: str
    leftovers: Leftovers = Leftovers.REFUSE
    owner: str | None = None
    flag: str = "--allow-loss"
    on_event: Callable[[StackEvent], None] = lambda _: None
    timeout_s: float = 1800

    @property
    def stacks(self) -> Stacks:
        return Stacks(self.session, self.stack_name, self.on_event, self.timeout_s)

    def known_pseudo_parameters(self) -> dict[str, str]:
        """Those that are known without asking."""
        known = {"AWS::StackName": self.stack_name, "AWS::Region": self.session.region_name or ""}
        if self.owner is not None:
            known |= {"AWS::AccountId": self.owner, "AWS::Partition": partition_of(known["AWS::Region"])}
        return known

    @property
    def artefacts(self) -> Artefacts:
        return Artefacts(self.session, self.artefact_bucket, owner=self.owner)


@dataclass(frozen=True, slots=True)
class Release:
    """What is deployed.

    Attributes:
        template: parsed template.
        parameters: values that differ from the template's defaults.
        tags: tags of the stack and all its resources.
        code: the code package; of a release that was deployed before only its key and hash are known.
    """

    template: Template
    parameters: Mapping[str, str]
    code: package.CodePackage | package.UploadedCode
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with everything that is needed to carry it out.

    Attributes:
        plan: what will be done.
        release: what will be deployed; its template is the one that is sent.
        values: every parameter of the template.
        deployed: what is there now.
        change_set: made already where the stack exists; otherwise None until it is executed.
        found: what outlived an earlier stack.
    """

    plan: Plan
    release: Release
    values: Mapping[str, str]
    deployed: Deployed | None = None
    change_set: ChangeSet | None = None
    found: tuple[Leftover, ...] = ()


def prepare(job: Job, release: Release) -> Prepared:
    """Work out what a deployment would do. With nothing changed, one call tells so.

    The only thing that this leaves in the account is a change set, which `discard` removes.

    Raises:
        UsageError: a parameter is wrong.
        DeployError: the stack cannot be changed now, or CloudFormation refused the change.
    """
    stacks = job.stacks
    own = {
        "CodeBucket": job.artefact_bucket,
        "CodeKey": release.code.key,
        "CodeHash": release.code.lambda_hash,
    }
    complete = release.template.complete({**release.parameters, **own, "Release": ""})
    parameters = {name: value for name, value in complete.items() if name not in CODE_PARAMETERS}
    template = with_fresh_deployments(release.template, complete)
    wanted = Wanted(
        job.stack_name,
        template.hash,
        release.code.lambda_hash,
        parameters,
        release.tags,
        template,
        job.known_pseudo_parameters(),
    )
    values = {**complete, "Release": wanted.release}
    deployed = stacks.describe()
    plan = make_plan(wanted, deployed)
    prepared = Prepared(plan, replace(release, template=template), values, deployed)
    match plan.action:
        case Action.NOTHING:
            return prepared
        case Action.UPDATE if deployed is not None:
            known = replace(
                deployed, template=Template.parse(stacks.template(), name="the deployed template")
            )
            change_set = stacks.prepare(ChangeSetType.UPDATE, template.body, values, tags=release.tags)
            changes = change_set.changes if change_set else ()
            plan = make_plan(wanted, known, changes=changes)
            return replace(prepared, plan=plan, deployed=known, change_set=change_set)
    found = find_leftovers(job.session, template, {**values, **_pseudo_parameters(job)})
    adopted = {it.logical_id: it.name for it in found} if job.leftovers is Leftovers.ADOPT else {}
    return replace(prepared, plan=make_plan(wanted, deployed, adopted=adopted), found=tuple(found))


def execute(job: Job, prepared: Prepared, *, allowed_losses: Collection[str] = ()) -> Deployment:
    """Carry out a plan.

    Args:
        job: where.
        prepared: by `prepare`, or from a saved plan.
        allowed_losses: logical ids of the buckets, tables and user pools that may leave the stack.

    Raises:
        DeployError: data would be lost, or the stack was refused or rolled back; the message names resource and
            reason.
    """
    return _Run(job, prepared).execute(allowed_losses)


def discard(job: Job, prepared: Prepared) -> None:
    """Remove the change set of a plan that is not carried out."""
    if prepared.change_set is not None:
        job.stacks.discard(prepared.change_set)


def deploy(
    session: boto3.Session,
    *,
    stack_name: str,
    template: Template,
    parameters: Mapping[str, str],
    code_root: Path,
    artefact_bucket: str,
    page_root: Path | None = None,
    dependencies: package.Dependencies | None = None,
    leftovers: Leftovers = Leftovers.REFUSE,
    tags: Mapping[str, str] | None = None,
    on_event: Callable[[StackEvent], None] = lambda _: None,
    timeout_s: float = 1800,
) -> Deployment:
    """Make a local stack what template, parameters and code say, whatever leaves the stack by that.

    Args:
        session: access to the engine.
        stack_name: name of the stack.
        template: parsed template.
        parameters: values that differ from the template's defaults.
        code_root: folder of the functions' code.
        page_root: folder of the page's files, which one of them serves.
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
    job = Job(session, stack_name, artefact_bucket, leftovers, on_event=on_event, timeout_s=timeout_s)
    code = package.build(code_root, page_root=page_root, dependencies=dependencies)
    release = Release(template, parameters, code, tags or {})
    prepared = prepare(job, release)
    if leftovers is Leftovers.ADOPT and _is_in_the_way(job, prepared):
        # an update cannot take in what exists; a new stack can, and what holds data outlives the old one
        discard(job, prepared)
        job.stacks.delete()
        prepared = prepare(job, release)
    return execute(job, prepared, allowed_losses={it.logical_id for it in prepared.plan.resources})


def _is_in_the_way(job: Job, prepared: Prepared) -> bool:
    """Whether an update would create a bucket, table or queue that exists already, left over from before."""
    if prepared.plan.action is not Action.UPDATE:
        return False
    own = {it.rpartition("/")[2] for it in job.stacks.physical_ids().values()}
    values = {**prepared.values, **_pseudo_parameters(job)}
    found = find_leftovers(job.session, prepared.release.template, values)
    return any(it.name not in own for it in found)


@dataclass(slots=True)
class _Run:
    """One deployment under way."""

    job: Job
    prepared: Prepared
    stacks: Stacks = field(init=False)
    actions: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.stacks = self.job.stacks

    def execute(self, allowed_losses: Collection[str]) -> Deployment:
        plan, deployed = self.prepared.plan, self.prepared.deployed
        if plan.action is Action.NOTHING and deployed is not None:
            return Deployment(deployed.outputs, plan, False, (), self._elapsed_s())
        refuse_loss(plan, allowed=allowed_losses, flag=self.job.flag)
        self._upload(self.prepared.release.code)
        changed = self._change()
        self.actions.append(plan.summary if changed else "CloudFormation saw no change")
        return self._proven()

    def _upload(self, code: package.CodePackage | package.UploadedCode) -> None:
        if isinstance(code, package.UploadedCode):
            return
        if upload_code(self.job.artefacts, code):
            files = "1 file" if code.file_count == 1 else f"{code.file_count} files"
            self.actions.append(f"uploaded the code ({len(code.content)} bytes, {files})")

    def _change(self) -> bool:
        """Change the stack; False when there was nothing to change."""
        prepared = self.prepared
        if prepared.change_set is not None:
            self.stacks.execute(prepared.change_set)
            return True
        if prepared.plan.action is Action.UPDATE:
            return False
        kind = self._make_room()
        release = prepared.release
        return self.stacks.change(kind, release.template.body, prepared.values, tags=release.tags)

    def _make_room(self) -> ChangeSetType:
        """Bring the stack into a state from which the change set works; says which kind that is."""
        if self.prepared.plan.action is Action.RECREATE:
            self.stacks.delete()
            self.actions.append("removed the stack that had failed at its creation")
        found = self._left_over()
        if not found:
            return ChangeSetType.CREATE
        names = ", ".join(f"{it.name} ({it.type})" for it in found)
        match self.job.leftovers:
            case Leftovers.REFUSE:
                raise DeployError(
                    f"The stack {self.job.stack_name} cannot be created, because this exists already: {names}.",
                    hint="Adopt it into the stack, or drop it with all that it holds.",
                )
            case Leftovers.DROP:
                for leftover in found:
                    drop(self.job.session, leftover)
                self.actions.append(f"dropped {names}")
                return ChangeSetType.CREATE
            case Leftovers.ADOPT:
                self.stacks.import_resources(import_template(found), found)
                self.actions.append(f"adopted {names}")
                return ChangeSetType.UPDATE

    def _left_over(self) -> list[Leftover]:
        """What is there besides the stack; a failed one that was just removed may have left more."""
        if self.prepared.plan.action is not Action.RECREATE:
            return list(self.prepared.found)
        values = {**self.prepared.values, **_pseudo_parameters(self.job)}
        return find_leftovers(self.job.session, self.prepared.release.template, values)

    def _proven(self) -> Deployment:
        physical_ids = self.stacks.physical_ids()
        proof.prove(
            self.job.session,
            stack_name=self.job.stack_name,
            active=self.prepared.release.template.active(self.prepared.values),
            physical_ids=physical_ids,
        )
        deployed = self.stacks.describe()
        outputs = deployed.outputs if deployed else {}
        return Deployment(
            outputs, self.prepared.plan, True, tuple(self.actions), self._elapsed_s(), physical_ids
        )

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.started_s


def _pseudo_parameters(job: Job) -> dict[str, str]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html"""
    identity = job.session.client("sts").get_caller_identity()
    return {
        "AWS::StackName": job.stack_name,
        "AWS::AccountId": identity["Account"],
        "AWS::Region": job.session.region_name or "",
        "AWS::Partition": identity["Arn"].split(":")[1],
    }
