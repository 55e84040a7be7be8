"""A handler as many tutorials end with it: one item per event under a random id, through boto3's resource API."""

import os
import uuid
from datetime import UTC, datetime
from urllib.parse import unquote_plus

import boto3

rekognition = boto3.client("rekognition")
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def lambda_handler(event, context):
    bucket = event["Records"][0]["s3"]["bucket"]["name"]
    key = unquote_plus(event["Records"][0]["s3"]["object"]["key"])
    found = rekognition.detect_labels(
        Image={"S3Object": {"Bucket": bucket, "Name": key}}, MaxLabels=10, MinConfidence=70
    )
    item = {
        "id": str(uuid.uuid4()),
        "bucket": bucket,
        "key": key,
        "labels": [label["Name"] for label in found["Labels"]],
        "timestamp": datetime.now(UTC).isoformat(),
    }
    table.put_item(Item=item)
    print("stored", item["id"], "for", key)
    return {"statusCode": 200, "body": item["id"]}
