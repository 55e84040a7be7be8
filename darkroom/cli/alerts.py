"""The command that shows alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darkroom.cli import console
from darkroom.cli.running import running_environment

if TYPE_CHECKING:
    from darkroom.operations.alerts import Alert


@click.command("alerts")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many to show."
)
@click.option("--json", "as_json", is_flag=True, help="Print the documents as JSON.")
def alerts_command(limit: int, as_json: bool) -> None:
    """Show what the alert rules were told of, newest uploads first.

    Rules are a parameter: darkroom up --set 'AlertRules=label:Weapon>=80; celebrity:*>=95'
    """
    from darkroom.operations.alerts import newest

    alerts = newest(running_environment().target(), limit=limit)
    if as_json:
        console.print_json(alerts)
    elif alerts:
        _print(alerts)
    else:
        click.echo("No alert yet. The rules are the parameter AlertRules, see docs/operations.md.")


def _print(alerts: list[Alert]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("image", overflow="fold", min_width=16)
    table.add_column("found", overflow="fold")
    table.add_column("rule", style="dim", overflow="fold")
    table.add_column("when", style="dim", no_wrap=True)
    for alert in alerts:
        table.add_row(
            Text(console.printable(alert["ImageID"].removeprefix("uploads/"))),
            Text(f"{alert['Kind']} {console.printable(alert['Name'])} {alert['Confidence']:.0f}"),
            Text(console.printable(alert["Rule"])),
            console.when(alert["DetectedAt"]),
        )
    console.stdout.print(table)
