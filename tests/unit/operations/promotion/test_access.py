"""Which credentials may go where; nothing here reaches a network: every answer is stubbed or refused before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions
import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber

from darkroom.errors import DeployError, NotRunningError, UsageError
from darkroom.operations.promotion import access
from darkroom.operations.promotion.access import AwsSession, account_of, explained, open_session, target_of
from darkroom.stack.environments import AwsTarget, Environment, StandIn

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "123456789012"
PROD = Environment("prod", {}, aws=AwsTarget(ACCOUNT, "eu-west-1"))


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file and no variable of the person who runs the tests."""
    for name in (
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def sign_in(
    tmp_path: Path, *, key: str = "AKIAREALLYREAL", profile: str = "default", config: str = ""
) -> None:
    (tmp_path / "credentials").write_text(f"[{profile}]\naws_access_key_id={key}\naws_secret_access_key=s\n")
    (tmp_path / "config").write_text(config)


def open_(tmp_path: Path, environment: Environment = PROD, **variables: str) -> boto3.Session:
    return open_session(environment, local_home=tmp_path / "home", variables=variables)


def test_an_environment_without_an_account_is_for_local_engines() -> None:
    with pytest.raises(UsageError, match="names no account") as caught:
        target_of(Environment("local", {}))
    assert "prod.toml.example" in caught.value.hint


def test_a_shell_that_points_to_a_local_engine_is_refused(tmp_path: Path) -> None:
    sign_in(tmp_path)
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL_S3 is set to http://127") as caught:
        open_(tmp_path, AWS_ENDPOINT_URL_S3="http://127.0.0.1:4566")
    assert "unset AWS_ENDPOINT_URL_S3" in caught.value.hint


@pytest.mark.parametrize(
    "config",
    [
        "[default]\nendpoint_url = http://127.0.0.1:4566\n",
        "[default]\nservices = local\n[services local]\ns3 =\n  endpoint_url = http://127.0.0.1:4566\n",
    ],
)
def test_a_profile_that_points_to_a_local_engine_is_refused(tmp_path: Path, config: str) -> None:
    sign_in(tmp_path, config=config)
    with pytest.raises(UsageError, match="names an endpoint of its own"):
        open_(tmp_path)


def test_a_configured_endpoint_is_not_followed_by_any_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    session: Any = AwsSession(profile=None, region="eu-west-1")
    for service in ("cloudformation", "s3", "sts", "dynamodb", "lambda", "iam", "logs", "sqs"):
        assert session.client(service).meta.endpoint_url.endswith(".amazonaws.com"), service


def test_a_client_for_another_host_than_aws_is_refused(tmp_path: Path) -> None:
    sign_in(tmp_path)
    session: Any = AwsSession(profile=None, region="eu-west-1")
    with pytest.raises(UsageError, match=r"asked at 127\.0\.0\.1, which is not AWS"):
        session.client("s3", endpoint_url="http://127.0.0.1:4566")
    with pytest.raises(UsageError, match="which is not AWS"):
        session.client("s3", endpoint_url="https://amazonaws.com.example.org")


@pytest.mark.parametrize("key", ["test", ACCOUNT])
def test_an_emulators_keys_do_not_go_to_aws(tmp_path: Path, key: str) -> None:
    sign_in(tmp_path, key=key)
    with pytest.raises(UsageError, match="keys of a local environment"):
        open_(tmp_path)


def test_this_environments_own_keys_do_not_go_to_aws(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    keys = {"root_key": "r", "token": "t", "access_key_id": "AKIALOCAL", "secret_access_key": "s"}
    (home / "instance.json").write_text(json.dumps(keys))
    sign_in(tmp_path, key="AKIALOCAL")
    with pytest.raises(UsageError, match="keys of a local environment"):
        open_(tmp_path)
    with pytest.raises(UsageError, match="keys of a local environment"):
        open_(tmp_path, AWS_SHARED_CREDENTIALS_FILE=str(home / "credentials"))


def test_without_credentials_it_says_how_to_sign_in(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no AWS credentials") as caught:
        open_(tmp_path)
    assert "aws sso login" in caught.value.hint


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    sign_in(tmp_path)
    with pytest.raises(UsageError, match="nobody"):
        open_(tmp_path, Environment("prod", {}, aws=AwsTarget(ACCOUNT, "eu-west-1", profile="nobody")))


def test_a_profile_of_the_environment_outranks_keys_of_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(tmp_path, profile="prod", config="[profile prod]\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHESHELL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    session = open_(tmp_path, Environment("prod", {}, aws=AwsTarget(ACCOUNT, "eu-west-1", profile="prod")))
    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.access_key == "AKIAREALLYREAL"


def test_a_stand_in_takes_its_own_keys_and_never_real_ones(tmp_path: Path) -> None:
    sign_in(tmp_path)
    home = tmp_path / "engine"
    environment = Environment(
        "rehearsal", {}, aws=AwsTarget(ACCOUNT, "us-east-1"), stand_in=StandIn("http://127.0.0.1:4599", home)
    )
    with pytest.raises(NotRunningError, match="has never run"):
        open_(tmp_path, environment)
    home.mkdir()
    keys = {"root_key": "r", "token": "t", "access_key_id": "AKIASTANDIN", "secret_access_key": "s"}
    (home / "instance.json").write_text(json.dumps(keys))
    session: Any = open_(tmp_path, environment)
    assert session.get_credentials().access_key == "AKIASTANDIN"
    assert session.client("s3").meta.endpoint_url == "http://127.0.0.1:4599"


class Stubbed:
    """A session whose STS answers as it is told."""

    def __init__(self) -> None:
        session: Any = boto3.Session("AKIDEXAMPLE", "s", region_name="eu-west-1")
        self.sts = session.client("sts")
        self.stubber = Stubber(self.sts)
        self.stubber.activate()

    def client(self, _: str) -> Any:
        return self.sts


def test_credentials_of_another_account_are_refused() -> None:
    session: Any = Stubbed()
    other = {
        "Account": "999999999999",
        "Arn": "arn:aws:iam::999999999999:user/x",
        "UserId": "AIDAX1234567890123",
    }
    session.stubber.add_response("get_caller_identity", other, {})
    with pytest.raises(
        UsageError, match=r"account 999999999999, but environments/prod\.toml is for 123456789012"
    ):
        account_of(session, PROD)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredToken", "have expired"),
        ("ExpiredTokenException", "have expired"),
        ("InvalidClientTokenId", "does not know these credentials"),
        ("SignatureDoesNotMatch", "does not fit"),
    ],
)
def test_bad_credentials_are_told_in_a_sentence(code: str, said: str) -> None:
    session: Any = Stubbed()
    session.stubber.add_client_error("get_caller_identity", code, http_status_code=403)
    with pytest.raises(UsageError, match=said):
        account_of(session, PROD)


def test_a_missing_permission_points_to_the_deployers_policy() -> None:
    error = {
        "Error": {"Code": "AccessDenied", "Message": "User x is not authorized to perform: iam:PassRole"}
    }
    with (
        pytest.raises(DeployError, match=r"CreateStack is not allowed: .*iam:PassRole") as caught,
        explained(),
    ):
        raise botocore.exceptions.ClientError(error, "CreateStack")  # type: ignore[arg-type]
    assert "deployer-policy" in caught.value.hint


def test_an_expired_single_sign_on_is_told() -> None:
    with pytest.raises(UsageError, match="cannot be used"), explained():
        raise botocore.exceptions.UnauthorizedSSOTokenError


def test_an_error_that_nobody_can_mend_keeps_its_own_words() -> None:
    error: Any = {"Error": {"Code": "InternalFailure", "Message": "m"}}
    with pytest.raises(botocore.exceptions.ClientError), explained():
        raise botocore.exceptions.ClientError(error, "CreateStack")


class Throttling:
    """Throttles so many calls of CloudFormation, then answers."""

    def __init__(self, session: Any, *, times: int) -> None:
        self.seen = 0
        self._times = times
        self.client = session.client("cloudformation")
        self.client.meta.events.register("before-send.cloudformation", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.seen += 1
        if self.seen <= self._times:
            error = "<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
            return _response(request.url, 400, f"<ErrorResponse>{error}</ErrorResponse>")
        return _response(request.url, 200, "<R><ListExportsResult><Exports/></ListExportsResult></R>")


def _response(url: str, status: int, body: str) -> AWSResponse:
    headers: Any = {}
    response = AWSResponse(url, status, headers, None)
    response._content = body.encode()  # type: ignore[attr-defined]
    return response


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


def test_throttled_calls_are_tried_again(tmp_path: Path, no_waiting: None) -> None:
    sign_in(tmp_path)
    calls = Throttling(AwsSession(profile=None, region="eu-west-1"), times=3)
    with explained():
        calls.client.list_exports()
    assert calls.seen == 4


def test_throttling_without_end_is_told_after_ten_attempts(tmp_path: Path, no_waiting: None) -> None:
    sign_in(tmp_path)
    calls = Throttling(AwsSession(profile=None, region="eu-west-1"), times=1000)
    with pytest.raises(DeployError, match="goes on throttling ListExports") as caught, explained():
        calls.client.list_exports()
    assert calls.seen == access.ATTEMPTS == 10
    assert "goes on where it stopped" in caught.value.hint
