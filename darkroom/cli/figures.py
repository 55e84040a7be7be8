"""The command about figures of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darkroom.cli import console
from darkroom.cli.running import env_option, target_of

if TYPE_CHECKING:
    from darkroom.operations.figures import Figures

_ROWS = (
    ("duration_ms", "duration (ms)", 1),
    ("billed_ms", "billed (ms)", 0),
    ("init_ms", "cold start (ms)", 0),
    ("memory_mb", "memory (MB)", 0),
)


@click.command("stats")
@click.argument("function", default="tagger")
@click.option("--since", default="1h", show_default=True, metavar="PERIOD", help="For example 15m, 2h or 7d.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@env_option
def stats_command(function: str, since: str, as_json: bool, env_name: str) -> None:
    """Show how long a function takes, what memory it uses, and how its images fared, from its log.

    Percentiles are of the REPORT lines that Lambda writes for each invocation. The price is Rekognition's list price.
    """
    from darkroom.operations.figures import collect, period_s

    seconds = period_s(since)
    figures = collect(target_of(env_name), function, period_s=seconds)
    if as_json:
        console.print_json(figures.as_json())
    elif not figures.invocations:
        click.echo(f"{function} was not invoked in the last {since}.")
    else:
        _print(figures, function, since)


def _print(figures: Figures, function: str, since: str) -> None:
    from rich.table import Table

    failed = f", {figures.failed:,} of them failed" if figures.failed else ""
    cold = len(figures.values.get("init_ms", ()))
    click.echo(f"{function}, last {since}: {figures.invocations:,} invocations{failed}, {cold:,} cold starts")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("p50", "p90", "p95", "p99", "max"):
        table.add_column(name, justify="right")
    for name, title, digits in _ROWS:
        spread = figures.spread(name).percentiles
        if spread:
            of = f" of {figures.size_mb}" if name == "memory_mb" and figures.size_mb else ""
            table.add_row(f"{title}{of}", *(f"{value:,.{digits}f}" for _, value in spread))
    console.stdout.print(table)
    _print_images(figures)


def _print_images(figures: Figures) -> None:
    metrics = figures.metrics
    if not metrics:
        return
    counts = [
        f"{metrics.get('Tagged', 0):,.0f} tagged",
        f"{metrics.get('Failures', 0):,.0f} refused",
        f"{metrics.get('Skipped', 0):,.0f} with nothing to do",
        f"{metrics.get('Errors', 0):,.0f} failed attempts",
    ]
    rate = figures.success_percent
    success = "" if rate is None else f"; {rate:.1f} % success"
    click.echo(f"images: {', '.join(counts)}{success}")
    click.echo(
        f"Rekognition: {metrics.get('RekognitionCalls', 0):,.0f} calls, "
        f"{metrics.get('RekognitionThrottles', 0):,.0f} throttled, "
        f"about ${metrics.get('RekognitionPriceUsd', 0):,.4f} at list price on AWS"
    )
