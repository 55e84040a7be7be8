"""Commands for the people who may sign in to the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darkroom.cli import console

if TYPE_CHECKING:
    from darkroom.operations.users import People


@click.group("user")
def user_command() -> None:
    """Say who may sign in to the page: there is a sign-in where the stack was deployed with SignIn=on."""


@user_command.command("add")
@click.argument("email")
@click.option("--password", help="Their password; without it one is made and printed once.")
@click.option("--invite", is_flag=True, help="Have Cognito send them an e-mail instead (on AWS).")
def add(email: str, password: str | None, invite: bool) -> None:
    """Add somebody who signs in with EMAIL."""
    people = _people()
    if invite:
        people.invite(email)
        click.echo(f"{email} gets an e-mail with a first password.")
        return
    made = people.add(email, password=password)
    click.echo(f"{email} may sign in.")
    if password is None:
        click.echo(f"Password (it is shown only here): {made}")


@user_command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def ls(as_json: bool) -> None:
    """List everybody who may sign in."""
    people = _people().all()
    if as_json:
        console.print_json([{"email": each.email, "status": each.status} for each in people])
        return
    for person in people:
        click.echo(f"{console.printable(person.email)}  {person.status}")
    if not people:
        click.echo("Nobody yet: `darkroom user add EMAIL`.", err=True)


@user_command.command("remove")
@click.argument("email")
def remove(email: str) -> None:
    """Remove somebody."""
    _people().remove(email)
    click.echo(f"{email} is removed.")


def _people() -> People:
    from darkroom.operations.environment import Environment
    from darkroom.operations.users import People
    from darkroom.settings import load

    environment = Environment(load())
    environment.require_running()
    return People(environment.session(), pool=environment.user_pool())
