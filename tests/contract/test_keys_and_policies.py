"""Who is let in by the bare engine, and what it enforces: the reasons for our guard, keys and permission checks."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from darkroom.engine.unix_http import exchange
from tests.contract.conftest import ACCOUNT, create_role, create_user, policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Engine


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def users(engine: Engine) -> set[str]:
    return {user["UserName"] for user in engine.client("iam").list_users()["Users"]}


def credential(key: str, service: str) -> str:
    return f"{key}/20260101/us-east-1/{service}/aws4_request"


def test_an_unsigned_request_is_refused(engine: Engine) -> None:
    status, _ = exchange(engine.socket, "GET", "/?Action=CreateUser&UserName=unsigned&Version=2010-05-08")
    assert status == 403
    assert "unsigned" not in users(engine)


def test_the_list_of_buckets_is_told_to_anybody_so_the_guard_must_ask_for_a_signature(engine: Engine) -> None:
    assert exchange(engine.socket, "GET", "/")[0] == 200


@pytest.mark.parametrize("key", ["test", ACCOUNT, "own"])
def test_a_root_like_key_is_accepted_on_its_word_so_the_guard_must_refuse_it(
    engine: Engine, key: str
) -> None:
    name = engine.keys.root_key if key == "own" else key
    header = (
        f"AWS4-HMAC-SHA256 Credential={credential(name, 'iam')}, SignedHeaders=host, Signature={'0' * 64}"
    )
    target = f"/?Action=CreateUser&UserName=root-{key}&Version=2010-05-08"
    status, _ = exchange(engine.socket, "GET", target, headers={"Authorization": header})
    assert status == 200
    assert f"root-{key}" in users(engine)


def test_the_first_of_two_credentials_in_a_header_counts_so_the_guard_takes_exactly_one(
    engine: Engine,
) -> None:
    header = (
        f"AWS4-HMAC-SHA256 Credential=test/x, Credential={credential('AKIA' + 'A' * 16, 'iam')}, "
        f"SignedHeaders=host, Signature={'0' * 64}"
    )
    target = "/?Action=CreateUser&UserName=hidden&Version=2010-05-08"
    exchange(engine.socket, "GET", target, headers={"Authorization": header})
    assert "hidden" in users(engine)


def test_a_root_like_key_in_the_query_opens_every_service_so_the_guard_lets_only_s3_presign(
    engine: Engine,
) -> None:
    target = (
        f"/?Action=CreateUser&UserName=by-query&Version=2010-05-08&X-Amz-Credential={credential('test', 'iam')}"
        f"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host"
        f"&X-Amz-Signature={'0' * 64}"
    )
    exchange(engine.socket, "GET", target.replace("iam/aws4", "iam%2Faws4"))
    assert "by-query" in users(engine)


def test_another_configured_key_is_none(engine: Engine) -> None:
    assert code_of(engine.client("iam", key="ROOT" + "0" * 48).list_users) == "InvalidClientTokenId"


SERVICES: list[tuple[str, str, dict[str, Any]]] = [
    ("s3", "list_buckets", {}),
    ("dynamodb", "list_tables", {}),
    ("iam", "list_users", {}),
    ("sts", "get_caller_identity", {}),
    ("cloudformation", "list_stacks", {}),
    ("lambda", "list_functions", {}),
    ("logs", "describe_log_groups", {}),
    ("sqs", "list_queues", {}),
    ("sns", "list_topics", {}),
    ("events", "list_rules", {}),
    ("secretsmanager", "list_secrets", {}),
    ("ssm", "describe_parameters", {}),
    ("apigateway", "get_rest_apis", {}),
]


@pytest.fixture(scope="module")
def user(engine: Engine) -> tuple[str, str]:
    return create_user(engine, "developer", ["*"])


@pytest.mark.parametrize(("service", "operation", "arguments"), SERVICES, ids=[each[0] for each in SERVICES])
def test_a_users_signature_is_checked(
    engine: Engine, user: tuple[str, str], service: str, operation: str, arguments: dict[str, Any]
) -> None:
    key, secret = user
    getattr(engine.client(service, key=key, secret=secret), operation)(**arguments)
    wrong = engine.client(service, key=key, secret="wrong")
    assert code_of(partial(getattr(wrong, operation), **arguments)) in {
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    }


def test_rekognition_checks_the_signature_and_then_answers_an_empty_400_so_we_answer_it(
    engine: Engine, user: tuple[str, str]
) -> None:
    call = {"Image": {"S3Object": {"Bucket": "bucket", "Name": "k"}}}
    wrong = engine.client("rekognition", key=user[0], secret="wrong")
    assert "Signature" in code_of(partial(wrong.detect_labels, **call))
    with pytest.raises(ClientError) as error:
        engine.client("rekognition", key=user[0], secret=user[1]).detect_labels(**call)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_users_policy_is_enforced(engine: Engine) -> None:
    key, secret = create_user(engine, "reader", ["s3:ListAllMyBuckets"])
    reader = engine.client("s3", key=key, secret=secret)
    reader.list_buckets()
    assert code_of(partial(reader.create_bucket, Bucket="forbidden")) == "AccessDenied"
    dynamodb = engine.client("dynamodb", key=key, secret=secret)
    assert code_of(dynamodb.list_tables) == "AccessDeniedException"


def test_a_roles_trust_policy_decides_who_may_assume_it_but_not_for_root(
    engine: Engine, user: tuple[str, str]
) -> None:
    functions_only = create_role(engine, "functions-only", trusts={"Service": "lambda.amazonaws.com"})
    account_too = create_role(engine, "account-too", trusts={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    sts = engine.client("sts", key=user[0], secret=user[1])
    assert (
        code_of(partial(sts.assume_role, RoleArn=functions_only, RoleSessionName="session")) == "AccessDenied"
    )
    assert sts.assume_role(RoleArn=account_too, RoleSessionName="session")["Credentials"]
    assert engine.client("sts").assume_role(RoleArn=functions_only, RoleSessionName="session")["Credentials"]


def test_a_role_sessions_signature_token_and_policy_are_checked(engine: Engine) -> None:
    arn = create_role(
        engine, "lister", trusts={"Service": "lambda.amazonaws.com"}, actions=["s3:ListAllMyBuckets"]
    )
    given = engine.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]

    def s3(**changed: str) -> Any:
        keys = {
            "key": given["AccessKeyId"],
            "secret": given["SecretAccessKey"],
            "token": given["SessionToken"],
        }
        return engine.client("s3", **{**keys, **changed})

    s3().list_buckets()
    assert code_of(partial(s3().create_bucket, Bucket="forbidden")) == "AccessDenied"
    assert code_of(s3(secret="wrong").list_buckets) == "SignatureDoesNotMatch"
    assert code_of(s3(token="wrong").list_buckets) in {"InvalidToken", "InvalidClientTokenId"}


def test_simulating_a_principals_policy_says_allowed_or_implicitly_denied(engine: Engine) -> None:
    role = create_role(
        engine, "simulated", trusts={"Service": "lambda.amazonaws.com"}, actions=["rekognition:DetectLabels"]
    )
    create_user(engine, "simulated", ["lambda:InvokeFunction"])
    iam = engine.client("iam")

    def decision(principal: str, action: str) -> str:
        answer = iam.simulate_principal_policy(
            PolicySourceArn=principal, ActionNames=[action], ResourceArns=["*"]
        )
        return str(answer["EvaluationResults"][0]["EvalDecision"])

    person = f"arn:aws:iam::{ACCOUNT}:user/simulated"
    assert decision(role, "rekognition:DetectLabels") == "allowed"
    assert decision(role, "rekognition:DetectFaces") == "implicitDeny"
    assert decision(person, "lambda:InvokeFunction") == "allowed"
    assert decision(person, "rekognition:DetectLabels") == "implicitDeny"


def test_a_bucket_policy_that_demands_tls_denies_plain_http_unless_a_front_says_https(engine: Engine) -> None:
    s3 = engine.client("s3")
    s3.create_bucket(Bucket="tls-only")
    s3.put_object(Bucket="tls-only", Key="k", Body=b"hello")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="tls-only", Policy=policy(deny))

    key, secret = create_user(engine, "behind-a-front", ["*"])
    plain = engine.client("s3", key=key, secret=secret)
    assert code_of(partial(plain.get_object, Bucket="tls-only", Key="k")) == "AccessDenied"
    fronted = engine.client("s3", key=key, secret=secret)
    fronted.meta.events.register("before-send.s3", lambda request, **_: said(request))
    assert fronted.get_object(Bucket="tls-only", Key="k")["Body"].read() == b"hello"
    assert s3.get_object(Bucket="tls-only", Key="k")["Body"].read() == b"hello", "root is not asked"


def said(request: Any) -> None:
    """What a front adds after the client signed."""
    request.headers["X-Forwarded-Proto"] = "https"


def test_a_missing_key_is_404_without_the_permission_to_list_while_aws_answers_403(engine: Engine) -> None:
    engine.client("s3").create_bucket(Bucket="listless")
    key, secret = create_user(engine, "listless", ["s3:GetObject"])
    reader = engine.client("s3", key=key, secret=secret)
    assert code_of(partial(reader.get_object, Bucket="listless", Key="missing")) == "NoSuchKey"


def test_a_policy_that_names_other_resources_does_not_help(engine: Engine) -> None:
    s3 = engine.client("s3")
    s3.create_bucket(Bucket="narrow")
    s3.put_object(Bucket="narrow", Key="uploads/a", Body=b"a")
    s3.put_object(Bucket="narrow", Key="metadata/a", Body=b"a")
    key, secret = create_user(engine, "narrow", [])
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::narrow/uploads/*"}
    engine.client("iam").put_user_policy(
        UserName="narrow",
        PolicyName="narrow",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    reader = engine.client("s3", key=key, secret=secret)
    reader.get_object(Bucket="narrow", Key="uploads/a")
    assert code_of(partial(reader.get_object, Bucket="narrow", Key="metadata/a")) == "AccessDenied"
