"""Commands for a stack that is there: drift, destroy; and the engine that stands in for AWS."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from darkroom.cli import console
from darkroom.cli.progress import steps
from darkroom.cli.promotion import CHANGES, environment_option, open_promotion

if TYPE_CHECKING:
    from darkroom.engine.embedded import EmbeddedEngine
    from darkroom.operations.promotion.destroy import Ended, Ending


@click.command("drift")
@environment_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def drift_command(name: str, as_json: bool) -> None:
    """Show what somebody changed past CloudFormation. Exits with 10 where something differs, else with 0."""
    from darkroom.operations.promotion.access import account_of, explained
    from darkroom.stack.drift import detect_drift

    with steps() as report:
        promotion = open_promotion(name, report)
        account_of(promotion.session(), promotion.environment)
        promotion.outputs()
        report("asking CloudFormation to compare every resource with the template")
        with explained():
            drift = detect_drift(promotion.session(), promotion.target.stack)
    if as_json:
        console.print_json(asdict(drift))
    else:
        for found in drift.drifted:
            state = "is gone" if found.deleted else "differs"
            console.stdout.print(
                f"{found.logical_id} {found.type} ({found.name}) {state}", markup=False, soft_wrap=True
            )
            for change in found.properties:
                console.stdout.print(f"    {change}", markup=False, soft_wrap=True)
        console.stdout.print(
            f"{len(drift.drifted)} of {drift.checked} resources differ; "
            f"not compared: {', '.join(drift.unchecked) or 'none'}.",
            soft_wrap=True,
        )
    if drift.drifted:
        raise click.exceptions.Exit(CHANGES)


@click.command("destroy")
@environment_option
@click.option(
    "--delete-data", is_flag=True, help="Also delete what the stack leaves behind: tables, queues, buckets."
)
@click.option("--empty-buckets", is_flag=True, help="With --delete-data: also buckets that hold something.")
@click.option(
    "--confirm", default="", metavar="NAME", help="The environment's name again, instead of being asked."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def destroy_command(name: str, delete_data: bool, empty_buckets: bool, confirm: str, as_json: bool) -> None:
    """Delete the stack. Images, records and dead letters stay, unless --delete-data; the next deploy adopts them."""
    from darkroom.errors import UsageError
    from darkroom.operations.promotion.access import account_of
    from darkroom.operations.promotion.destroy import destroy, ending

    if empty_buckets and not delete_data:
        raise UsageError("--empty-buckets needs --delete-data.")
    with steps() as report:
        promotion = open_promotion(name, report)
        who = account_of(promotion.session(), promotion.environment)
        report("looking at what there is")
        end = ending(promotion)
    _tell(end, delete_data=delete_data)
    answer = confirm or click.prompt(f"Type the environment's name ({name}) to go on", err=True)
    if answer != name:
        raise UsageError(f"{answer!r} is not {name!r}. Nothing was deleted.")
    with steps() as report:
        promotion.report = report
        ended = destroy(promotion, who=who, delete_data=delete_data, empty_buckets=empty_buckets)
    if as_json:
        console.print_json(asdict(ended))
    else:
        _print_ended(ended)


def _tell(end: Ending, *, delete_data: bool) -> None:
    console.stderr.print(f"Stack: {end.stack or 'gone already'}", markup=False)
    fate = "[bold red]deleted, with all it holds[/]" if delete_data else "stays"
    for name in (*(f"{it.name} ({it.type})" for it in end.kept), f"{end.artefacts} (packages and history)"):
        console.stderr.print(f"  {name}: {fate}", soft_wrap=True)


def _print_ended(ended: Ended) -> None:
    for name in ended.deleted:
        console.stdout.print(f"deleted {name}", markup=False, soft_wrap=True)
    for name in ended.kept:
        console.stdout.print(f"kept    {name}", markup=False, soft_wrap=True)


@click.group("stand-in")
def stand_in_command() -> None:
    """An engine on this machine that stands in for AWS, to rehearse a promotion (docs/promotion.md)."""


@stand_in_command.command("start")
@environment_option
def start_command(name: str) -> None:
    """Start it: empty, with the environment's account id, and with IAM enforced."""
    engine = _engine(name)
    with steps() as report:
        started = engine.start(report)
    click.echo(f"The stand-in {'is up' if started else 'was up already'} on {engine.endpoint}.")


@stand_in_command.command("stop")
@environment_option
@click.option("--erase", is_flag=True, help="Also delete all that it holds.")
def stop_command(name: str, erase: bool) -> None:
    """Stop it; it keeps what it holds."""
    engine = _engine(name)
    ran = engine.layout.home.exists() and engine.stop()
    if erase and engine.layout.home.exists():
        engine.erase()
    click.echo("The stand-in is stopped." if ran else "The stand-in was not running.")


def _engine(name: str) -> EmbeddedEngine:
    from darkroom.operations.promotion.stand_in import stand_in_engine
    from darkroom.settings import load
    from darkroom.stack import load_environment

    settings = load()
    return stand_in_engine(settings, load_environment(settings.project / "environments" / f"{name}.toml"))
