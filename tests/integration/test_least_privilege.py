"""Each permission of the tagger's role is needed: taken away, something fails, and nothing else is allowed.

The role's policy is changed on the running environment, one action at a time, and put back. What the engine does
not enforce is checked by tests/unit/stack/test_policy_reference.py; tests/support/permissions.py lists both.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from darkroom.engine.keys import Keys
from darkroom.engine.parts import credentials_path
from darkroom.engine.session import LocalSession
from tests.support import pictures
from tests.support.permissions import TAGGER, Proof

if TYPE_CHECKING:
    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration

Call = Callable[["AsRole"], object]


@dataclass(frozen=True, slots=True)
class AsRole:
    """Clients with a session of the tagger's role."""

    session: Any
    running: Running
    version: str

    def client(self, service: str) -> Any:
        return self.session.client(service)


@dataclass(frozen=True, slots=True)
class Role:
    """The deployed role, whose inline policy tests may narrow."""

    iam: Any
    name: str
    policy_name: str
    document: dict[str, Any]

    @contextmanager
    def without(self, action: str) -> Iterator[None]:
        """The role without one action."""
        document = copy.deepcopy(self.document)
        for statement in document["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            statement["Action"] = [each for each in actions if each != action]
        document["Statement"] = [each for each in document["Statement"] if each["Action"]]
        assert document != self.document
        self._put(document)
        try:
            yield
        finally:
            self._put(self.document)

    def _put(self, document: dict[str, Any]) -> None:
        self.iam.put_role_policy(
            RoleName=self.name, PolicyName=self.policy_name, PolicyDocument=json.dumps(document)
        )


@pytest.fixture(scope="module", autouse=True)
def _no_events(running: Running) -> Iterator[None]:
    """Uploads start nothing by themselves while these tests run: the one invocation asked for is the only one."""
    configured: Any = running.s3.get_bucket_notification_configuration(Bucket=running.bucket)
    configured.pop("ResponseMetadata")
    running.s3.put_bucket_notification_configuration(Bucket=running.bucket, NotificationConfiguration={})
    yield
    running.s3.put_bucket_notification_configuration(
        Bucket=running.bucket, NotificationConfiguration=configured
    )


@pytest.fixture(scope="module")
def role(running: Running) -> Role:
    session = running.environment.session()
    iam = session.client("iam")
    function = session.client("lambda").get_function_configuration(FunctionName=tagger(running))
    name = function["Role"].rsplit("/", 1)[-1]
    (policy_name,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy_name)["PolicyDocument"]
    return Role(iam, name, policy_name, document)


@pytest.fixture(scope="module")
def as_role(running: Running, role: Role) -> Iterator[AsRole]:
    """A session of the role, as the runtime gets it: the role trusts the Lambda service and nobody else."""
    keys = Keys.read(running.environment.layout.instance)
    assert keys is not None
    address = running.environment.engine.endpoint + credentials_path(keys)
    given = (
        running.environment.session()
        .client("sts", endpoint_url=address)
        .assume_role(
            RoleArn=f"arn:aws:iam::{running.environment.settings.account}:role/{role.name}",
            RoleSessionName="least-privilege",
        )
    )["Credentials"]
    session = _TokenSession(
        endpoint=running.environment.engine.endpoint,
        region="us-east-1",
        access_key_id=given["AccessKeyId"],
        secret_access_key=given["SecretAccessKey"],
    )
    session.token = given["SessionToken"]
    running.s3.put_bucket_versioning(Bucket=running.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = running.s3.put_object(Bucket=running.bucket, Key="uploads/versioned.bin", Body=b"x")[
        "VersionId"
    ]
    yield AsRole(session, running, version)
    running.s3.put_bucket_versioning(Bucket=running.bucket, VersioningConfiguration={"Status": "Suspended"})


class _TokenSession(LocalSession):
    """The same with temporary credentials."""

    token = ""

    def client(self, *args: Any, **options: Any) -> Any:
        keys = self.get_credentials()
        assert keys is not None
        return super().client(
            *args,
            **options,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=self.token,
        )


def tagger(running: Running) -> str:
    return f"{running.environment.settings.stack}-tagger"


def tag(running: Running, name: str) -> dict[str, Any]:
    """Upload a picture, which sends no event during these tests, and invoke the tagger with an event made by hand."""
    key = f"uploads/least/{name}-{time.monotonic_ns()}.jpg"
    running.s3.put_object(Bucket=running.bucket, Key=key, Body=pictures.jpeg(1))
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": running.bucket}, "object": {"key": key}},
    }
    answer = (
        running.environment.session()
        .client("lambda")
        .invoke(FunctionName=tagger(running), Payload=json.dumps({"Records": [record]}))
    )
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    return result


@pytest.mark.parametrize("action", [each.action for each in TAGGER if each.proof is Proof.TAGGING])
def test_without_it_no_image_is_tagged(running: Running, role: Role, action: str) -> None:
    with role.without(action):
        failed = tag(running, "without")
    operation = f"{action.partition(':')[2]} operation"
    assert "AccessDenied" in failed["errorMessage"], failed
    # a transaction is refused for the action of one of its parts
    assert operation in failed["errorMessage"] or f"perform: {action} " in failed["errorMessage"], failed
    assert "errorType" not in tag(running, "with-again")


def read_version(role: AsRole) -> object:
    return role.client("s3").get_object(
        Bucket=role.running.bucket, Key="uploads/versioned.bin", VersionId=role.version
    )


def read_item(role: AsRole) -> object:
    return role.client("dynamodb").get_item(TableName="ImageLabels", Key={"ImageID": {"S": "none"}})


def delete_document(role: AsRole) -> object:
    return role.client("s3").delete_object(Bucket=role.running.bucket, Key="metadata/none.jpg.json")


def delete_posting(role: AsRole) -> object:
    key = {"pk": {"S": "label:none#90#0"}, "sk": {"S": "none"}}
    return role.client("dynamodb").delete_item(TableName="LabelIndex", Key=key)


def send_message(role: AsRole) -> object:
    queue = f"{role.running.environment.settings.stack}-dead-letters"
    address = role.running.environment.session().client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
    return role.client("sqs").send_message(QueueUrl=address, MessageBody="from a test of permissions")


def recognise(operation: str) -> Call:
    def call(role: AsRole) -> object:
        return getattr(role.client("rekognition"), operation)(Image={"Bytes": pictures.jpeg(1)})

    return call


DIRECT: dict[str, Call] = {
    "rekognition:DetectFaces": recognise("detect_faces"),
    "rekognition:RecognizeCelebrities": recognise("recognize_celebrities"),
    "rekognition:DetectText": recognise("detect_text"),
    "rekognition:DetectModerationLabels": recognise("detect_moderation_labels"),
    "s3:GetObjectVersion": read_version,
    "dynamodb:GetItem": read_item,
    "s3:DeleteObject": delete_document,
    "dynamodb:DeleteItem": delete_posting,
    "sqs:SendMessage": send_message,
}


@pytest.mark.parametrize("action", [each.action for each in TAGGER if each.proof is Proof.AS_ROLE])
def test_without_it_the_call_is_refused_to_a_session_of_the_role(
    role: Role, as_role: AsRole, action: str
) -> None:
    DIRECT[action](as_role)
    with role.without(action), pytest.raises(ClientError) as error:
        DIRECT[action](as_role)
    assert "AccessDenied" in error.value.response["Error"]["Code"]
    DIRECT[action](as_role)


def test_a_missing_object_is_404_with_and_without_the_permission_to_list(role: Role, as_role: AsRole) -> None:
    """Why s3:ListBucket can only be checked statically; AWS answers 403 without it."""

    def status() -> int:
        with pytest.raises(ClientError) as error:
            as_role.client("s3").get_object(Bucket=as_role.running.bucket, Key="uploads/missing.jpg")
        return int(error.value.response["ResponseMetadata"]["HTTPStatusCode"])

    assert status() == 404
    with role.without("s3:ListBucket"):
        assert status() == 404


def test_logs_are_refused_to_the_role_which_aws_allows_so_the_runtime_writes_them_itself(
    as_role: AsRole,
) -> None:
    """Why logs:* can only be checked statically: the engine compares the group's ARN without AWS's `:*` at its end."""
    with pytest.raises(ClientError) as error:
        as_role.client("logs").create_log_stream(
            logGroupName=f"/aws/lambda/{tagger(as_role.running)}", logStreamName="of-the-role"
        )
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"


BEYOND: dict[str, Call] = {
    "read a JSON file": lambda role: role.client("s3").get_object(
        Bucket=role.running.bucket, Key="metadata/x.json"
    ),
    "write an upload": lambda role: role.client("s3").put_object(
        Bucket=role.running.bucket, Key="uploads/x.jpg", Body=b"x"
    ),
    "delete an upload": lambda role: role.client("s3").delete_object(
        Bucket=role.running.bucket, Key="uploads/versioned.bin"
    ),
    "read another bucket": lambda role: role.client("s3").get_object(
        Bucket=f"{role.running.environment.settings.stack}-artefacts", Key="uploads/x"
    ),
    "list buckets": lambda role: role.client("s3").list_buckets(),
    "scan the table": lambda role: role.client("dynamodb").scan(TableName="ImageLabels"),
    "delete a record": lambda role: role.client("dynamodb").delete_item(
        TableName="ImageLabels", Key={"ImageID": {"S": "x"}}
    ),
    "read the index": lambda role: role.client("dynamodb").query(
        TableName="LabelIndex",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "image:all#0"}},
    ),
    "create a table": lambda role: role.client("dynamodb").create_table(
        TableName="Other",
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    ),
    "compare faces": lambda role: role.client("rekognition").compare_faces(
        SourceImage={"Bytes": pictures.jpeg(1)}, TargetImage={"Bytes": pictures.jpeg(1)}
    ),
    "invoke itself": lambda role: role.client("lambda").invoke(
        FunctionName=tagger(role.running), Payload=b"{}"
    ),
    "change its code": lambda role: role.client("lambda").update_function_code(
        FunctionName=tagger(role.running), ZipFile=b"PK"
    ),
    "create a user": lambda role: role.client("iam").create_user(UserName="intruder"),
    "read the dead letters": lambda role: role.client("sqs").receive_message(
        QueueUrl=role.running.environment.session()
        .client("sqs")
        .get_queue_url(QueueName=f"{role.running.environment.settings.stack}-dead-letters")["QueueUrl"]
    ),
    "write into another log group": lambda role: role.client("logs").create_log_group(
        logGroupName="/aws/lambda/other"
    ),
    "change the stack": lambda role: role.client("cloudformation").delete_stack(
        StackName=role.running.environment.settings.stack
    ),
    "assume its role again": lambda role: role.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{role.running.environment.settings.account}:role/{tagger(role.running)}",
        RoleSessionName="again",
    ),
}


@pytest.mark.parametrize("attempt", BEYOND)
def test_the_role_may_do_nothing_else(as_role: AsRole, attempt: str) -> None:
    with pytest.raises(ClientError) as error:
        BEYOND[attempt](as_role)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403}
    assert "AccessDenied" in error.value.response["Error"]["Code"]


def test_every_action_is_proven_here_or_listed_as_static() -> None:
    assert set(DIRECT) == {each.action for each in TAGGER if each.proof is Proof.AS_ROLE}
    for each in TAGGER:
        print(f"{each.action:28} {each.resource.name:12} {each.proof}: {each.reason}")
