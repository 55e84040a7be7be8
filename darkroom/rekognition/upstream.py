"""Real AWS: what is asked there is signed anew with the developer's own keys, counted and paid for.

Nothing of the caller's request goes on but its parameters and pictures: botocore builds a new one, for the region's own
address or the one that is given. Each attempt on the wire, also a retry of the SDK, is reserved in the ledger before
it is sent, and released where AWS refuses.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.rekognition.credentials import Access, CredentialsError, check_is_aws_key
from darkroom.rekognition.errors import RekognitionError, ServiceError
from darkroom.rekognition.prices import prices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.awsrequest import AWSPreparedRequest

    from darkroom.rekognition.spending import Ledger, Limits

logger = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 30
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")
_CREDENTIAL_ERRORS = frozenset(
    (
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    )
)


class UpstreamError(RekognitionError):
    """Real AWS cannot be reached."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: what ``sts:GetCallerIdentity`` says."""

    account: str
    arn: str

    @property
    def who(self) -> str:
        """The role or user, for people: ``role Developer`` or ``user ada``."""
        resource = self.arn.rpartition(":")[2]
        kind, _, rest = resource.partition("/")
        kinds = {"assumed-role": "role", "user": "user", "federated-user": "federated user"}
        return f"{kinds.get(kind, kind)} {rest.partition('/')[0] or kind}" if rest else resource

    def __str__(self) -> str:
        return f"account {self.account}, {self.who}"


@dataclass(slots=True)
class Meter:
    """The cost of one call while it is made.

    Args:
        ledger: where it is written down.
        limits: what may be spent.
        operation: what is asked.
        micros: what each attempt costs.
    """

    ledger: Ledger
    limits: Limits
    operation: str
    micros: int
    attempts: int = 0
    _ticket: int | None = None

    def before_attempt(self) -> None:
        """Reserve; see `Ledger.reserve`. An attempt before it that was never answered stays reserved."""
        self._ticket = self.ledger.reserve(self.operation, self.micros, self.limits)
        self.attempts += 1

    def after_attempt(self, *, is_billed: bool) -> None:
        """Settle what was reserved last."""
        if self._ticket is not None:
            self.ledger.settle(self._ticket, is_billed=is_billed)
            self._ticket = None


@dataclass(slots=True)
class Upstream:
    """Real AWS in one region, asked in the caller's thread; safe for several.

    Args:
        access: credentials.
        region: of AWS.
        endpoint: another address than the region's own, for Rekognition and STS.
        ledger: where what is spent is written down.
        limits: what may be spent.
        attempts: how often the SDK tries; 1 leaves retries to whoever asks.
        is_local_key: whether a local environment made an access key: none of those is ever sent.
    """

    access: Access
    region: str
    endpoint: str | None
    ledger: Ledger
    limits: Limits
    attempts: int
    is_local_key: Callable[[str], bool]
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _client: Any = field(default=None, init=False)
    _client_key: str = field(default="", init=False)
    _identity: Identity | None = field(default=None, init=False)
    _calls: threading.local = field(default_factory=threading.local, init=False)

    def identity(self) -> Identity:
        """Who asks; free, and asked once.

        Raises:
            CredentialsError: the credentials cannot be used.
            UpstreamError: AWS cannot be reached.
        """
        with self._lock:
            if self._identity is None:
                answer = self._guarded(lambda: self._make("sts", attempts=3).get_caller_identity())
                self._identity = Identity(account=answer["Account"], arn=answer["Arn"])
                logger.warning("real AWS is asked as %s, in %s", self._identity, self.region)
            return self._identity

    def ask(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """One paid call.

        Args:
            operation: such as DetectLabels.
            request: in the service's shape, with the pictures as bytes.

        Returns:
            The response in the service's shape.

        Raises:
            ServiceError: AWS refuses; the code and the words are its own.
            BudgetReachedError, LedgerError: the call was not made.
            CredentialsError: the credentials cannot be used.
            UpstreamError: AWS cannot be reached.
        """
        self.identity()
        client = self._current_client()
        micros = prices().micros(operation, request, region=self.region)
        self._calls.meter = Meter(self.ledger, self.limits, operation, micros)
        try:
            response = self._guarded(lambda: getattr(client, _method(operation))(**request))
        finally:
            self._calls.meter = None
        return {name: value for name, value in response.items() if name != "ResponseMetadata"}

    def _current_client(self) -> Any:
        """The client for the keys of this moment."""
        keys = self.access.keys()
        with self._lock:
            if self._client is None or self._client_key != keys.access_key_id:
                client = self._make("rekognition", attempts=self.attempts)
                client.meta.events.register("before-send.rekognition", self._before_send)
                client.meta.events.register("response-received.rekognition", self._response_received)
                self._client, self._client_key = client, keys.access_key_id
            return self._client

    def _make(self, service: str, *, attempts: int) -> Any:
        from botocore.config import Config
        from botocore.session import Session

        keys = self.access.keys()
        check_is_aws_key(keys.access_key_id, self.is_local_key)
        session = Session(session_vars={"profile": (None, None, None, None)})
        for name in ("config_file", "credentials_file"):
            session.set_config_variable(name, "/nonexistent")  # everything that counts is given here
        session.set_config_variable("ignore_configured_endpoint_urls", True)  # it may be the local one
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": attempts},
            proxies={} if _is_loopback(self.endpoint) else dict(self.access.proxies),
            max_pool_connections=32,
        )
        return session.create_client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.token,
            verify=self.access.ca_bundle,
            config=config,
        )

    def _before_send(self, request: AWSPreparedRequest, **_: Any) -> None:
        """Called by botocore for every attempt, in the thread of the call."""
        header = request.headers.get("Authorization", b"")
        text = header.decode("latin-1") if isinstance(header, bytes) else str(header)
        found = _CREDENTIAL.search(text)
        check_is_aws_key(found[1] if found else "", self.is_local_key)
        self._calls.meter.before_attempt()

    def _response_received(
        self, response_dict: Mapping[str, Any] | None, exception: Exception | None, **_: Any
    ) -> None:
        """Called by botocore for every attempt. What was sent and never answered stays reserved."""
        from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError

        if response_dict is not None:
            self._calls.meter.after_attempt(is_billed=response_dict["status_code"] == 200)
        elif isinstance(exception, (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)):
            self._calls.meter.after_attempt(is_billed=False)

    def _guarded(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except ClientError as error:
            raise _refusal(error.response) from None
        except BotoCoreError as error:
            place = self.endpoint or f"region {self.region}"
            raise UpstreamError(f"Real AWS ({place}) cannot be reached: {error}") from None


def _refusal(response: Mapping[str, Any]) -> RekognitionError:
    said = response.get("Error", {})
    code, message = str(said.get("Code", "Unknown")), str(said.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    if code in _CREDENTIAL_ERRORS:
        # AWS's own words name the account and the role; they stay out of answers, records and logs
        return CredentialsError(f"Real AWS refuses these credentials: {code}. {_ADVICE.get(code, _SIGN_IN)}")
    return ServiceError(code, message, status=status)


_SIGN_IN = "Sign in again, then run `darkroom rekognition mode` once more."
_ADVICE = {
    "AccessDeniedException": "The role needs rekognition:<Operation> for what you ask, in a region that has it."
}


def _is_loopback(endpoint: str | None) -> bool:
    return urlsplit(endpoint or "").hostname in {"127.0.0.1", "localhost", "::1"}


def _method(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))
