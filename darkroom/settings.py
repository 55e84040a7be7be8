"""What a user can set, from the environment, validated once.

Every setting is an environment variable ``DARKROOM_<NAME>``; the Makefile passes its own variables on under
these names. Paths are taken relative to the folder the command runs in; defaults lie in the project.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from darkroom.errors import UsageError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the environment belongs to a project, not to the machine."""


_PAGE_OFFSET = 100
_LAST_PORT = 65535


class EngineName(StrEnum):
    """Where the emulated AWS runs."""

    EMBEDDED = "embedded"
    """ministack behind our gateway, in processes on this machine."""
    LOCALSTACK = "localstack"
    """LocalStack in containers, by Docker Compose."""
    AUTO = "auto"
    """LocalStack where a Docker Engine answers and the images can be had, embedded otherwise."""


class Settings(BaseSettings):
    """The settings of one local environment."""

    model_config = SettingsConfigDict(env_prefix="DARKROOM_", frozen=True, extra="ignore")

    engine: EngineName = EngineName.EMBEDDED
    port: Annotated[int, Field(ge=1, le=65535)] = 4566
    """TCP port of the AWS endpoint on 127.0.0.1."""
    rekognition_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port of Rekognition on 127.0.0.1 with LocalStack, which has none itself; by default the one after `port`."""
    page_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port of the page on 127.0.0.1; by default 100 above the endpoint's (see `page`)."""
    home: Path = PROJECT_ROOT / ".darkroom"
    """State folder: keys, objects, tables, queue, logs."""
    inbox: Path = PROJECT_ROOT / "inbox"
    """The folder whose files reach ``uploads/``."""
    project: Path = PROJECT_ROOT
    """Where template.yaml, lambda/ and fixtures/ lie."""
    stack: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,29}$")] = "darkroom"
    """Name of the CloudFormation stack; bucket and function names begin with it."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    account: Annotated[str, Field(pattern=r"^\d{12}$")] = "000000000000"
    """Account id of the environment; another than every emulator's where the engine stands in for AWS."""
    workers: Annotated[int, Field(ge=1, le=64)] = 4
    """How many function workers may run at once, over all functions."""
    functions_python: Path | None = None
    """Interpreter of the functions; by default the one that matches the template's Runtime, if there is one."""
    rekognition: str | None = None
    """Mode of the local Rekognition after `up`; by default stub at a start, and as it is where it runs."""
    aws_endpoint_url: str | None = None
    """Where real AWS is asked, instead of the region's own address: for tests."""
    budget: str | None = None
    """Dollars that may be spent at AWS in a calendar month, or none."""
    ledger: Path | None = None
    """Where money spent at AWS is written down; by default one file per user, whatever the project."""
    mirror: bool = False
    """Delete from ``uploads/`` what is deleted from the folder (only what the sync uploaded itself)."""

    @property
    def rekognition_port_or_next(self) -> int:
        """Where Rekognition answers beside LocalStack."""
        return self.rekognition_port or self.port + 1

    @property
    def page(self) -> int:
        """The page's port."""
        if self.page_port is not None:
            return self.page_port
        return (
            self.port + _PAGE_OFFSET if self.port + _PAGE_OFFSET <= _LAST_PORT else self.port - _PAGE_OFFSET
        )

    @property
    def page_origin(self) -> str:
        """The one origin of page and API."""
        return f"http://127.0.0.1:{self.page}"

    @field_validator("rekognition")
    @classmethod
    def _is_a_mode(cls, value: str | None) -> str | None:
        from darkroom.rekognition.modes import Mode

        known = [mode.value for mode in Mode]
        if value is not None and value not in known:
            msg = f"must be one of {', '.join(known)}"
            raise ValueError(msg)
        return value

    @field_validator("budget")
    @classmethod
    def _is_a_budget(cls, value: str | None) -> str | None:
        from darkroom.rekognition.modes import budget_of

        if value is not None:
            budget_of(value)
        return value

    def absolute(self) -> Settings:
        """The same settings with every path absolute, so that they hold in another working folder."""
        named = {name: getattr(self, name) for name in ("home", "inbox", "project", "ledger")}
        paths = {name: Path(path).expanduser().absolute() for name, path in named.items() if path is not None}
        return self.model_copy(update=paths)


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        UsageError: a variable has a value that cannot be used; it is named with what is allowed.
    """
    try:
        return Settings().absolute()
    except ValidationError as error:
        first = error.errors()[0]
        name = "DARKROOM_" + str(first["loc"][0]).upper()
        raise UsageError(
            f"{name}={os.environ.get(name, '')!r} cannot be used: {first['msg']}.",
            hint=f"Set {name} to a value that fits, or unset it for the default.",
        ) from None
