"""Commands that show what became of images."""

from __future__ import annotations

import click

from darkroom.cli import console
from darkroom.cli.running import running_environment


@click.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.option("--no-wait", is_flag=True, help="Do not wait for files that are on their way.")
def ls_command(as_json: bool, no_wait: bool) -> None:
    """List the images with their labels, newest first. With your own Lambda: the items of its first table, as JSON.

    Waits some seconds for files of the inbox that have no record yet.
    """
    environment = running_environment()
    if environment.has_own_function():
        console.print_json(environment.images().items())
        return
    missing = environment.files_on_their_way()
    if missing and not no_wait:
        with console.stderr.status(f"waiting for {len(missing)} files"):
            missing = environment.wait_for_files(timeout_s=environment.engine.patience_s)
    records = environment.images().newest_first()
    if as_json:
        console.print_json(records)
    elif records:
        console.print_records(records)
    elif not missing:
        console.stdout.print(
            f"No image yet: copy photographs into {console.short_path(environment.settings.inbox)}/."
        )
    if missing:
        some = ", ".join(console.printable(name) for name in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        console.stderr.print(
            f"On their way: {some}{more}. `{console.own_command()} status` tells more.", markup=False
        )


@click.command("show")
@click.argument("name", metavar="FILE|KEY")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def show_command(name: str, as_json: bool) -> None:
    """Show one image's record: a file of the inbox, a key, or just a file name."""
    from darkroom.operations.records import find

    environment = running_environment()
    environment.wait_for_name(name, timeout_s=environment.engine.patience_s / 2)
    record = find(environment.images(), name, inbox=environment.settings.inbox)
    if as_json:
        console.print_json(record)
    else:
        console.print_record(record)


@click.command("tail")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def tail_command(as_json: bool) -> None:
    """Follow images as they are tagged, one line each, until Ctrl-C."""
    import json

    from darkroom.operations.follow import follow

    environment = running_environment()
    console.stderr.print("[dim]waiting for images; Ctrl-C ends[/]")
    for outcome in follow(environment):
        click.echo(json.dumps(outcome, ensure_ascii=False) if as_json else console.outcome_line(outcome))
