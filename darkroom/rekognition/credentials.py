"""Real AWS credentials: the developer's own chain, resolved by botocore, and kept apart from local keys.

They are held in memory only. What is made here shows no secret in its `repr`, and nothing here logs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import RekognitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.session import Session

_AWS_KEY = re.compile(r"(AKIA|ASIA)[A-Z0-9]{12,124}")
"""AWS's access keys: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""


class CredentialsError(RekognitionError):
    """There are no credentials with which real AWS may be asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials at one moment.

    Attributes:
        access_key_id: begins with AKIA (a user's) or ASIA (a session's).
        secret_access_key: secret.
        token: the session token; secret; None for a user's keys.
        expires: when they end; None where they do not, or nobody tells.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None

    def document(self) -> dict[str, Any]:
        """As JSON has it, for the control of a running service; secret."""
        return {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "token": self.token,
            "expires": self.expires.isoformat() if self.expires else None,
        }


def read_keys(document: Mapping[str, Any]) -> Keys:
    """Keys as JSON has them.

    Raises:
        CredentialsError: something is missing or malformed; the message repeats no value.
    """
    try:
        expires = document.get("expires")
        return Keys(
            access_key_id=str(document["access_key_id"]),
            secret_access_key=str(document["secret_access_key"]),
            token=str(document["token"]) if document.get("token") else None,
            expires=datetime.fromisoformat(expires) if expires else None,
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise CredentialsError(
            "The credentials need access_key_id and secret_access_key, and may have token and expires."
        ) from None


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach real AWS.

    Attributes:
        keys: called before each use, because credentials may renew themselves.
        region: the one that the developer's configuration names; None where it names none.
        proxies: HTTP proxies by scheme, as the developer's environment names them.
        ca_bundle: certificates to trust, as the developer's environment names them.
    """

    keys: Callable[[], Keys]
    region: str | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None


def _now() -> datetime:
    return datetime.now(UTC)


def given_access(
    keys: Keys,
    *,
    proxies: Mapping[str, str] | None = None,
    ca_bundle: str | None = None,
    now: Callable[[], datetime] = _now,
) -> Access:
    """Access with keys that somebody resolved before: they do not renew themselves."""

    def current() -> Keys:
        if keys.expires is not None and keys.expires <= now():
            raise CredentialsError(
                f"The AWS credentials expired at {keys.expires:%H:%M:%S} UTC. "
                "Switch the mode again with fresh ones: darkroom rekognition mode."
            )
        return keys

    return Access(current, proxies=dict(proxies or {}), ca_bundle=ca_bundle)


def own_access(*, profile: str | None, local_home: Path | None = None) -> Access:
    """Access with the developer's own credential chain: environment, profiles, SSO, roles, instance.

    Args:
        profile: a profile of the developer's AWS files; None takes the chain's own choice.
        local_home: state folder of a local environment: variables that point a shell into it (`darkroom env`) are
            seen through, because its keys are not AWS's.

    Raises:
        CredentialsError: there are none, or the profile is not there.
    """
    from botocore.exceptions import BotoCoreError

    try:
        session = _session(profile, local_home)
        credentials = session.get_credentials()
        region = session.get_config_variable("region")
        bundle = session.get_config_variable("ca_bundle")
    except (BotoCoreError, ValueError) as error:
        raise CredentialsError(f"The AWS credentials cannot be had: {error}") from None
    if credentials is None:
        raise CredentialsError(
            "No AWS credentials were found. Sign in (aws sso login, aws configure), or name a profile with "
            "--aws-profile."
        )

    def current() -> Keys:
        try:
            frozen = credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise CredentialsError(f"The AWS credentials cannot be renewed: {error}") from None
        if not frozen.access_key or not frozen.secret_key:
            raise CredentialsError("The AWS credentials are incomplete: key or secret is missing.")
        # the only place where botocore tells the end of what renews itself
        expires = getattr(credentials, "_expiry_time", None)
        return Keys(frozen.access_key, frozen.secret_key, frozen.token or None, expires)

    current()
    return Access(current, region=region, proxies=_proxies(), ca_bundle=bundle)


def _session(profile: str | None, local_home: Path | None) -> Session:
    from botocore.session import Session

    pointed = [name for name in _FILES if local_home and _lies_in(os.environ.get(name), local_home)]
    if not pointed:
        return Session(profile=profile)
    # the variables of `darkroom env`: their profile and region are the local environment's
    without_shell = {"profile": (None, None, None, None), "region": ("region", None, None, None)}
    session = Session(profile=profile, session_vars=without_shell)
    for name in pointed:
        variable, default = _FILES[name]
        session.set_config_variable(variable, str(Path(default).expanduser()))
    return session


_FILES = {
    "AWS_CONFIG_FILE": ("config_file", "~/.aws/config"),
    "AWS_SHARED_CREDENTIALS_FILE": ("credentials_file", "~/.aws/credentials"),
}


def _lies_in(path: str | None, folder: Path) -> bool:
    return bool(path) and Path(path or "").expanduser().absolute().is_relative_to(folder.absolute())


def _proxies() -> dict[str, str]:
    import urllib.request

    if urllib.request.proxy_bypass("rekognition.amazonaws.com"):
        return {}
    return {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme in ("http", "https")}


def check_is_aws_key(access_key_id: str, is_local: Callable[[str], bool]) -> None:
    """Refuse what is not a key of AWS.

    Args:
        access_key_id: about to be used for real AWS.
        is_local: whether a local environment made it.

    Raises:
        CredentialsError: it is a local key, or no key of AWS at all.
    """
    if is_local(access_key_id):
        raise CredentialsError(
            "These are the keys of the local environment; they are never sent to AWS. Use a shell without "
            '`eval "$(darkroom env)"`, or name a profile of your own with --aws-profile.'
        )
    if not _AWS_KEY.fullmatch(access_key_id):
        raise CredentialsError(
            "This access key is none of AWS's, which begin with AKIA or ASIA: it looks like an emulator's and is "
            "not sent to AWS. Name a profile of your own with --aws-profile."
        )


def no_local_keys(_access_key_id: str) -> bool:
    """For a service without a local environment."""
    return False
