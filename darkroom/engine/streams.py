"""Streams of tables over a restart of the engine.

ministack saves how far an event source mapping has read a table's stream, but not the stream, which begins anew at
0: the first changes after a restart would be taken for read. So the places are taken out of its state before it starts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from darkroom.engine.keys import write_private

if TYPE_CHECKING:
    from pathlib import Path

_STATE = "lambda.json"
_PLACES = "dynamodb_stream_positions"


def forget_places(state: Path) -> None:
    """Take the places of readers out of the engine's state; it does not run meanwhile.

    Args:
        state: ministack's folder.
    """
    path = state / _STATE
    try:
        saved = json.loads(path.read_text())
    except FileNotFoundError:
        return
    except ValueError:
        return  # half-written by a crash: the engine begins without it, and so without places
    content = saved.get("payload") if isinstance(saved, dict) else None
    if isinstance(content, dict) and content.pop(_PLACES, None):
        write_private(path, json.dumps(saved))
