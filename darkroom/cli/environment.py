"""Commands that start, stop and look at the environment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from darkroom.cli import console
from darkroom.cli.progress import show_uploads, steps
from darkroom.cli.real_options import mode_lines
from darkroom.cli.running import deployed_promotion, env_option

if TYPE_CHECKING:
    from darkroom.operations.environment import Environment, Status


def _environment() -> Environment:
    from darkroom.operations.environment import Environment
    from darkroom.settings import load

    return Environment(load())


@click.command("up")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the template, for example MinConfidence=60; environments/local.toml holds the defaults.",
)
@click.option(
    "--preset",
    default="",
    envvar="DARKROOM_PRESET",
    metavar="NAME|FILE",
    help="Parameters of one of the followed systems, or your own Lambda: see docs/presets.md.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as JSON.")
def up_command(overrides: tuple[str, ...], preset: str, as_json: bool) -> None:
    """Start everything, deploy the stack, and return when photographs can be dropped.

    Harmless when it runs already: what has not changed is neither started nor deployed again.
    """
    began = time.monotonic()
    environment = _environment()
    with steps() as report:
        result = environment.up(overrides=overrides, report=report, preset=preset)
    if as_json:
        console.print_json(result.as_json())
        return
    show_uploads(environment)
    for warning in result.warnings:
        console.stderr.print(f"[yellow]Note:[/] {warning}")
    settings = environment.settings
    out = console.stdout.print
    out(f"[bold green]Darkroom is up[/] ({result.engine} engine, {time.monotonic() - began:.1f} s)")
    if settings.engine == "auto":
        out(f"  chosen because: {result.why}", style="dim", markup=False, soft_wrap=True)
    for line in result.changes or ("nothing to deploy: the stack is as it was",):
        out(f"  {line}", style="dim", markup=False, soft_wrap=True)
    out()
    out(f"  folder    {settings.inbox}  →  s3://{result.bucket}/uploads/", soft_wrap=True)
    if result.page:
        out(f"  page      {result.page}   [dim]# or: {console.own_command()} open[/]", soft_wrap=True)
    out(f"  endpoint  {result.endpoint}", soft_wrap=True)
    out(f"  table     {result.table}", soft_wrap=True)
    out(f"  state     {settings.home}", soft_wrap=True)
    out()
    tool = console.own_command()
    out("Try it:", style="bold")
    out(f"  cp fixtures/images/*.* {console.short_path(settings.inbox)}/", soft_wrap=True)
    out(f"  {tool} ls          [dim]# the images with their labels; `{tool} tail` follows[/]", soft_wrap=True)
    out(f"  {tool} show cat-chelsea.png")
    out(
        f'  eval "$({tool} env)"  [dim]# then aws, boto3 and every SDK talk to this environment[/]',
        soft_wrap=True,
    )


@click.command("down")
def down_command() -> None:
    """Stop everything. Photographs, tags and keys stay for the next `up`."""
    environment = _environment()
    with steps() as report:
        report("stopping")
        ran = environment.down()
    click.echo("Darkroom is down; `make up` brings it back as it was." if ran else "Nothing was running.")


@click.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset_command(yes: bool) -> None:
    """Stop, and delete all state: keys, objects, tables, queue, logs. The inbox stays."""
    environment = _environment()
    home = environment.settings.home
    if not home.exists():
        click.echo(f"{home} is not there: nothing to delete.")
        return
    if not yes:
        click.confirm(f"Delete {home} with all tags, objects and keys? The inbox stays.", abort=True)
    environment.reset()
    click.echo(f"{home} is deleted; `make up` begins anew.")


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@env_option
def status_command(as_json: bool, env_name: str) -> None:
    """Show what runs, and how it does. Exits with 3 when the environment is not up."""
    from darkroom.errors import NotRunningError

    if env_name:
        _print_elsewhere(env_name, as_json=as_json)
        return
    environment = _environment()
    status = environment.status()
    if as_json:
        console.print_json(status.as_json())
    else:
        _print_status(environment, status)
    if not status.running:
        if as_json:
            raise click.exceptions.Exit(NotRunningError.exit_code)
        raise NotRunningError("The environment is not up.", hint="Start it with `make up`.")


def _print_elsewhere(env_name: str, *, as_json: bool) -> None:
    from darkroom.operations.promotion.health import health_of

    health = health_of(deployed_promotion(env_name))
    if as_json:
        console.print_json(health.as_json())
        return
    for name, line in health.lines():
        console.stdout.print(f"  {name:<12}{line}", markup=False, soft_wrap=True)
    for line in health.troubles:
        console.stdout.print("  [red]trouble[/]     " + console.printable(line), soft_wrap=True)


def _print_status(environment: Environment, status: Status) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not status.running:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("part", "state", "pid", "up", "crashes", "memory"):
        table.add_column(column, justify="left" if column in {"part", "state"} else "right")
    for part in status.parts:
        style = "green" if part.runs else "red"
        table.add_row(
            part.name,
            f"[{style}]{part.state.lower()}[/]",
            str(part.pid or ""),
            f"{part.uptime_s} s",
            str(part.crashes) if part.crashes else "",
            f"{part.memory_mb:.0f} MB",
        )
    out = console.stdout.print
    out(table)
    out()
    out(f"  endpoint  {status.endpoint}")
    out(f"  folder    {environment.settings.inbox}: {_sync_line(status.sync)}", soft_wrap=True)
    out(f"  queue     {_queue_line(status.runtime)}", soft_wrap=True)
    for line in mode_lines(status.rekognition) if status.rekognition else ():
        out(f"  {line}", soft_wrap=True, markup=False)
    for name, path in status.left_out:
        out(f"  left out  {console.printable(name)}: {path}", soft_wrap=True, markup=False)
    for line in status.troubles:
        out("  [red]trouble[/]   " + escape(console.printable(line)), soft_wrap=True)


def _sync_line(sync: dict[str, Any]) -> str:
    if not sync:
        return "the sync has not said anything yet"
    return f"{sync['state']}; {sync['uploaded']} uploaded, {sync['waiting']} waiting, {sync['failed']} failed"


def _queue_line(runtime: dict[str, Any]) -> str:
    queue = runtime.get("queue")
    if note := runtime.get("note"):
        return str(note)
    if not queue:
        return "the runtime does not answer"
    line = f"{queue['waiting']} waiting, {queue['running']} running, {queue['succeeded']} done"
    if queue["retrying"]:
        line += f", {queue['retrying']} to be tried again"
    if queue["givenUp"]:
        line += f", {queue['givenUp']} given up (they are in the dead-letter queue)"
    return line


@click.command("env")
@click.option("--json", "as_json", is_flag=True, help="Print the variables as JSON.")
@click.option(
    "--write-profile",
    metavar="NAME",
    help="Write the keys and the endpoint as a profile into your own AWS files (~/.aws), after asking.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def env_command(as_json: bool, write_profile: str | None, yes: bool) -> None:
    """Print what points an AWS SDK to this environment: eval "$(darkroom env)"."""
    import shlex

    environment = _environment()
    variables = environment.variables()
    if write_profile:
        _write_profile(environment, write_profile, yes=yes)
    elif as_json:
        console.print_json(variables)
    else:
        for name, value in sorted(variables.items()):
            click.echo(f"export {name}={shlex.quote(value)}")


def _write_profile(environment: Environment, name: str, *, yes: bool) -> None:
    from darkroom.operations.profile import write_profile

    if not yes:
        click.confirm(f"Write profile [{name}] to ~/.aws/config and ~/.aws/credentials?", abort=True)
    for path in write_profile(environment, name):
        click.echo(f"Wrote profile {name} to {path}")


@click.command("logs")
@click.argument("names", nargs=-1, metavar="[PART|FUNCTION]...")
@click.option("-n", "--lines", default=20, show_default=True, help="How many lines of each.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
def logs_command(names: tuple[str, ...], lines: int, follow: bool) -> None:
    """Show the last log lines: parts (as `status` names them) and functions (tagger)."""
    from darkroom.operations.logs import follow_logs, last_lines

    environment = _environment()
    for line in last_lines(environment, names, lines):
        click.echo(line)
    if follow:
        for line in follow_logs(environment, names):
            click.echo(line)
