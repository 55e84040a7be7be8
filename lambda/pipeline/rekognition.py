"""The analysers: what is asked of Rekognition, what its answers become, and which of its errors are final.

An analyser is one function from an image to `Findings`; the registry maps the names that a stack may choose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.errors import ImageRefusedError
from pipeline.settings import Analyzer, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_rekognition import RekognitionClient

    from pipeline.images import StoredImage

SOURCE_HEADER = "x-darkroom-source"
"""A local Rekognition says in this header where an answer comes from; Amazon's has no such header."""
DEFAULT_SOURCE = "aws"

# Rekognition refuses these images however often it is asked; the codes are of DetectLabels and its sisters:
# https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DetectLabels.html (Errors). The request
# itself is ours and right, so that "invalid parameters" means the image: it is smaller than 80 pixels.
_REFUSALS = {
    "InvalidImageFormatException": "The file is no PNG or JPEG image, or it is damaged.",
    "ImageTooLargeException": "The image has more bytes or pixels than Rekognition takes.",
    "InvalidParameterException": "Rekognition does not take this image; it may be smaller than 80 pixels.",
    "InvalidS3ObjectException": "Rekognition cannot read the object from the bucket.",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What one or several analysers found, in the fields of the record."""

    fields: dict[str, Any]
    model_versions: dict[str, str]
    sources: frozenset[str] = field(default=frozenset({DEFAULT_SOURCE}))

    def __or__(self, other: Findings) -> Findings:
        return Findings(
            self.fields | other.fields,
            self.model_versions | other.model_versions,
            self.sources | other.sources,
        )

    @property
    def source(self) -> str:
        """Where the answers come from; several kinds are joined by `+`."""
        return "+".join(sorted(self.sources))


def analyse(client: RekognitionClient, image: StoredImage, settings: Settings) -> Findings:
    """Ask every analyser that the settings name.

    Raises:
        ImageRefusedError: the image will never be accepted.
        ClientError, BotoCoreError: everything else; it may pass.
    """
    findings = Findings({}, {}, frozenset())
    for analyzer in settings.analyzers:
        try:
            findings |= _ANALYZERS[analyzer](client, image, settings)
        except ClientError as error:
            refusal = refusal_of(error)
            if refusal is not None:
                raise refusal from error
            raise
    return findings


def refusal_of(error: ClientError) -> ImageRefusedError | None:
    """The refusal that an error is, or None where trying again may help."""
    code = error.response["Error"]["Code"]
    if code not in _REFUSALS:
        return None
    said = error.response["Error"].get("Message", "")
    return ImageRefusedError(code, f"{_REFUSALS[code]} (Rekognition: {said})" if said else _REFUSALS[code])


def _detect_labels(client: RekognitionClient, image: StoredImage, settings: Settings) -> Findings:
    answer = client.detect_labels(
        Image={"S3Object": image.s3_object()},
        MaxLabels=settings.max_labels,
        MinConfidence=settings.min_confidence,
    )
    labels = [_label(dict(label)) for label in answer["Labels"]]
    return Findings(
        fields={"Labels": labels, "LabelNames": [label["Name"] for label in labels]},
        model_versions={Analyzer.LABELS.value: answer.get("LabelModelVersion", "")},
        sources=_source_of(dict(answer)),
    )


def _label(label: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": label["Name"],
        "Confidence": label["Confidence"],
        "Parents": [parent["Name"] for parent in label.get("Parents", [])],
        "Categories": [category["Name"] for category in label.get("Categories", [])],
        "Instances": [
            {"Confidence": found["Confidence"], "BoundingBox": dict(found["BoundingBox"])}
            for found in label.get("Instances", [])
        ],
    }


def _source_of(answer: dict[str, Any]) -> frozenset[str]:
    headers: dict[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return frozenset({headers.get(SOURCE_HEADER, DEFAULT_SOURCE)})


_ANALYZERS: dict[Analyzer, Callable[[RekognitionClient, StoredImage, Settings], Findings]] = {
    Analyzer.LABELS: _detect_labels,
}
