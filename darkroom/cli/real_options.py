"""Options of the commands that ask real AWS, and what they say before they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from darkroom.cli import console

if TYPE_CHECKING:
    from darkroom.rekognition.modes import Choices, Mode
    from darkroom.rekognition.recorder import Plan
    from darkroom.rekognition.spending import Spending
    from darkroom.rekognition.upstream import Identity
    from darkroom.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SHOWN = 10


class _Budget(click.ParamType["float | str"]):
    """``0.50``, or ``none``."""

    name = "dollars"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from darkroom.rekognition.modes import budget_of

        try:
            return "none" if budget_of(str(value)) is None else budget_of(str(value))
        except ValueError:
            self.fail(f"{value!r} must be like 0.50, or none for no limit", param, ctx)


_OPTIONS = (
    click.option(
        "--aws-profile", metavar="NAME", help="A profile of your AWS files; by default your credential chain."
    ),
    click.option("--aws-region", metavar="NAME", help="The region to ask; by default the profile's."),
    click.option(
        "--aws-endpoint-url", metavar="URL", help="Ask this address instead of the region's own (for tests)."
    ),
    click.option(
        "--budget",
        type=_Budget(),
        metavar="DOLLARS",
        help="Stop before more is spent in this calendar month; by default 1.00, none for no limit.",
    ),
    click.option(
        "--max-calls",
        type=click.IntRange(min=0),
        metavar="N",
        help="Stop before more calls are paid in this calendar month.",
    ),
    click.option(
        "--downscale", is_flag=True, help="Send a smaller copy of a picture that has more than 5 MB."
    ),
)
_RECORDING_OPTIONS = (
    click.option(
        "--widest", is_flag=True, help="Ask for everything at once; narrower requests are derived from it."
    ),
    click.option(
        "--with-faces", is_flag=True, help="Record details of faces (age, gender, emotions, landmarks) too."
    ),
)
tolerance_option = click.option(
    "--tolerance",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="How far a confidence may move.",
)


fixtures_option = click.option(
    "--fixtures",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder with authored/ and recorded/; by default the project's fixtures/rekognition.",
)


def aws_options(command: _Command) -> _Command:
    """Who asks, where, and what it may cost."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def recording_options(command: _Command) -> _Command:
    """What is recorded."""
    for option in reversed(_RECORDING_OPTIONS):
        command = option(command)
    return command


def choices_of(mode: Mode, options: Mapping[str, Any], settings: Settings) -> Choices:
    """The options as choices, where none is given the settings; the region is still to be found."""
    from darkroom.operations.rekognition import choices_as_set
    from darkroom.rekognition.modes import DEFAULT_TOLERANCE

    set_before = choices_as_set(mode, settings)
    budget = options["budget"]
    given = {None: set_before.budget_dollars, "none": None}.get(budget, budget)
    return replace(
        set_before,
        endpoint=options["aws_endpoint_url"] or set_before.endpoint,
        widest=options.get("widest", False),
        with_faces=options.get("with_faces", False),
        downscale=options["downscale"],
        tolerance=options.get("tolerance", DEFAULT_TOLERANCE),
        budget_dollars=given,
        max_calls=options["max_calls"],
    )


def show_identity(identity: Identity, choices: Choices) -> None:
    """Before the first paid call."""
    console.stderr.print(f"Real AWS: {identity}, region {choices.region}", markup=False, soft_wrap=True)


def limits_line(choices: Choices) -> str:
    """The budget, for people."""
    from darkroom.rekognition.prices import dollars

    micros = choices.budget_micros
    parts = ["no budget" if micros is None else f"a budget of {dollars(micros)}"]
    if choices.max_calls is not None:
        parts.append(f"at most {choices.max_calls} calls")
    return ", ".join(parts)


def spent_line(spent: Spending) -> str:
    """What was spent, for people."""
    from darkroom.rekognition.prices import dollars

    calls = f"{spent.calls} paid call{'' if spent.calls == 1 else 's'}"
    return f"{calls}, {dollars(spent.micros)} in {spent.month}"


def show_plan(plan: Plan, choices: Choices, spent: Spending, *, would: bool) -> None:
    """What would be asked, and what it costs."""
    from collections import Counter

    from darkroom.rekognition.prices import dollars, prices

    count = len(plan.questions)
    pictures = f"{plan.pictures} picture{'' if plan.pictures == 1 else 's'}"
    known = f"; {plan.known} recorded already" if plan.known else ""
    verb = "would be asked" if would else "to ask"
    click.echo(f"{pictures}: {count} call{'' if count == 1 else 's'} {verb}{known}")
    costs: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for question in plan.questions:
        costs[question.operation] += question.micros
        numbers[question.operation] += 1
    for operation, micros in costs.items():
        click.echo(f"  {operation:<28} {numbers[operation]:>6} × = {dollars(micros)}")
    if count:
        table = prices()
        click.echo(f"  at most {dollars(plan.micros)} (prices of {table.read}: {table.source})")
    click.echo(f"  {spent_line(spent)} so far; {limits_line(choices)} a month")
    for name, why in plan.skipped[:_SHOWN]:
        console.stderr.print(f"  left out: {console.printable(name)}: {why}", markup=False, soft_wrap=True)
    if len(plan.skipped) > _SHOWN:
        console.stderr.print(f"  … and {len(plan.skipped) - _SHOWN} more left out")


def operations_of(names: tuple[str, ...], default: tuple[str, ...]) -> list[str]:
    """The operations that were named, separated by commas or one by one; in any case of letters.

    Raises:
        UsageError: one is not asked about a picture alone.
    """
    from darkroom.errors import UsageError
    from darkroom.rekognition.recorder import ON_ONE_PICTURE

    known = {operation.lower(): operation for operation in ON_ONE_PICTURE}
    written = [word.strip() for name in names for word in name.split(",") if word.strip()]
    unknown = [word for word in written if word.lower() not in known]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)} cannot be asked about pictures one by one.",
            hint=f"Choose from {', '.join(ON_ONE_PICTURE)}. The mode record-missing records the others.",
        )
    return list(dict.fromkeys(known[word.lower()] for word in written)) or list(default)


def mode_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """The status of a switch, for people."""
    from darkroom.rekognition.modes import Mode
    from darkroom.rekognition.prices import dollars

    mode = Mode(status["mode"])
    flags = [name.replace("_", "-") for name in ("widest", "with_faces", "downscale") if status[name]]
    yield f"mode      Rekognition {mode.value}" + (f" ({', '.join(flags)})" if flags else "")
    if not mode.asks_aws:
        return
    identity = status["identity"]
    where = f"region {status['region']}" + (f", {status['endpoint']}" if status["endpoint"] else "")
    if identity is None:
        yield "real AWS  no keys since the last restart: run `darkroom rekognition mode` again with this mode"
    else:
        yield f"real AWS  account {identity['account']}, {identity['who']}, {where}"
    spent = status["spent"]
    if "error" in spent:
        yield f"spent     {spent['error']}"
        return
    budget = status["budget_dollars"]
    limit = "no budget" if budget is None else f"budget {dollars(round(budget * 1_000_000))}"
    calls = "" if status["max_calls"] is None else f", at most {status['max_calls']} calls"
    yield f"spent     {spent['calls']} calls, {dollars(spent['micros'])} in {spent['month']}; {limit}{calls}"
