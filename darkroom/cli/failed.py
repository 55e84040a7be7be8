"""Commands about events that Lambda gave up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darkroom.cli import console
from darkroom.cli.progress import counting
from darkroom.cli.running import env_option, target_of

if TYPE_CHECKING:
    from darkroom.operations.dead_letters import DeadLetter

_NAMED = 5


@click.command("failed")
@click.option(
    "--limit", default=1000, show_default=True, type=click.IntRange(1, 100_000), help="How many to show."
)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, each with its event.")
@env_option
def failed_command(limit: int, as_json: bool, env_name: str) -> None:
    """List what Lambda gave up after its retries: image, error, when. `darkroom redrive` sends it back.

    A picture that can never be analysed is not here: it has a record with Status FAILED (`darkroom ls`).
    """
    from darkroom.operations.dead_letters import DeadLetters

    listing = DeadLetters(target_of(env_name)).look(limit=limit)
    if as_json:
        console.print_json([letter.as_json() for letter in listing.letters])
    elif listing.letters:
        _print(listing.letters)
    else:
        click.echo("Nothing: the dead-letter queue is empty.")
    if listing.more:
        console.stderr.print(f"… and about {listing.more} more: --limit shows them.")
    if listing.hidden:
        console.stderr.print(
            f"About {listing.hidden} more are being read by somebody else; they show again within 5 minutes."
        )


def _print(letters: tuple[DeadLetter, ...]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("image", overflow="fold", min_width=16)
    table.add_column("error", overflow="fold", style="red")
    table.add_column("tries", justify="right", style="dim")
    table.add_column("given up", style="dim", no_wrap=True)
    for letter in letters:
        names = ", ".join(console.printable(key.removeprefix("uploads/")) for key in letter.keys)
        function = letter.function_arn.split(":")[6:7]
        table.add_row(
            Text(names or f"(an event of {function[0]})" if function or names else "(no image)"),
            Text(console.printable(letter.error)),
            str(letter.attempts or ""),
            console.when(letter.given_up_at),
        )
    console.stdout.print(table)


@click.command("redrive")
@click.argument("names", nargs=-1, metavar="[FILE|KEY]...")
@click.option(
    "--rate", default=50.0, show_default=True, type=click.FloatRange(0.1, 10_000), help="Events per second."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was sent as JSON.")
@env_option
def redrive_command(names: tuple[str, ...], rate: float, as_json: bool, env_name: str) -> None:
    """Send what Lambda gave up back to its function: everything, or only the named images.

    Each message leaves the dead-letter queue once Lambda has accepted its event. Exits with 6 when a named image is
    not in the queue.
    """
    from darkroom.errors import NotFoundError
    from darkroom.operations.dead_letters import DeadLetters
    from darkroom.operations.records import candidate_keys
    from darkroom.settings import load

    target = target_of(env_name)
    inbox = load().inbox
    wanted = [candidate_keys(name, inbox=inbox) for name in names]
    with counting("sending back") as progress:
        done = DeadLetters(target).redrive(wanted, rate=rate, progress=progress)
    if as_json:
        console.print_json(
            {"sent": [letter.as_json() for letter in done.sent], "kept": [reason for _, reason in done.kept]}
        )
    else:
        _tell(done.sent)
    for letter, reason in done.kept[:_NAMED]:
        console.stderr.print(
            f"Kept in the queue: {', '.join(letter.keys) or letter.error}: {reason}.", markup=False
        )
    if len(done.kept) > _NAMED:
        console.stderr.print(f"… and {len(done.kept) - _NAMED} more kept.")
    if done.unknown:
        raise NotFoundError(
            f"Not in the dead-letter queue: {', '.join(done.unknown)}.",
            hint="`darkroom failed` lists what is.",
        )


def _tell(sent: list[DeadLetter]) -> None:
    if not sent:
        click.echo("Nothing was sent back.")
        return
    count = f"{len(sent)} event{'s' if len(sent) > 1 else ''}"
    click.echo(f"Sent {count} back; `{console.own_command()} tail` follows them.")
