"""Telling what happens: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from darkroom.cli import console

if TYPE_CHECKING:
    from darkroom.operations.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A function to report steps with; the spinner ends with the block."""
    if not console.is_terminal():
        yield lambda line: console.stderr.print(f"  {line}", markup=False, soft_wrap=True)
        return
    with console.stderr.status("working") as spinner:
        yield lambda line: spinner.update(console.printable(line))


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal, nothing elsewhere: the function is told (done, of about how many, if known)."""
    if not console.is_terminal():
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console.stderr, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show_uploads(environment: Environment) -> None:
    """A bar while a full folder is uploaded for the first time; Ctrl-C leaves that to the background."""
    from darkroom.operations.first_sync import many_files, uploads

    if not console.is_terminal() or not many_files(environment):
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("uploading the folder"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console.stderr, transient=True) as progress:
            task = progress.add_task("upload")
            for upload in uploads(environment):
                progress.update(task, completed=upload.done, total=upload.total)
    except KeyboardInterrupt:
        console.stderr.print("The rest is uploaded in the background; `darkroom status` tells how far it is.")
