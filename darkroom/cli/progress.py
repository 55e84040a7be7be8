"""Telling what happens: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from darkroom.cli import console

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
