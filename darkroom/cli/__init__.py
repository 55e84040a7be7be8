"""The command line: thin commands over `darkroom.operations`.

Exit codes: 0 done; 1 a bug of ours (with its traceback); 2 and above a user's error, see `darkroom.errors`.
Nothing heavy is imported before a command needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import click

from darkroom.errors import DarkroomError, EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("environment", "Start everything and deploy the stack."),
    "down": ("environment", "Stop everything; photographs, tags and keys stay."),
    "status": ("environment", "Show what runs, and how it does."),
    "env": ("environment", "Print the variables that point an AWS SDK here."),
    "reset": ("environment", "Stop, and delete all state; the inbox stays."),
    "logs": ("environment", "Show the logs of parts and functions."),
    "open": ("page", "Open the page in the browser."),
    "user": ("user", "Say who may sign in to the page."),
    "ls": ("records", "List the images with their labels."),
    "show": ("records", "Show one image's record."),
    "tail": ("records", "Follow images as they are tagged."),
    "stats": ("figures", "Show durations, memory and success from the logs."),
    "alerts": ("alerts", "Show what the alert rules were told of."),
    "failed": ("failed", "List what Lambda gave up, and why."),
    "redrive": ("failed", "Send what Lambda gave up back to it."),
    "rescan": ("rescan", "Tag what has no current record."),
    "invoke": ("functions", "Run a function once, and print its result and log."),
    "debug": ("functions", "Run a function once, under a debugger."),
    "plan": ("promotion", "Show what a deployment would change on AWS."),
    "deploy": ("promotion", "Deploy to AWS, prove it, and go back if that fails."),
    "rollback": ("promotion", "Deploy an earlier release again."),
    "deployments": ("promotion", "List what was deployed."),
    "iam": ("iam", "Print who may do what on AWS, and the deployer's policy."),
    "sync": ("folder", "Upload a folder to a deployed environment, once."),
    "drift": ("upkeep", "Show what was changed past CloudFormation."),
    "destroy": ("upkeep", "Delete the stack on AWS; images and records stay."),
    "stand-in": ("upkeep", "An engine that stands in for AWS, for a rehearsal."),
    "record": ("record", "Ask real AWS about pictures, and keep the answers."),
    "rekognition": ("rekognition", "Decide what is in a picture; modes, recordings, faults."),
}
"""Command -> module of this package that defines it, and its line in the overview."""


class _Lazy(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click gives it)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"darkroom.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="darkroom")
def cli() -> None:
    """Darkroom: develop and test image tagging on AWS, on this machine.

    Drop photographs into inbox/; the Lambda code that AWS will run tags them here.
    """


def main() -> None:
    """Entry point: a user's error is a sentence, never a traceback."""
    try:
        # click hands back the code of an Exit; a command's own result is None
        sys.exit(cli(standalone_mode=False))
    except DarkroomError as error:
        _complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # the reader of a pipe has gone (`darkroom ls | head`): nothing to complain about
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        # botocore is loaded only where a command used it
        if type(error).__module__.partition(".")[0] not in {"botocore", "boto3"}:
            raise
        _complain(f"The environment does not answer as it should: {error}", "See `darkroom status`.")
        sys.exit(EngineError.exit_code)


def _complain(message: str, hint: str) -> None:
    click.echo(click.style("Error: ", fg="red", bold=True) + message, err=True)
    if hint:
        click.echo(hint, err=True)
