"""The pipeline's own modules, from the project's `lambda/`, where a recovery writes what the functions would have.

They are loaded when they are needed: what a record's item and postings look like is then said in one place, and
commands that need none of it do not load them.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from darkroom.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

_NEEDED = ("pipeline.postings", "pipeline.records", "pipeline.transactions", "pipeline.counting")


def use(project: Path) -> None:
    """Make `import pipeline…` work.

    Args:
        project: folder that holds `lambda/`.

    Raises:
        EngineError: the code cannot be loaded.
    """
    folder = str(project / "lambda")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        for name in _NEEDED:
            importlib.import_module(name)
    except Exception as error:
        raise EngineError(
            f"Records cannot be rebuilt, because {folder} does not load: {type(error).__name__}: {error}",
            hint="Mend the code and run `make up` again; nothing is lost meanwhile.",
        ) from error
