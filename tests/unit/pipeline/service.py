"""What Rekognition answers in the tests of several analysers: one picture, seen by each of its operations."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipeline.settings import Analyzer
from tests.unit.pipeline.world import CAT, SETTINGS, World

ALL = dataclasses.replace(SETTINGS, analyzers=tuple(Analyzer))
BOX = {"Left": 0.1, "Top": 0.2, "Width": 0.25, "Height": 0.5}

COLOUR = {
    "Red": 47, "Green": 79, "Blue": 79, "HexCode": "#2f4f4f", "CSSColor": "darkslategrey",
    "SimplifiedColor": "grey", "PixelPercent": 21.5,
}  # fmt: skip
LABELS_AND_PROPERTIES = CAT | {
    "ImageProperties": {
        "Quality": {"Brightness": 64.25, "Sharpness": 80.5, "Contrast": 79.75},
        "DominantColors": [COLOUR],
        "Foreground": {"Quality": {"Brightness": 1.0, "Sharpness": 1.0}, "DominantColors": []},
    }
}
FACES = {
    "FaceDetails": [
        {
            "BoundingBox": BOX,
            "Confidence": 99.5,
            "AgeRange": {"Low": 31, "High": 39},
            "Smile": {"Value": True, "Confidence": 97.5},
            "Gender": {"Value": "Female", "Confidence": 99.25},
            "Emotions": [
                {"Type": "HAPPY", "Confidence": 98.5},
                {"Type": "CALM", "Confidence": 75.0},
                {"Type": "SAD", "Confidence": 0.5},
            ],
            "Landmarks": [{"Type": "nose", "X": 0.5, "Y": 0.5}],
            "Pose": {"Roll": 0.0, "Yaw": 0.0, "Pitch": 0.0},
            "Quality": {"Brightness": 70.5, "Sharpness": 86.5},
        }
    ]
}
CELEBRITIES = {
    "CelebrityFaces": [
        {
            "Name": "Eileen Collins",
            "Id": "4Xq7m2T",
            "MatchConfidence": 98.5,
            "Urls": ["www.wikidata.org/wiki/Q230956"],
            "Face": {"BoundingBox": BOX, "Confidence": 99.5},
            "KnownGender": {"Type": "Female"},
        }
    ],
    "UnrecognizedFaces": [],
}
TEXT = {
    "TextDetections": [
        {"DetectedText": "FOR SALE", "Type": "LINE", "Id": 0, "Confidence": 98.5, "Geometry": {"BoundingBox": BOX}},
        {
            "DetectedText": "FOR", "Type": "WORD", "Id": 1, "ParentId": 0, "Confidence": 97.5,
            "Geometry": {"BoundingBox": BOX},
        },
    ],
    "TextModelVersion": "3.0",
}  # fmt: skip
MODERATION = {
    "ModerationLabels": [
        {
            "Name": "Smoking", "ParentName": "Drugs & Tobacco Paraphernalia & Use", "Confidence": 92.5,
            "TaxonomyLevel": 3,
        },
        {"Name": "Drugs & Tobacco", "ParentName": "", "Confidence": 92.5, "TaxonomyLevel": 1},
    ],
    "ModerationModelVersion": "7.0",
}  # fmt: skip


def sees_everything(world: World) -> World:
    """The world, with an answer for every operation."""
    world.rekognition.answer = LABELS_AND_PROPERTIES
    world.rekognition.others = {
        "DetectFaces": FACES,
        "RecognizeCelebrities": CELEBRITIES,
        "DetectText": TEXT,
        "DetectModerationLabels": MODERATION,
    }
    return world


def throttled(world: World, *operations: str) -> dict[str, Any]:
    """Let some operations refuse for now; returns the answers that they would give."""
    before = dict(world.rekognition.others)
    world.rekognition.others |= dict.fromkeys(operations, "ThrottlingException")
    return before
