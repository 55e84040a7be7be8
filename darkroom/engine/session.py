"""A boto3 session that reaches one local engine and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    def __init__(
        self,
        *,
        endpoint: str,
        region: str,
        access_key_id: str,
        secret_access_key: str,
        services: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            endpoint: where every service answers but those in `services`.
            region: of the session.
            access_key_id: of a user of that engine.
            secret_access_key: of the same.
            services: service name -> endpoint of its own.
        """
        super().__init__(
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            region_name=region,
            botocore_session=_bare_session(),
        )
        self._endpoint = endpoint
        self._services = dict(services or {})

    def client(self, *args: Any, **options: Any) -> Any:
        service = args[0] if args else options.get("service_name")
        config: Config = options.pop("config", None) or Config()
        endpoint = self._services.get(str(service), self._endpoint)
        return super().client(*args, **{"endpoint_url": endpoint, **options, "config": _LOCAL.merge(config)})


def _bare_session() -> botocore.session.Session:
    """A botocore session that reads none of the user's files: a broken or foreign profile cannot disturb it."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    session.set_config_variable("config_file", "/nonexistent")
    session.set_config_variable("credentials_file", "/nonexistent")
    return session
