"""Who may speak to what: sessions for a promotion, and why some are refused.

Real credentials go to AWS and nowhere else; a local environment's keys go to it and nowhere else. The endpoint
variables that `darkroom env` prints would turn a promotion round to a local engine, so they are refused, and a client
for AWS ignores every configured endpoint besides.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config

from darkroom.engine.keys import Keys
from darkroom.engine.session import LocalSession
from darkroom.errors import DeployError, NotRunningError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from darkroom.stack.environments import AwsTarget, Environment, StandIn

_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"
_AWS_HOST = re.compile(r"(^|\.)(amazonaws\.com(\.cn)?|api\.aws)$")
_EMULATORS_KEY = re.compile(r"test|\d{12}|ROOT[0-9a-f]{48}")
ATTEMPTS = 10
"""How often a throttled or failed call is made, with growing pauses."""
_RETRIES = Config(
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    user_agent_extra="darkroom-promotion",
)
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "AuthFailure"}
)
_UNKNOWN_KEY = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"})
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
_THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
)


class AwsSession(boto3.Session):
    """A session whose clients speak to AWS only, whatever endpoint a shell or a file names."""

    def __init__(self, *, profile: str | None, region: str) -> None:
        super().__init__(profile_name=profile, region_name=region)
        self._session.set_config_variable("ignore_configured_endpoint_urls", True)

    def client(self, *args: Any, **options: Any) -> Any:
        config: Config = options.pop("config", None) or Config()
        client = super().client(*args, **{**options, "config": _RETRIES.merge(config)})
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        if not _AWS_HOST.search(host):
            raise UsageError(f"{args[0]} would be asked at {host}, which is not AWS. Nothing was sent.")
        return client


def target_of(environment: Environment) -> AwsTarget:
    """The account and region of an environment.

    Raises:
        UsageError: the environment is for local engines.
    """
    if environment.aws is None:
        raise UsageError(
            f"environments/{environment.name}.toml names no account: it is for local engines.",
            hint="Copy environments/prod.toml.example, and put your account id and region under [aws].",
        )
    return environment.aws


def open_session(
    environment: Environment, *, local_home: Path, variables: Mapping[str, str] = os.environ
) -> boto3.Session:
    """A session for the account of an environment, or for the engine that stands in for it.

    Args:
        environment: the environment.
        local_home: state folder of the developer's own local environment, whose keys must not leave.
        variables: of the shell.

    Raises:
        UsageError: the shell or the profile points to a local engine, or holds a local environment's keys.
        NotRunningError: the stand-in has never run.
    """
    target = target_of(environment)
    if environment.stand_in is not None:
        return _stand_in_session(environment.stand_in, target.region)
    _refuse_endpoints(variables)
    _refuse_local_files(variables)
    with explained():
        session = AwsSession(profile=target.profile, region=target.region)
        configured: dict[str, Any] = session._session.get_scoped_config()
        credentials = session.get_credentials()
    if "endpoint_url" in configured or "services" in configured:
        raise UsageError(
            f"The profile {target.profile or 'default'} names an endpoint of its own, so it is not for AWS.",
            hint="Name another under aws.profile of the environment file.",
        )
    if credentials is None:
        raise UsageError(
            "There are no AWS credentials.",
            hint="Sign in (`aws sso login` or `aws configure`), or name a profile under aws.profile.",
        )
    key = credentials.access_key or ""
    own = Keys.read(local_home / "instance.json")
    if _EMULATORS_KEY.fullmatch(key) or (own is not None and key == own.access_key_id):
        raise _local_keys()
    return session


def account_of(session: boto3.Session, environment: Environment) -> str:
    """Ask who is calling, and insist on the environment's account; returns the caller's ARN.

    Raises:
        UsageError: the credentials are of another account, expired or unknown.
    """
    target = target_of(environment)
    with explained():
        identity = session.client("sts").get_caller_identity()
    if identity["Account"] != target.account_id:
        raise UsageError(
            f"The credentials are of account {identity['Account']}, "
            f"but environments/{environment.name}.toml is for {target.account_id}. Nothing was changed.",
            hint="Sign in to the right account, or name its profile under aws.profile.",
        )
    return identity["Arn"]


@contextmanager
def explained() -> Iterator[None]:
    """Errors of AWS calls that a person can mend, as sentences.

    Raises:
        UsageError: credentials are missing, expired, unknown or wrong.
        DeployError: a permission is missing, or AWS goes on throttling.
    """
    try:
        yield
    except botocore.exceptions.ProfileNotFound as error:
        raise UsageError(
            f"{error}.", hint="`aws configure list-profiles` shows those that there are."
        ) from None
    except (
        botocore.exceptions.NoCredentialsError,
        botocore.exceptions.PartialCredentialsError,
        botocore.exceptions.CredentialRetrievalError,
        botocore.exceptions.TokenRetrievalError,
        botocore.exceptions.SSOError,
    ) as error:
        raise UsageError(
            f"The AWS credentials cannot be used: {error}", hint="Sign in again, for example `aws sso login`."
        ) from None
    except botocore.exceptions.EndpointConnectionError as error:
        raise DeployError(f"{error}", hint="Check the network, or start the stand-in.") from None
    except botocore.exceptions.ClientError as error:
        raise _explanation(error) from error


def _explanation(error: botocore.exceptions.ClientError) -> Exception:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _EXPIRED:
        return UsageError(
            f"The AWS credentials have expired ({code}).", hint="Sign in again: `aws sso login`."
        )
    if code in _UNKNOWN_KEY:
        return UsageError(
            f"AWS does not know these credentials ({code}).", hint="Check the profile, or sign in."
        )
    if code in _WRONG_SECRET:
        return UsageError(f"The secret key does not fit the access key ({code}).", hint="Check the profile.")
    if code in _DENIED:
        return DeployError(
            f"{error.operation_name} is not allowed: {message}",
            hint="environments/deployer-policy.json holds what a deployer needs.",
        )
    if code in _THROTTLED:
        return DeployError(
            f"AWS goes on throttling {error.operation_name}, after {ATTEMPTS} attempts with growing pauses.",
            hint="Run the same command again in some minutes: it goes on where it stopped.",
        )
    return error


def _stand_in_session(stand_in: StandIn, region: str) -> boto3.Session:
    keys = Keys.read(stand_in.home / "instance.json")
    if keys is None:
        raise NotRunningError(
            f"The stand-in for AWS has never run: {stand_in.home} holds no keys.",
            hint="Start it with `darkroom stand-in start --env NAME`.",
        )
    return LocalSession(
        endpoint=stand_in.endpoint_url,
        region=region,
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
    )


def _refuse_endpoints(variables: Mapping[str, str]) -> None:
    named = sorted(name for name, value in variables.items() if name.startswith(_ENDPOINT_VARIABLE) and value)
    if named:
        raise UsageError(
            f"{named[0]} is set to {variables[named[0]]}: this shell points to a local engine, not to AWS.",
            hint=f"Use another shell, or `unset {' '.join(named)}`.",
        )


def _refuse_local_files(variables: Mapping[str, str]) -> None:
    """The credentials file that `darkroom env` names lies beside a local environment's other files."""
    path = variables.get("AWS_SHARED_CREDENTIALS_FILE")
    if path and (Path(path).expanduser().parent / "instance.json").exists():
        raise _local_keys()


def _local_keys() -> UsageError:
    return UsageError(
        "These are the keys of a local environment. They are not sent to AWS.",
        hint="Use another shell than the one of `darkroom env`, and sign in to AWS there.",
    )
