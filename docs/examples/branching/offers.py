"""A marketplace decides what becomes of the photograph of an offer. Ordinary boto3; nothing knows of Darkroom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """`action` is publish, review or reject; `shelf` where it is published; `why` for the seller."""

    action: str
    shelf: str = ""
    why: str = ""


def decide(rekognition: Any, photograph: bytes) -> Decision:
    """Ask Rekognition about one photograph and branch on what it sees."""
    image = {"Bytes": photograph}
    found = rekognition.detect_moderation_labels(Image=image, MinConfidence=60)["ModerationLabels"]
    if found:
        return Decision("review", why=found[0]["Name"])
    labels = rekognition.detect_labels(Image=image, MinConfidence=55)["Labels"]
    confidence = {label["Name"]: label["Confidence"] for label in labels}
    if confidence.get("Text", 0) >= 90:
        lines = rekognition.detect_text(Image=image)["TextDetections"]
        if any("555" in line["DetectedText"] for line in lines):
            return Decision("reject", why="a telephone number is in the picture")
    if confidence.get("Vehicle", 0) >= 80:
        return Decision("publish", shelf="vehicles")
    if confidence.get("Pet", 0) >= 80:
        return Decision("publish", shelf="pets")
    if "Pet" in confidence:
        return Decision("review", why=f"perhaps a pet ({confidence['Pet']:.0f} %)")
    return Decision("reject", why="nothing that is sold here")
