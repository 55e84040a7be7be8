"""A handler that goes through its whole bucket at each call, and keeps its findings as JSON in strings."""

import json
from decimal import Decimal

import boto3
import slugify

BUCKET = "image-intelligence-photos"
TABLE = "image-intelligence"

s3 = boto3.client("s3")
rekognition = boto3.client("rekognition")
dynamodb = boto3.client("dynamodb")


def lambda_handler(event, context):
    done, failed = [], []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            if item["Key"].endswith("/"):
                continue
            try:
                analyse(item["Key"])
                done.append(item["Key"])
            except Exception as error:
                print(f"failed {item['Key']}: {error}")
                failed.append(item["Key"])
    return {"done": done, "failed": failed}


def analyse(key):
    image = {"S3Object": {"Bucket": BUCKET, "Name": key}}
    labels = rekognition.detect_labels(Image=image, MinConfidence=75)["Labels"]
    faces = rekognition.detect_faces(Image=image, Attributes=["ALL"])["FaceDetails"]
    famous = rekognition.recognize_celebrities(Image=image)["CelebrityFaces"]
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "image_id": {"S": slugify.slugify(key)},
            "labels": {
                "S": json.dumps({label["Name"]: str(Decimal(str(label["Confidence"]))) for label in labels})
            },
            "faces": {"S": json.dumps([describe(face) for face in faces])},
            "celebrities": {
                "S": json.dumps([{"name": it["Name"], "confidence": it["MatchConfidence"]} for it in famous])
            },
        },
    )


def describe(face):
    return {
        "age": [face["AgeRange"]["Low"], face["AgeRange"]["High"]],
        "gender": face["Gender"]["Value"],
        "smile": face["Smile"]["Value"],
        "emotions": [it["Type"] for it in face["Emotions"] if it["Confidence"] > 75],
    }
