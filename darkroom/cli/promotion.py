"""Commands that bring the stack to AWS: plan, deploy, rollback, deployments."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darkroom.cli import console
from darkroom.cli.progress import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from darkroom.operations.promotion.promote import Choices, Promoted, Promotion
    from darkroom.stack import StackEvent
    from darkroom.stack.deploy import Prepared

CHANGES = 10
"""Exit code of `plan` where something would change."""
_GATES = ("suite",)

environment_option = click.option(
    "--env", "name", required=True, metavar="NAME", help="Where: environments/NAME.toml."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


def deploy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `deploy` and `rollback` have in common."""
    options = (
        click.option(
            "--allow-loss",
            "losses",
            multiple=True,
            metavar="RESOURCE",
            help="This bucket, table or user pool may be replaced or removed.",
        ),
        click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the deployment."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        _json_option,
    )
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


@click.command("plan")
@environment_option
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FILE", help="Keep the plan, for `deploy --plan FILE`."
)
@click.option(
    "--images", type=click.IntRange(0), metavar="N", help="Estimate the cost of so many images a month."
)
@_json_option
def plan_command(name: str, save: Path | None, images: int | None, as_json: bool) -> None:
    """Show what a deployment would change on AWS. Exits with 10 where something would, with 0 where nothing would.

    Nothing is changed. Preflight comes first: credentials and account, region, template, package.
    """
    from dataclasses import asdict

    from darkroom.operations.promotion import saved
    from darkroom.stack.deploy import discard

    with steps() as report:
        promotion = open_promotion(name, report)
        checks = promotion.preflight()
    if not as_json:
        _show_checks(checks.checks)
    who, release = checks.insist()
    with steps() as report:
        promotion.report = report
        prepared = promotion.plan(release)
        if save is not None and prepared.plan.changes_anything:
            prepared = saved.save(promotion, prepared, save, who=who)
        else:
            discard(promotion.job(), prepared)
    if as_json:
        plan, cost = prepared.plan.as_json(), promotion.cost(prepared, images=images)
        estimated = {**asdict(cost), "usd": cost.usd}
        console.print_json({"environment": name, "who": who, "plan": plan, "cost": estimated})
    else:
        _show_plan(promotion, prepared, images=images)
        if save is not None and prepared.plan.changes_anything:
            console.stdout.print(
                f"Saved: `{console.own_command()} deploy --env {name} --plan {save}` executes this very plan.",
                soft_wrap=True,
            )
    if prepared.plan.changes_anything:
        raise click.exceptions.Exit(CHANGES)


@click.command("deploy")
@environment_option
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Execute a plan that `plan --save` wrote.",
)
@click.option(
    "--skip-gate",
    "skipped",
    multiple=True,
    type=click.Choice(_GATES),
    help="Pass without this gate; say why with --reason.",
)
@deploy_options
def deploy_command(
    name: str,
    plan_file: Path | None,
    skipped: Sequence[str],
    losses: Sequence[str],
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Deploy the checkout to AWS, prove it with a picture, and go back by itself if that fails.

    An interrupted run converges when it is repeated. Exits with 0 when the release is deployed and proven, with 5 when
    it was refused, rolled back, or failed its smoke test.
    """
    from darkroom.errors import UsageError
    from darkroom.operations.promotion import saved
    from darkroom.operations.promotion.access import account_of
    from darkroom.operations.promotion.gates import GateName

    if skipped and not reason:
        raise UsageError("--skip-gate needs --reason.", hint="It is kept with the deployment.")
    gates = tuple(GateName(it) for it in skipped)
    if plan_file is not None:
        with steps() as report:
            promotion = open_promotion(name, report)
            who = account_of(promotion.session(), promotion.environment)
            prepared = saved.load(promotion, plan_file)
        choices = _choices(promotion, losses, reason, yes=yes, quiet=as_json, skipped=gates)
        _run(
            promotion, lambda: promotion.deploy_prepared(prepared, who=who, choices=choices), as_json=as_json
        )
        return
    with steps() as report:
        promotion = open_promotion(name, report)
        checks = promotion.preflight()
    if not as_json:
        _show_checks(checks.checks)
    who, release = checks.insist()
    choices = _choices(promotion, losses, reason, yes=yes, quiet=as_json, skipped=gates)
    _run(promotion, lambda: promotion.deploy(release, who=who, choices=choices), as_json=as_json)


@click.command("rollback")
@environment_option
@click.option(
    "--to", default="", metavar="RELEASE", help="This release; without it the last good one before."
)
@deploy_options
def rollback_command(
    name: str, to: str, losses: Sequence[str], reason: str, yes: bool, as_json: bool
) -> None:
    """Deploy an earlier release again: its code, template and parameters, and prove it with a picture."""
    from darkroom.operations.promotion.access import account_of

    with steps() as report:
        promotion = open_promotion(name, report)
        who = account_of(promotion.session(), promotion.environment)
    choices = _choices(promotion, losses, reason, yes=yes, quiet=as_json)
    _run(promotion, lambda: promotion.roll_back(who=who, to=to, choices=choices), as_json=as_json)


@click.command("deployments")
@environment_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many.")
@_json_option
def deployments_command(name: str, limit: int, as_json: bool) -> None:
    """List what was deployed when, by whom, and how it ended."""
    from dataclasses import asdict

    from darkroom.operations.promotion.access import account_of, explained

    promotion = open_promotion(name, lambda _: None)
    account_of(promotion.session(), promotion.environment)
    with explained():
        records = promotion.history().newest_first(limit=limit)
    if as_json:
        console.print_json([asdict(record) for record in records])
        return
    if not records:
        click.echo("Nothing was deployed yet.")
    for record in records:
        who = record.who.rsplit("/", 1)[-1]
        line = f"{record.started_at}  {record.release}  {record.outcome:<11}  {record.commit[:10]:<10}  {who}"
        console.stdout.print(f"{line}  {record.reason}".rstrip(), markup=False, soft_wrap=True)


def open_promotion(name: str, report: Callable[[str], None]) -> Promotion:
    """The environment of a name, as the commands work on it; failures of resources are told at once."""
    from darkroom.operations.promotion.promote import Promotion
    from darkroom.settings import load

    def tell(event: StackEvent) -> None:
        reason = f": {event.reason}" if event.reason and event.is_failure else ""
        promotion.report(f"{event.logical_id} {event.status}{reason}")

    promotion = Promotion.load(load(), name, report=report, on_event=tell)
    return promotion


def _choices(
    promotion: Promotion,
    losses: Sequence[str],
    reason: str,
    *,
    yes: bool,
    quiet: bool,
    skipped: Sequence[Any] = (),
) -> Choices:
    from darkroom.operations.promotion.promote import Choices

    def confirm(prepared: Prepared) -> None:
        if not quiet:
            _show_plan(promotion, prepared)
        if not yes:
            click.confirm("Deploy this?", abort=True, err=True)

    return Choices(frozenset(losses), tuple(skipped), reason, confirm)


def _run(promotion: Promotion, call: Callable[[], Promoted], *, as_json: bool) -> None:
    """Deploy, with one line a step, and show how it ended."""
    from dataclasses import asdict

    from darkroom.cli.plan_view import print_smoke
    from darkroom.operations.promotion.promote import SmokeError

    promotion.report = lambda line: console.stderr.print(f"  {line}", markup=False, soft_wrap=True)
    try:
        done = call()
    except SmokeError as error:
        if as_json:
            console.print_json({"record": asdict(error.record)})
        else:
            print_smoke(error.smoke)
        raise
    if as_json:
        console.print_json(
            {
                "changed": done.deployment.changed,
                "actions": done.deployment.actions,
                "outputs": dict(done.deployment.outputs),
                "record": asdict(done.record) if done.record else None,
            }
        )
        return
    for action in done.deployment.actions or ("nothing to deploy: the stack is as it should be",):
        console.stdout.print(f"  {action}", markup=False, soft_wrap=True)
    if done.smoke is not None:
        print_smoke(done.smoke)
        console.stdout.print(f"[bold green]Deployed[/] in {done.deployment.duration_s:.1f} s")


def _show_checks(checks: Sequence[Any]) -> None:
    from darkroom.cli.plan_view import heading, print_checks

    heading("Preflight")
    print_checks(checks)


def _show_plan(promotion: Promotion, prepared: Prepared, *, images: int | None = None) -> None:
    from darkroom.cli.plan_view import print_cost, print_plan

    print_plan(prepared.plan)
    if prepared.plan.changes_anything:
        print_cost(promotion.cost(prepared, images=images), promotion.environment.budget)
