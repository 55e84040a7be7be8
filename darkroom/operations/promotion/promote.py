"""Plan, deploy, roll back: one environment on AWS or on its stand-in.

deploy:  preflight ─▶ lock ─▶ settle ─▶ plan ─▶ gates before ─▶ execute ─▶ smoke test ─▶ succeeded
                                                                  │            └─ failed ─▶ the release before ─▶ exit 5
                                                                  └─ CloudFormation went back by itself ─▶ exit 5

An interrupted run leaves a record that says `started`. The next one waits until CloudFormation has come to rest, plans
from what is there then, and runs the smoke test even where nothing is left to change.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darkroom.errors import DarkroomError, DeployError, NotFoundError
from darkroom.operations.promotion.access import explained, open_session, target_of
from darkroom.operations.promotion.gates import Gate, GateName, insist, suite_gate
from darkroom.operations.promotion.history import History, Outcome, Record
from darkroom.operations.promotion.lock import Lock
from darkroom.operations.promotion.preflight import Preflight, preflight
from darkroom.operations.promotion.smoke import Smoke, SmokeTest
from darkroom.operations.target import Target
from darkroom.stack import Leftovers, StackOutputs, load_environment
from darkroom.stack.cost import Estimate, estimate
from darkroom.stack.deploy import Deployment, Job, Prepared, Release, discard, execute, prepare
from darkroom.stack.plan import refuse_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    import boto3

    from darkroom.settings import Settings
    from darkroom.stack import StackEvent
    from darkroom.stack.environments import AwsTarget, Environment


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a deployment or a way back did.

    Attributes:
        deployment: of the stack.
        smoke: the smoke test; None where nothing was changed and nothing was open.
        record: as it was kept; None where nothing was changed and nothing was open.
    """

    deployment: Deployment
    smoke: Smoke | None
    record: Record | None


class SmokeError(DeployError):
    """The smoke test failed after a deployment.

    Attributes:
        smoke: what was seen.
        record: how it ended.
    """

    def __init__(self, message: str, *, hint: str, smoke: Smoke, record: Record) -> None:
        super().__init__(message, hint=hint)
        self.smoke = smoke
        self.record = record


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person decides about a deployment.

    Attributes:
        allowed_losses: logical ids of buckets, tables and user pools that may leave the stack.
        skipped_gates: gates to be left out.
        reason: why; kept with the deployment.
        confirm: shown the plan before anything is changed; raises to stop.
    """

    allowed_losses: Collection[str] = ()
    skipped_gates: Collection[GateName] = ()
    reason: str = ""
    confirm: Callable[[Prepared], None] = lambda _: None


@dataclass(slots=True)
class Promotion:
    """One environment.

    Args:
        environment: from `environments/<name>.toml`.
        project: the checkout.
        local_home: state folder of the developer's own local environment.
        report: told each step.
        on_event: told of every step of every resource.
    """

    environment: Environment
    project: Path
    local_home: Path
    report: Callable[[str], None] = lambda _: None
    on_event: Callable[[StackEvent], None] = lambda _: None
    _session: boto3.Session | None = field(default=None, init=False)

    @classmethod
    def load(
        cls,
        settings: Settings,
        name: str,
        *,
        report: Callable[[str], None] = lambda _: None,
        on_event: Callable[[StackEvent], None] = lambda _: None,
    ) -> Promotion:
        """The environment of a name.

        Raises:
            UsageError: there is no such file, it is wrong, or it is for local engines.
        """
        environment = load_environment(settings.project / "environments" / f"{name}.toml")
        target_of(environment)
        return cls(environment, settings.project, settings.home, report, on_event)

    @property
    def target(self) -> AwsTarget:
        return target_of(self.environment)

    def session(self) -> boto3.Session:
        """A session for the account, made once.

        Raises:
            UsageError: the credentials cannot be used there.
        """
        if self._session is None:
            self._session = open_session(self.environment, local_home=self.local_home)
        return self._session

    def job(self) -> Job:
        return Job(
            self.session(),
            self.target.stack,
            self.target.artefact_bucket,
            Leftovers.ADOPT,
            owner=self.target.account_id,
            on_event=self.on_event,
        )

    def history(self) -> History:
        return History(self.job().artefacts)

    def outputs(self) -> StackOutputs:
        """What the stack says under Outputs.

        Raises:
            NotFoundError: it is not deployed.
        """
        deployed = self.job().stacks.describe()
        if deployed is None:
            raise NotFoundError(
                f"There is no stack {self.target.stack} in account {self.target.account_id}.",
                hint=f"Deploy it: `make deploy ENV={self.environment.name}`.",
            )
        return StackOutputs.from_mapping(deployed.outputs)

    def stack(self) -> Target:
        """The deployed stack, for what a person does with a running one.

        Raises:
            NotFoundError: it is not deployed.
        """
        return Target(self.session(), self.target.stack, self.outputs())

    def page_url(self) -> str:
        """Address of the page; empty where the template has none.

        Raises:
            NotFoundError: the stack is not deployed.
        """
        outputs = self.outputs()
        if self.environment.stand_in is not None and outputs.api:
            return f"{self.environment.stand_in.endpoint_url}/_aws/execute-api/{outputs.api}/live/"
        deployed = self.job().stacks.describe()
        return deployed.outputs.get("PageUrl", "") if deployed else ""

    def preflight(self) -> Preflight:
        """Every check, without an exception for one that does not hold."""
        found, _ = preflight(
            self.environment, project=self.project, open_session=self.session, report=self.report
        )
        return found

    def gates(self) -> list[Gate]:
        """The gates before a deployment."""
        return [suite_gate(self.project)]

    def plan(self, release: Release) -> Prepared:
        """What a deployment would do; leaves a change set behind, for `discard` or a saved plan."""
        with explained():
            self.report("asking CloudFormation what would change")
            return prepare(self.job(), release)

    def cost(self, prepared: Prepared, *, images: int | None = None) -> Estimate:
        """What the stack will cost a month, for the budget's number of images or another."""
        return estimate(
            images=self.environment.budget.images_per_month if images is None else images,
            parameters=prepared.values,
            active=prepared.release.template.active(prepared.values),
            region=self.target.region,
        )

    def deploy(self, release: Release, *, who: str, choices: Choices) -> Promoted:
        """Deploy a release, prove it, and go back to the one before if that fails.

        Raises:
            DeployError: refused, rolled back, or failed its smoke test (`SmokeError`).
        """
        with explained(), Lock(self.job().artefacts, who=who, report=self.report) as lock:
            self._settle()
            return self._deploy(self.plan(release), lock, who=who, choices=choices)

    def deploy_prepared(self, prepared: Prepared, *, who: str, choices: Choices) -> Promoted:
        """The same for a plan that was saved: what was reviewed is what is executed."""
        with explained(), Lock(self.job().artefacts, who=who, report=self.report) as lock:
            return self._deploy(prepared, lock, who=who, choices=choices)

    def roll_back(self, *, who: str, to: str = "", choices: Choices) -> Promoted:
        """Deploy the last good release before the present one again, or a named one.

        Raises:
            NotFoundError: there is none.
            DeployError: refused, rolled back, or failed its smoke test.
        """
        with explained():
            record = self._earlier(to)
            self.report(f"going back to release {record.release} of {record.started_at}")
            with Lock(self.job().artefacts, who=who, report=self.report) as lock:
                self._settle()
                prepared = prepare(self.job(), record.as_release())
                return self._deploy(prepared, lock, who=who, choices=choices, back=True)

    def _earlier(self, to: str) -> Record:
        history = self.history()
        deployed = self.job().stacks.describe()
        present = deployed.parameters.get("Release", "") if deployed else ""
        record = history.last_of(to) if to else history.last_good(other_than=present)
        if record is None:
            raise NotFoundError(
                f"There is no deployment of release {to}."
                if to
                else "There is no earlier release to go back to.",
                hint=f"`darkroom deployments --env {self.environment.name}` lists what there was.",
            )
        return record

    def _settle(self) -> None:
        """Wait for what an interrupted run, or somebody in the console, has set off."""
        stacks = self.job().stacks
        deployed = stacks.describe()
        if deployed and deployed.status.endswith("_IN_PROGRESS") and deployed.status != "REVIEW_IN_PROGRESS":
            self.report(f"waiting for a change that is under way ({deployed.status})")
            stacks.settle()

    def _deploy(
        self, prepared: Prepared, lock: Lock, *, who: str, choices: Choices, back: bool = False
    ) -> Promoted:
        history = self.history()
        if not prepared.plan.changes_anything and not self._is_open(history, prepared):
            return Promoted(execute(self.job(), prepared), None, None)
        try:
            gates = self._agreed(prepared, choices, back=back)
            lock.insist()
        except BaseException:  # also a person's no, and Ctrl-C
            discard(self.job(), prepared)
            raise
        before = history.last_good(other_than=prepared.plan.release)
        record = history.start(
            prepared,
            who=who,
            commit=_commit(self.project),
            gates=tuple(gate.as_json() for gate in gates),
            reason=choices.reason,
        )
        try:
            self.report("deploying")
            done = execute(self.job(), prepared, allowed_losses=choices.allowed_losses)
        except DarkroomError as error:
            history.finish(record, Outcome.FAILED, reason=error.message)
            raise
        lock.insist()
        return self._prove(done, prepared, history, record, before)

    def _agreed(self, prepared: Prepared, choices: Choices, *, back: bool) -> tuple[Gate, ...]:
        """Everything that may stop a deployment before it begins; a way back needs no gates."""
        refuse_loss(prepared.plan, allowed=choices.allowed_losses, flag=self.job().flag)
        choices.confirm(prepared)
        if back:
            return ()
        return insist(self.gates(), left_out=choices.skipped_gates, reason=choices.reason)

    def _is_open(self, history: History, prepared: Prepared) -> bool:
        """Whether the release is deployed, but its smoke test never ran to its end."""
        last = history.last_of(prepared.plan.release)
        return last is not None and last.outcome is Outcome.STARTED

    def _prove(
        self, done: Deployment, prepared: Prepared, history: History, record: Record, before: Record | None
    ) -> Promoted:
        self.report("smoke test: a picture's way through the stack")
        outputs = StackOutputs.from_mapping(done.outputs)
        smoke = SmokeTest(self.session(), outputs, prefix=prepared.values.get("TriggerPrefix", "")).run()
        if smoke.ok:
            record = history.finish(record, Outcome.SUCCEEDED, smoke=smoke.as_json())
            return Promoted(done, smoke, record)
        if before is None:
            record = history.finish(record, Outcome.BROKEN, smoke=smoke.as_json(), reason=smoke.problem)
            raise SmokeError(
                f"The smoke test failed: {smoke.problem} The stack stays as it is: there is no release before it.",
                hint=f"Mend the cause and deploy again, or `darkroom destroy --env {self.environment.name}`.",
                smoke=smoke,
                record=record,
            )
        self.report(f"smoke test failed: going back to release {before.release}")
        self._return_to(before, record, history, smoke)
        raise SmokeError(
            f"The smoke test failed: {smoke.problem} "
            f"Release {before.release} of {before.started_at} is deployed again.",
            hint="Mend the cause, then deploy again.",
            smoke=smoke,
            record=history.finish(record, Outcome.ROLLED_BACK, smoke=smoke.as_json(), reason=smoke.problem),
        )

    def _return_to(self, before: Record, record: Record, history: History, smoke: Smoke) -> None:
        job = self.job()
        try:
            execute(job, prepare(job, before.as_release()))
        except DarkroomError as error:
            reason = f"{smoke.problem} The way back failed too: {error.message}"
            raise SmokeError(
                f"The smoke test failed: {reason}",
                hint=f"{error.hint} Then: `darkroom rollback --env {self.environment.name}`.",
                smoke=smoke,
                record=history.finish(record, Outcome.BROKEN, smoke=smoke.as_json(), reason=reason),
            ) from error


def _commit(project: Path) -> str:
    """The checkout's commit, with `+` where files differ from it; empty where git cannot tell."""
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(project), *arguments], capture_output=True, text=True, check=True
            ).stdout.strip()
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if status else "")
