"""Commands that run a function by hand."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from darkroom.cli import console
from darkroom.cli.running import running_environment

if TYPE_CHECKING:
    from darkroom.operations.environment import Environment
    from darkroom.operations.invoke import Invoked

_UNPACKED = re.compile(r"(?:[^\s\"]*/runtime/code/[0-9a-f]{64}|/var/task)/")
_EVENT = click.option("--event", metavar="FILE", help="A JSON file with the event; - reads standard input.")
_IMAGE = click.option(
    "--image",
    metavar="FILE|KEY",
    help="The event that S3 sends for this image; a new file is uploaded first.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print result and log as JSON.")


@click.command("invoke")
@click.argument("function")
@_EVENT
@_IMAGE
@click.option("--qualifier", default="", help="A version or an alias; without it, the newest code.")
@_JSON
def invoke_command(
    function: str, event: str | None, image: str | None, qualifier: str, as_json: bool
) -> None:
    """Run a function once, and print its result and log. Exits with 7 when the function fails.

    FUNCTION is named as in the template (tagger) or in full. Without an event it gets {}.
    """
    from darkroom.operations.invoke import invoke

    environment = running_environment()
    document = _event(environment, event, image)
    _show(function, invoke(environment, function, document, qualifier=qualifier), as_json=as_json)


@click.command("debug")
@click.argument("function")
@click.option(
    "--port", default=5678, show_default=True, type=click.IntRange(1, 65535), help="For the debugger."
)
@_EVENT
@_IMAGE
@_JSON
def debug_command(function: str, port: int, event: str | None, image: str | None, as_json: bool) -> None:
    """Run a function once, under a debugger: it waits until one attaches to 127.0.0.1:PORT.

    The code in the folder runs, with the function's environment and the rights of its role, and without a time-out.
    Whoever may use this machine's loopback may attach while it waits.
    """
    from darkroom.operations import debug

    environment = running_environment()
    document = _event(environment, event, image)
    session = debug.prepare(environment, function, port=port)
    tell = console.stderr.print
    tell(f"[bold]{session.config.name}[/] waits for a debugger on 127.0.0.1:{port}; Ctrl-C ends")
    tell("VS Code: add this to the configurations in .vscode/launch.json, set a breakpoint, press F5:")
    tell(json.dumps(session.launch, indent=2), markup=False)
    tell(f"Other editors: attach with the Debug Adapter Protocol to 127.0.0.1:{port}.")
    _show(function, debug.run(session, document), as_json=as_json)


def _event(environment: Environment, event: str | None, image: str | None) -> Any:
    from darkroom.errors import UsageError
    from darkroom.operations.invoke import image_event, read_event

    if event is not None and image is not None:
        raise UsageError("--event and --image exclude each other.", hint="Give one of them.")
    if image is not None:
        return image_event(environment, image, lambda line: click.echo(line, err=True))
    return {} if event is None else read_event(event)


def _show(function: str, invoked: Invoked, *, as_json: bool) -> None:
    """The result on standard output, the log on standard error; a failure ends the command."""
    from darkroom.errors import FunctionFailedError

    if as_json:
        console.print_json(invoked.as_json())
    else:
        for line in invoked.log.splitlines():
            click.echo(click.style(_readable(line), dim=True), err=True)
        if not invoked.failed:
            console.print_json(invoked.result)
    if invoked.failed:
        raise FunctionFailedError(f"{function} failed: {invoked.error}", hint=_readable(invoked.stack_trace))


def _readable(text: str) -> str:
    """Text of a function for a terminal, with its code where the user has it and not where a package was unpacked."""
    plain = _UNPACKED.sub("lambda/", text.expandtabs(2).replace("\xa0", " "))
    return "\n".join(console.printable(line) for line in plain.splitlines())
