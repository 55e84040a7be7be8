#!/usr/bin/env python3
"""Draw docs/images/terminal.svg: what the first commands print, run for real in an environment of its own.

.venv/bin/python scripts/terminal_picture.py
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    ("make up", ("up",)),
    ("cp fixtures/images/*.* inbox/", None),
    ("darkroom ls", ("ls",)),
    ("darkroom show cat-chelsea.png", ("show", "cat-chelsea.png")),
)


def main() -> None:
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123 (recorded only)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        inbox = Path(folder) / "inbox"
        environment = {
            **os.environ,
            "DARKROOM_HOME": f"{folder}/.darkroom",
            "DARKROOM_INBOX": str(inbox),
            "DARKROOM_PORT": port,
            "COLUMNS": "100",
            "FORCE_COLOR": "1",
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        }
        for shown, arguments in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (shown, "bold")))
            if arguments is None:
                for photograph in (ROOT / "fixtures" / "images").glob("*.*"):
                    shutil.copy(photograph, inbox)
                continue
            done = subprocess.run(
                ["darkroom", *arguments], env=environment, capture_output=True, text=True, check=True
            )
            said = done.stdout.replace(folder, "~/photos").replace(f":{port}", ":4566")
            console.print(Text.from_ansi(said.rstrip()), soft_wrap=True)
            console.print()
        subprocess.run(["darkroom", "down"], env=environment, capture_output=True, check=True)
    plain = re.sub(
        r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL
    )  # no font from elsewhere
    console.save_svg(str(ROOT / "docs" / "images" / "terminal.svg"), title="Darkroom", code_format=plain)


if __name__ == "__main__":
    main()
