"""Every permission that the template's roles give: why, and what shows that it is needed.

Facts about actions and resource types are from AWS's Service Authorization Reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/), written down here for the actions in use.
`python -m tests.support.permissions` writes the table into docs/engines.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "engines.md"
BEGIN, END = "<!-- permissions: begin -->", "<!-- permissions: end -->"


class Proof(StrEnum):
    """What shows that a permission is needed."""

    TAGGING = "without it no image is tagged"
    RESCANNING = "without it a rescan fails"
    COUNTING = "without it an image is not counted"
    AS_ROLE = "without it the engine refuses the call to a session of the role"
    PAGE = "without it a call of the API fails"
    STATIC = "not enforced by the engine: checked against the reference only"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource type of the reference.

    Attributes:
        name: as the reference names it.
        arn: pattern of the ARNs in the template, with `${…}` where it refers to something.
    """

    name: str
    arn: str

    def matches(self, resource: str) -> bool:
        return re.fullmatch(self.arn, resource) is not None


_PLACE = r"arn:\$\{AWS::Partition\}"
OBJECT = ResourceType("object", _PLACE + r":s3:::\$\{\w+\}/(\$\{\w+\}|[\w-]+/)\*")
BUCKET = ResourceType("bucket", _PLACE + r":s3:::\$\{\w+\}")
TABLE = ResourceType("table", r"AWS::DynamoDB::Table\.Arn")
STREAM = ResourceType("stream", r"AWS::DynamoDB::Table\.StreamArn|\$\{Images\.Arn\}/stream/\*")
QUEUE = ResourceType("queue", r"AWS::SQS::Queue\.Arn")
_GROUP = (
    _PLACE
    + r":logs:\$\{AWS::Region\}:\$\{AWS::AccountId\}:log-group:/aws/lambda/\$\{AWS::StackName\}-[a-z]+:\*"
)
LOG_GROUP = ResourceType("log-group", _GROUP)
LOG_STREAM = ResourceType("log-stream", _GROUP)
TOPIC = ResourceType("topic", r"AWS::SNS::Topic")
FUNCTION_ALIAS = ResourceType("function alias", r"AWS::Lambda::Alias")
ANY = ResourceType("none: only `*` is possible", r"\*")


@dataclass(frozen=True, slots=True)
class Permission:
    """One action of a role.

    Attributes:
        action: as a policy names it.
        level: access level in the reference.
        resource: the narrowest resource type that the action takes.
        reason: what the function does with it.
        proof: what shows that it is needed.
        note: where the engine cannot enforce it, why that is known.
    """

    action: str
    level: str
    resource: ResourceType
    reason: str
    proof: Proof
    note: str = ""


_LOG_NOTE = (
    "the engine leaves out the `:*` at the end of AWS's log group ARNs; the runtime writes logs itself"
)
_OWN_LOGS = (
    Permission(
        "logs:CreateLogStream", "Write", LOG_GROUP,
        "Lambda opens a log stream for each worker as the role", Proof.STATIC, _LOG_NOTE,
    ),
    Permission(
        "logs:PutLogEvents", "Write", LOG_STREAM,
        "Lambda writes the function's log as the role", Proof.STATIC, _LOG_NOTE,
    ),
)  # fmt: skip
TAGGER = (
    Permission(
        "s3:GetObject", "Read", OBJECT,
        "reads the head of the image; Rekognition reads it as the caller", Proof.TAGGING,
    ),
    Permission(
        "s3:GetObjectVersion", "Read", OBJECT,
        "reads the very version that the event is about, where the bucket keeps versions", Proof.AS_ROLE,
    ),
    Permission(
        "s3:ListBucket", "List", BUCKET,
        "makes a missing object a 404 and not a 403, so that “gone” is no failure", Proof.STATIC,
        "the engine answers 404 either way",
    ),
    Permission("s3:PutObject", "Write", OBJECT, "writes the JSON file and the preview", Proof.TAGGING),
    Permission(
        "s3:DeleteObject", "Write", OBJECT,
        "removes JSON file and preview of an image whose object was removed", Proof.AS_ROLE,
    ),
    Permission(
        "rekognition:DetectLabels", "Read", ANY, "asks for labels and properties of the picture", Proof.TAGGING
    ),
    Permission("rekognition:DetectFaces", "Read", ANY, "asks for faces, where chosen", Proof.AS_ROLE),
    Permission("rekognition:RecognizeCelebrities", "Read", ANY, "asks for celebrities, where chosen", Proof.AS_ROLE),
    Permission("rekognition:DetectText", "Read", ANY, "asks for text, where chosen", Proof.AS_ROLE),
    Permission(
        "rekognition:DetectModerationLabels", "Read", ANY, "asks for moderation labels, where chosen", Proof.AS_ROLE
    ),
    Permission(
        "dynamodb:GetItem", "Read", TABLE,
        "reads the current record where a newer event took the image over", Proof.AS_ROLE,
    ),
    Permission("dynamodb:PutItem", "Write", TABLE, "writes the record and its postings", Proof.TAGGING),
    Permission(
        "dynamodb:DeleteItem", "Write", TABLE,
        "removes the postings of the record before, in the index table only", Proof.AS_ROLE,
    ),
    Permission("dynamodb:UpdateItem", "Write", TABLE, "claims the image, and gives the claim back", Proof.TAGGING),
    Permission(
        "sns:Publish", "Write", TOPIC, "tells of what the alert rules hold for", Proof.STATIC,
        "on the engine the topic's default policy lets everybody of the account publish",
    ),
    Permission(
        "sqs:SendMessage", "Write", QUEUE,
        "Lambda sends failed events to the dead-letter queue as the role", Proof.AS_ROLE,
    ),
    *_OWN_LOGS,
)  # fmt: skip
RESCAN = (
    Permission("s3:ListBucket", "List", BUCKET, "lists the uploads", Proof.RESCANNING),
    Permission("dynamodb:BatchGetItem", "Read", TABLE, "reads which records there are", Proof.RESCANNING),
    Permission(
        "dynamodb:GetItem", "Read", TABLE,
        "reads where the last scheduled run stopped, in its own partition of the index table", Proof.RESCANNING,
    ),
    Permission(
        "dynamodb:PutItem", "Write", TABLE,
        "notes where a scheduled run is, in its own partition of the index table", Proof.RESCANNING,
    ),
    Permission(
        "lambda:GetFunctionConfiguration", "Read", FUNCTION_ALIAS,
        "reads the tagger's settings, to tell which records are of others", Proof.RESCANNING,
    ),
    Permission(
        "lambda:InvokeFunction", "Write", FUNCTION_ALIAS, "sends an upload's event to the tagger", Proof.RESCANNING
    ),
    Permission(
        "sqs:SendMessage", "Write", QUEUE,
        "Lambda sends a scheduled run that failed to the dead-letter queue as the role", Proof.STATIC,
        "the same call as the tagger's, where it is proven",
    ),
    *_OWN_LOGS,
)  # fmt: skip
API = (
    Permission(
        "s3:PutObject", "Write", OBJECT,
        "signs the forms that a browser uploads with: they allow what their signer may do", Proof.PAGE,
    ),
    Permission(
        "s3:GetObject", "Read", OBJECT, "signs the addresses under which a browser sees a picture", Proof.PAGE
    ),
    Permission("s3:DeleteObject", "Write", OBJECT, "deletes an image", Proof.PAGE),
    Permission("dynamodb:BatchGetItem", "Read", TABLE, "reads the records of a list", Proof.PAGE),
    Permission("dynamodb:Query", "Read", TABLE, "reads lists, searches and counts", Proof.PAGE),
    Permission(
        "dynamodb:UpdateItem", "Write", TABLE, "marks a record as one to be made anew", Proof.PAGE
    ),
    Permission("lambda:InvokeFunction", "Write", FUNCTION_ALIAS, "has an image analysed again", Proof.PAGE),
    *_OWN_LOGS,
)  # fmt: skip
_STREAM_NOTE = "the engine reads the stream itself, without the role"
COUNTER = (
    Permission(
        "dynamodb:DescribeStream", "Read", STREAM,
        "Lambda finds the shards of the stream as the role", Proof.STATIC, _STREAM_NOTE,
    ),
    Permission(
        "dynamodb:GetShardIterator", "Read", STREAM,
        "Lambda finds its place in a shard as the role", Proof.STATIC, _STREAM_NOTE,
    ),
    Permission(
        "dynamodb:GetRecords", "Read", STREAM,
        "Lambda reads which records changed as the role", Proof.STATIC, _STREAM_NOTE,
    ),
    Permission(
        "dynamodb:ListStreams", "Read", STREAM,
        "Lambda checks that the table has a stream as the role", Proof.STATIC, _STREAM_NOTE,
    ),
    Permission(
        "dynamodb:BatchGetItem", "Read", TABLE,
        "reads what records say, and what their images were counted as", Proof.COUNTING,
    ),
    Permission("dynamodb:PutItem", "Write", TABLE, "notes what an image is counted as", Proof.COUNTING),
    Permission("dynamodb:UpdateItem", "Write", TABLE, "adds to the counters", Proof.COUNTING),
    Permission(
        "dynamodb:DeleteItem", "Write", TABLE, "forgets an image that was deleted", Proof.COUNTING
    ),
    *_OWN_LOGS,
)  # fmt: skip
ROLES: dict[str, tuple[Permission, ...]] = {
    "TaggerRole": TAGGER,
    "RescanRole": RESCAN,
    "CounterRole": COUNTER,
    "ApiRole": API,
}
"""Logical id of each role in the template -> its permissions."""


def table() -> str:
    """The permissions as a Markdown table."""
    lines = ["| role | action | level | resource type | what for | proof |", "|--|--|--|--|--|--|"]
    for role, permissions in ROLES.items():
        lines += [
            f"| `{role}` | `{each.action}` | {each.level} | {each.resource.name} | {each.reason} | "
            f"{each.proof}{f' ({each.note})' if each.note else ''} |"
            for each in permissions
        ]
    return "\n".join(lines)


def written_into(document: str) -> str:
    """The document with the table between its marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written_into(DOCUMENT.read_text()))
