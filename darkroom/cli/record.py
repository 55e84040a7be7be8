"""`darkroom record`: asks real AWS about a folder of pictures and keeps the answers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from darkroom.cli import console
from darkroom.cli.progress import counting
from darkroom.cli.real_options import (
    aws_options,
    choices_of,
    fixtures_option,
    operations_of,
    recording_options,
    show_identity,
    show_plan,
    spent_line,
)

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom.rekognition.recorder import Answered, Plan, Run

_TOLD = 10


@click.command("record")
@click.argument("names", nargs=-1, required=True, metavar="FOLDER|FILE|KEY...")
@click.option(
    "--operations",
    multiple=True,
    metavar="NAMES",
    help="What to ask, such as DetectLabels,DetectText; by default DetectLabels.",
)
@click.option(
    "--image-properties", is_flag=True, help="DetectLabels with IMAGE_PROPERTIES, which costs extra."
)
@click.option(
    "--min-confidence", type=click.FloatRange(0, 100), help="Of labels and moderation; by default AWS's own."
)
@recording_options
@click.option("--refresh", is_flag=True, help="Ask again what is recorded already.")
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 50),
    default=5.0,
    show_default=True,
    help="Calls that begin in a second; AWS allows 5 in most regions.",
)
@aws_options
@fixtures_option
@click.option("--dry-run", is_flag=True, help="Only say what would be asked, and what it would cost.")
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def record_command(
    names: tuple[str, ...],
    operations: tuple[str, ...],
    image_properties: bool,
    min_confidence: float | None,
    refresh: bool,
    rate: float,
    aws_profile: str | None,
    aws_region: str | None,
    fixtures: Path | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask real AWS about pictures and keep the answers under fixtures/rekognition/recorded.

    A FOLDER is taken with all below it; a KEY, or a prefix such as uploads/, is read from the running environment. What
    is recorded already is not asked again, so an interrupted run goes on where it stopped. Exits with 9 when something
    could not be recorded.
    """
    from darkroom.errors import UsageError
    from darkroom.operations import real_rekognition as real
    from darkroom.operations.environment import Environment
    from darkroom.rekognition.modes import Mode
    from darkroom.rekognition.recorder import Run, Wanted, plan_recording
    from darkroom.settings import load

    environment = Environment(load())
    settings = environment.settings
    wanted = Wanted(operations_of(operations, ("DetectLabels",)), image_properties, min_confidence)
    if "DetectFaces" in wanted.operations and not options["with_faces"]:
        raise UsageError(
            "DetectFaces tells age, gender and emotions of people, which are recorded only on request.",
            hint="Add --with-faces, or leave DetectFaces out.",
        )
    choices = choices_of(Mode.REFRESH if refresh else Mode.RECORD_MISSING, options, settings)
    pictures = list(real.pictures_of(names, environment))
    access = None if dry_run else real.find_access(settings, aws_profile)
    choices = real.in_region(choices, aws_region, access, settings)
    upstream = real.real_aws(settings, choices, access) if access else None
    if upstream is not None:
        show_identity(real.identity_of(upstream), choices)
    live = real.live_of(settings, choices, upstream, fixtures)
    plan = plan_recording(pictures, wanted, live)
    if not as_json:
        show_plan(plan, choices, real.ledger_of(settings).spent(), would=dry_run)
    if dry_run:
        if as_json:
            console.print_json(_plan_document(plan))
        return None
    if not plan.questions:
        click.echo("Nothing is to be asked.", err=as_json)
        return _end(plan, None, as_json=as_json)
    confirm_spending(yes=yes)
    run = asked(Run, live, plan, rate)
    if not as_json:
        _tell(run)
        click.echo(f"{spent_line(real.ledger_of(settings).spent())}.")
    return _end(plan, run, as_json=as_json)


def confirm_spending(*, yes: bool) -> None:
    """Ask a person; a program has said enough with its budget."""
    import sys

    if not yes and sys.stdin.isatty() and console.is_terminal():
        click.confirm("Go on?", default=True, abort=True, err=True)


def asked(run_of: type[Run], live: Any, plan: Plan, rate: float) -> Run:
    """Ask what a plan says, with a bar; Ctrl-C keeps what is there and says how to go on."""
    with counting("asking AWS") as progress:
        done = 0

        def told(_: Answered) -> None:
            nonlocal done
            done += 1
            progress(done, len(plan.questions))

        run = run_of(live, rate, told)
        try:
            run.ask_all(plan.questions)
        except KeyboardInterrupt:
            console.stderr.print(
                f"{done} of {len(plan.questions)} are done; the same command goes on from there."
            )
            raise
    return run


def _tell(run: Run) -> None:
    from darkroom.rekognition.recorder import Outcome

    counts = Counter(answered.outcome for answered in run.answers)
    parts = [f"{counts[Outcome.DONE] + counts[Outcome.REFUSED]} recorded"]
    if counts[Outcome.REFUSED]:
        parts.append(f"{counts[Outcome.REFUSED]} of them refusals")
    if counts[Outcome.NOT_KEPT]:
        parts.append(f"{counts[Outcome.NOT_KEPT]} not kept")
    if counts[Outcome.FAILED]:
        parts.append(f"{counts[Outcome.FAILED]} failed")
    click.echo(", ".join(parts) + ".")
    # what stopped the run is said once, at its end
    named = [
        answered
        for answered in run.answers
        if answered.outcome is not Outcome.DONE and not (run.stopped and answered.said.endswith(run.stopped))
    ]
    for answered in named[:_TOLD]:
        line = f"  {answered.question.operation} of {answered.question.source.name}: {answered.said}"
        console.stderr.print(console.printable(line), markup=False, soft_wrap=True)
    if len(named) > _TOLD:
        console.stderr.print(f"  … and {len(named) - _TOLD} more")


def _end(plan: Plan, run: Run | None, *, as_json: bool) -> None:
    from darkroom.errors import IncompleteError
    from darkroom.rekognition.recorder import Outcome

    answers = run.answers if run else []
    if as_json:
        console.print_json(
            {
                **_plan_document(plan),
                "answers": [
                    {
                        "picture": answered.question.source.name,
                        "operation": answered.question.operation,
                        "outcome": answered.outcome.value,
                        "said": answered.said,
                    }
                    for answered in answers
                ],
                "stopped": run.stopped if run else "",
            }
        )
    missing = len(plan.questions) - sum(answered.outcome is not Outcome.FAILED for answered in answers)
    if run is not None and run.stopped:
        raise IncompleteError(
            f"{missing} of {len(plan.questions)} are not recorded. {run.stopped}",
            hint="The same command goes on from there.",
        )
    if missing:
        raise IncompleteError(
            f"{missing} of {len(plan.questions)} could not be recorded.",
            hint="The same command asks for these again.",
        )


def _plan_document(plan: Plan) -> dict[str, Any]:
    return {
        "pictures": plan.pictures,
        "calls": len(plan.questions),
        "known": plan.known,
        "at_most_micros": plan.micros,
        "skipped": [{"picture": name, "why": why} for name, why in plan.skipped],
    }
