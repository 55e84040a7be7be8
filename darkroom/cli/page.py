"""Commands around the page."""

from __future__ import annotations

import click

from darkroom.cli.running import deployed_promotion, env_option
from darkroom.errors import NotFoundError


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
@env_option
def open_command(only_print: bool, env_name: str) -> None:
    """Open the page of the running environment in the browser.

    Where there is no browser, its address is printed.
    """
    import webbrowser

    from darkroom.operations.environment import Environment
    from darkroom.settings import load

    if env_name:
        address = deployed_promotion(env_name).page_url()
    else:
        environment = Environment(load())
        environment.require_running()
        address = environment.page()
    if not address:
        raise NotFoundError("This stack has no page.", hint="The template has no output ApiId.")
    click.echo(address)
    if not only_print:
        webbrowser.open(address)
