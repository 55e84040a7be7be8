"""``python -m darkroom.stack.libraries``: installs the functions' libraries beforehand, for an image without network.

Imports nothing but `package`, so that it runs before anything else of this project is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from darkroom.stack.package import Architecture, Dependencies, install, run_pip


def main() -> None:
    """Install; a failure of pip ends it."""
    parser = argparse.ArgumentParser(prog="python -m darkroom.stack.libraries")
    parser.add_argument("--requirements", type=Path, required=True, help="locked requirements file")
    parser.add_argument("--python", required=True, help="version of the functions' runtime, such as 3.13")
    parser.add_argument(
        "--into", type=Path, required=True, help="folder; one folder per content is made in it"
    )
    options = parser.parse_args()
    wanted = Dependencies(options.requirements, Architecture.X86_64, options.python, options.into)
    print(install(wanted, run=run_pip))  # noqa: T201 - for the log of the build


if __name__ == "__main__":
    main()
