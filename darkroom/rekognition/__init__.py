"""A local Amazon Rekognition."""

from darkroom.rekognition.errors import (
    FixtureError,
    ObjectDeniedError,
    ObjectMissingError,
    ObjectTooLargeError,
    RekognitionError,
    ServiceError,
    SourceError,
    SourceUnavailableError,
)
from darkroom.rekognition.labels import MaxLabelsRule
from darkroom.rekognition.service import Mode, Rekognition
from darkroom.rekognition.sources import Boto3Source, ObjectSource
from darkroom.rekognition.wire import SOURCE_HEADER, Answer

__all__ = [
    "SOURCE_HEADER",
    "Answer",
    "Boto3Source",
    "FixtureError",
    "MaxLabelsRule",
    "Mode",
    "ObjectDeniedError",
    "ObjectMissingError",
    "ObjectSource",
    "ObjectTooLargeError",
    "Rekognition",
    "RekognitionError",
    "ServiceError",
    "SourceError",
    "SourceUnavailableError",
]
