"""Commands that show what became of images."""

from __future__ import annotations

import click

from darkroom.cli import console
from darkroom.cli.running import env_option, running_environment, target_of


@click.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.option("--no-wait", is_flag=True, help="Do not wait for files that are on their way.")
@env_option
def ls_command(as_json: bool, no_wait: bool, env_name: str) -> None:
    """List the images with their labels, newest first. With your own Lambda: the items of its first table, as JSON.

    Waits some seconds for files of the inbox that have no record yet.
    """
    if env_name:
        _list_elsewhere(env_name, as_json=as_json)
        return
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


def _list_elsewhere(env_name: str, *, as_json: bool) -> None:
    from darkroom.operations.records import Images

    target = target_of(env_name)
    records = Images(target.session, table=target.outputs.table).newest_first()
    if as_json:
        console.print_json(records)
    elif records:
        console.print_records(records)
    else:
        console.stdout.print(f"No image yet in s3://{target.outputs.bucket}.", soft_wrap=True)


@click.command("show")
@click.argument("name", metavar="FILE|KEY")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@env_option
def show_command(name: str, as_json: bool, env_name: str) -> None:
    """Show one image's record: a file of the inbox, a key, or just a file name."""
    from darkroom.operations.records import Images, find
    from darkroom.settings import load

    if env_name:
        target = target_of(env_name)
        record = find(Images(target.session, table=target.outputs.table), name, inbox=load().inbox)
    else:
        environment = running_environment()
        environment.wait_for_name(name, timeout_s=environment.engine.patience_s / 2)
        record = find(environment.images(), name, inbox=environment.settings.inbox)
    if as_json:
        console.print_json(record)
    else:
        console.print_record(record)


@click.command("tail")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@env_option
def tail_command(as_json: bool, env_name: str) -> None:
    """Follow images as they are tagged, one line each, until Ctrl-C."""
    import json

    from darkroom.operations.follow import follow, follow_stack

    outcomes = follow_stack(target_of(env_name)) if env_name else follow(running_environment())
    console.stderr.print("[dim]waiting for images; Ctrl-C ends[/]")
    for outcome in outcomes:
        click.echo(json.dumps(outcome, ensure_ascii=False) if as_json else console.outcome_line(outcome))
