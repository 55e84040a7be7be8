"""Rekognition's errors and headers: which refusals are final, and where an answer comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import ImageRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from botocore.exceptions import ClientError

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


def refusal_of(error: ClientError) -> ImageRefusedError | None:
    """The refusal that an error is, or None where trying again may help."""
    code = error.response["Error"]["Code"]
    if code not in _REFUSALS:
        return None
    said = error.response["Error"].get("Message", "")
    return ImageRefusedError(code, f"{_REFUSALS[code]} (Rekognition: {said})" if said else _REFUSALS[code])


def source_of(answer: Mapping[str, Any]) -> str:
    """Where an answer comes from: `aws`, or what a local Rekognition says in its header."""
    headers: Mapping[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers.get(SOURCE_HEADER, DEFAULT_SOURCE)
