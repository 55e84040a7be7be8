"""Objects that a power loss cut short, found before the engine believes in them.

ministack writes an object and, beside it, what it says of it (``<file>.meta.json``: ETag, size); it does not wait for
the disk. So after a power loss a file may be shorter than its description, and S3 would tell the ETag of bytes that are
not there. Such a file is put aside: the sync sees that it is missing and uploads it again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DESCRIPTION = ".meta.json"


def put_aside(objects: Path, into: Path) -> list[str]:
    """Move every object away whose length is not the one that it should have.

    Args:
        objects: the engine's folder of objects.
        into: where they go, under their paths; nothing is deleted.

    Returns:
        Their paths below `objects`.
    """
    broken = sorted(_broken(objects))
    for name in broken:
        for each in (name, name + _DESCRIPTION):
            target = into / each
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (objects / each).replace(target)
    return broken


def _broken(objects: Path) -> Iterator[str]:
    for folder, _, names in os.walk(objects):
        present = set(names)
        for name in names:
            if name + _DESCRIPTION in present:
                path = Path(folder, name)
                size = _described_size(path.with_name(name + _DESCRIPTION))
                if size is not None and size != path.stat().st_size:
                    yield str(path.relative_to(objects))


def _described_size(description: Path) -> int | None:
    """What the description says; None where it says nothing, or is of a delete marker: the engine then looks itself."""
    try:
        found = json.loads(description.read_bytes())
    except (OSError, ValueError):
        return None
    size = found.get("size") if isinstance(found, dict) and not found.get("is_delete_marker") else None
    return size if isinstance(size, int) else None
