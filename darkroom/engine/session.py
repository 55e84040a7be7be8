"""A boto3 session that reaches one local engine and nothing else."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore.config import Config

_LOCAL = Config(
    proxies={},  # a proxy of the shell is not for loopback
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 5},
)


class LocalSession(boto3.Session):
    """Every client of it goes to the given endpoint, whatever the user's shell and files say.

    An endpoint that is given to a client outranks ``AWS_ENDPOINT_URL_<SERVICE>`` and every configuration file, and
    credentials that are given to a session outrank profiles: so local keys never reach AWS, nor real ones us.
    """

    def __init__(self, *, endpoint: str, region: str, access_key_id: str, secret_access_key: str) -> None:
        super().__init__(
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            region_name=region,
            botocore_session=_bare_session(),
        )
        self._endpoint = endpoint

    def client(self, *args: Any, **options: Any) -> Any:
        config: Config = options.pop("config", None) or Config()
        return super().client(
            *args, **{"endpoint_url": self._endpoint, **options, "config": _LOCAL.merge(config)}
        )


def _bare_session() -> botocore.session.Session:
    """A botocore session that reads none of the user's files: a broken or foreign profile cannot disturb it."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    session.set_config_variable("config_file", "/nonexistent")
    session.set_config_variable("credentials_file", "/nonexistent")
    return session
