"""What the API changes: an image is analysed again, or deleted. Both happen in a moment, by the tagger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_s3 import S3Client

ASKED_AGAIN = "asked-again"
"""In the place of a record's settings: no tagger has these, so that the record counts as not analysed."""


class Actions:
    """Changes images of one stack.

    Args:
        dynamodb, s3, lambda_client: clients.
        table: table of the records.
        bucket: bucket of the images.
        tagger: ARN of the function that analyses.
    """

    def __init__(
        self,
        *,
        dynamodb: DynamoDBClient,
        s3: S3Client,
        lambda_client: LambdaClient,
        table: str,
        bucket: str,
        tagger: str,
    ) -> None:
        self._dynamodb = dynamodb
        self._s3 = s3
        self._lambda = lambda_client
        self._table = table
        self._bucket = bucket
        self._tagger = tagger

    def analyse_again(self, key: str) -> None:
        """Have an image analysed once more; its record stays until there is a new one.

        Raises:
            NotFoundError: it has no record.
        """
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"ImageID": {"S": key}},
                UpdateExpression="SET #settings = :asked",
                ConditionExpression="attribute_exists(#status) AND #status <> :deleted",
                ExpressionAttributeNames={"#settings": "Settings", "#status": "Status"},
                ExpressionAttributeValues={":asked": {"S": ASKED_AGAIN}, ":deleted": {"S": "DELETED"}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise NotFoundError("There is no such image.") from None
        self._lambda.invoke(
            FunctionName=self._tagger,
            InvocationType="Event",
            Payload=json.dumps({"Records": [self._event(key)]}).encode(),
        )

    def delete(self, key: str) -> None:
        """Delete an image's object; S3's event has its record and postings removed."""
        self._s3.delete_object(Bucket=self._bucket, Key=key)

    def _event(self, key: str) -> dict[str, object]:
        """An event without a sequencer: the tagger then goes by what the bucket holds.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
        """
        return {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self._bucket}, "object": {"key": quote_plus(key, safe="/")}},
        }
