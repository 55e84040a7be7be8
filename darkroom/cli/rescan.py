"""The command that tags what has no current record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darkroom.cli import console
from darkroom.cli.progress import counting
from darkroom.cli.running import env_option, target_of

if TYPE_CHECKING:
    from darkroom.operations.rescan import Place


@click.command("rescan")
@click.option(
    "--stale", is_flag=True, help="Also what was analysed with other settings. On AWS that costs money."
)
@click.option(
    "--rate", default=50.0, show_default=True, type=click.FloatRange(0.1, 10_000), help="Images per second."
)
@click.option("--from-start", is_flag=True, help="Begin anew, also where an earlier rescan was broken off.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@env_option
def rescan_command(stale: bool, rate: float, from_start: bool, as_json: bool, env_name: str) -> None:
    """Tag every object of the bucket that has no current record: none at all, or one of other bytes.

    May be broken off with Ctrl-C; the next one goes on from there. Pictures that were refused have a record, and are
    not tried again unless --stale finds that the settings have changed.
    """
    from darkroom.operations.rescan import Place, Rescan
    from darkroom.settings import load

    place_file = load().home / (f"rescan-{env_name}.json" if env_name else "rescan.json")
    target = target_of(env_name)
    place_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    rescan = Rescan(target, place_file)
    place = Place(stale) if from_start else rescan.place(stale=stale)
    if place.cursor is not None:
        key = console.printable(place.cursor)
        console.stderr.print(
            f"Going on behind {key} ({place.looked_at:,} objects before); --from-start begins anew."
        )
    with counting("looking at objects") as progress:
        about = rescan.count() if console.is_terminal() else None

        def tell(reached: Place) -> None:
            progress(reached.looked_at, None if about is None else max(about, reached.looked_at))

        done = rescan.run(place, rate=rate, progress=tell)
    if as_json:
        console.print_json({"looked_at": done.looked_at, "sent": done.sent})
        return
    click.echo(f"Looked at {done.looked_at:,} objects; {done.sent:,} of them sent to the tagger.")
    if done.sent:
        click.echo(
            f"`{console.own_command()} tail` follows them, `{console.own_command()} failed` shows what fails."
        )
