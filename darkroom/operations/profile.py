"""Writing a profile for this environment into the user's own AWS files, when they ask for it."""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.engine.keys import Keys, write_private
from darkroom.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from darkroom.operations.environment import Environment

_MARK = "darkroom_environment"
"""Written into each profile of ours, so that no other is ever replaced."""


def write_profile(environment: Environment, name: str) -> list[Path]:
    """Write or renew a profile in the config and credentials files that AWS SDKs read.

    Returns:
        The files written.

    Raises:
        UsageError: a profile of that name is there and is not ours.
    """
    keys = Keys.read(environment.layout.instance)
    if keys is None:
        raise NotRunningError("This environment has no keys yet.", hint="Run `make up` first.")
    config = Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser()
    credentials = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()
    _set(
        config,
        "default" if name == "default" else f"profile {name}",
        {
            "region": environment.settings.region,
            "endpoint_url": environment.engine.endpoint,
            _MARK: str(environment.settings.home),
        },
    )
    _set(
        credentials,
        name,
        {
            "aws_access_key_id": keys.access_key_id,
            "aws_secret_access_key": keys.secret_access_key,
            _MARK: str(environment.settings.home),
        },
    )
    return [config, credentials]


def _set(path: Path, section: str, values: dict[str, str]) -> None:
    parser = configparser.RawConfigParser()
    text = path.read_text() if path.exists() else ""
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise UsageError(f"{path} cannot be read as an AWS file: {error}.", hint="Mend it first.") from None
    if parser.has_section(section):
        if not parser.has_option(section, _MARK):
            raise UsageError(
                f"{path} has a [{section}] that Darkroom did not write.",
                hint="Choose another name for the profile.",
            )
        text = _without(text, section)
    lines = [f"[{section}]", *(f"{name} = {value}" for name, value in values.items()), ""]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    separator = "" if not text or text.endswith("\n") else "\n"
    write_private(path, text + separator + "\n".join(lines))


def _without(text: str, section: str) -> str:
    """The file without one section; everything else, comments too, stays to the letter."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            inside = line.strip() == f"[{section}]"
        if not inside:
            kept.append(line)
    return "".join(kept)
