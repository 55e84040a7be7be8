"""The names that other parts need of a deployed stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from darkroom.errors import DeployError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """What `template.yaml` says under Outputs."""

    bucket: str
    table: str
    function: str
    alias_arn: str
    log_group: str
    dead_letter_queue_url: str
    api: str = ""
    user_pool: str = ""

    @classmethod
    def from_mapping(cls, outputs: Mapping[str, str]) -> StackOutputs:
        """Take the outputs by their names in the template.

        Raises:
            DeployError: one is missing, so that the stack was made from another template.
        """
        missing = sorted(name for name in _OUTPUT_NAMES.values() if name not in outputs)
        if missing:
            raise DeployError(
                f"The stack has no output {', '.join(missing)}.",
                hint="It was made from another template; deploy it again.",
            )
        there = {field: outputs[name] for field, name in _OUTPUT_NAMES.items()}
        return cls(**there, api=outputs.get("ApiId", ""), user_pool=outputs.get("UserPoolId", ""))


_OUTPUT_NAMES = {
    "bucket": "BucketName",
    "table": "TableName",
    "function": "TaggerFunctionName",
    "alias_arn": "TaggerAliasArn",
    "log_group": "TaggerLogGroup",
    "dead_letter_queue_url": "DeadLetterQueueUrl",
}


def read_outputs(session: boto3.Session, stack_name: str) -> StackOutputs:
    """The outputs of a deployed stack.

    Raises:
        NotFoundError: there is no such stack.
        DeployError: the stack was made from another template.
    """
    try:
        stacks = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        raise NotFoundError(f"There is no stack {stack_name}.", hint="Deploy it first.") from error
    outputs = {it["OutputKey"]: it["OutputValue"] for it in stacks[0].get("Outputs", [])}
    return StackOutputs.from_mapping(outputs)
