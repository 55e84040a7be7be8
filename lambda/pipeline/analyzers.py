"""The analysers: what each asks of Rekognition, and what its answer becomes in the record.

| analyser      | operation                            | fields of the record      |
|---------------|--------------------------------------|---------------------------|
| `labels`      | DetectLabels (GENERAL_LABELS)        | `Labels`, `LabelNames`    |
| `faces`       | DetectFaces                          | `Faces`                   |
| `celebrities` | RecognizeCelebrities                 | `Celebrities`             |
| `text`        | DetectText                           | `Text`                    |
| `moderation`  | DetectModerationLabels               | `Moderation`              |
| `properties`  | DetectLabels (IMAGE_PROPERTIES)      | `ImageProperties`         |

Labels and properties are features of one operation: chosen together they are asked for in one request, which
counts once against the account's rate. AWS prices the two features apart all the same
(https://aws.amazon.com/rekognition/pricing/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.answers import Answer, Answers
from pipeline.rekognition import source_of
from pipeline.settings import Analyzer, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from types_boto3_rekognition import RekognitionClient
    from types_boto3_rekognition.literals import DetectLabelsFeatureNameType
    from types_boto3_rekognition.type_defs import ImageTypeDef

    Ask = Callable[[RekognitionClient, ImageTypeDef, Settings], Answers]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Rekognition, and the analysers that it answers."""

    analyzers: tuple[Analyzer, ...]
    ask: Ask


def calls_for(analyzers: Collection[Analyzer]) -> list[Call]:
    """The requests that answer some analysers, the fewest possible, in a fixed order."""
    features = tuple(analyzer for analyzer in _FEATURES if analyzer in analyzers)
    calls = [Call(features, _detect_labels_of(features))] if features else []
    return calls + [Call((analyzer,), ask) for analyzer, ask in _ASK.items() if analyzer in analyzers]


_FEATURES: dict[Analyzer, DetectLabelsFeatureNameType] = {
    Analyzer.LABELS: "GENERAL_LABELS",
    Analyzer.PROPERTIES: "IMAGE_PROPERTIES",
}


def _detect_labels_of(features: Collection[Analyzer]) -> Ask:
    def ask(client: RekognitionClient, image: ImageTypeDef, settings: Settings) -> Answers:
        request: dict[str, Any] = {"Image": image}
        if Analyzer.LABELS in features:  # the thresholds are of this feature only
            request |= {"MaxLabels": settings.max_labels, "MinConfidence": settings.min_confidence}
        if Analyzer.PROPERTIES in features:
            request["Features"] = [_FEATURES[feature] for feature in features]
        answer: Mapping[str, Any] = client.detect_labels(**request)
        answers: Answers = {}
        if Analyzer.LABELS in features:
            labels = [_label(label) for label in answer["Labels"]]
            found: dict[str, Any] = {"Labels": labels, "LabelNames": [label["Name"] for label in labels]}
            answers[Analyzer.LABELS] = _answer(found, answer, version=answer.get("LabelModelVersion"))
        if Analyzer.PROPERTIES in features:
            found = {"ImageProperties": _properties(answer["ImageProperties"])}
            answers[Analyzer.PROPERTIES] = _answer(found, answer)
        return answers

    return ask


def _label(label: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Name": label["Name"],
        "Confidence": label["Confidence"],
        "Parents": [parent["Name"] for parent in label.get("Parents", [])],
        "Categories": [category["Name"] for category in label.get("Categories", [])],
        "Instances": [
            {"Confidence": found["Confidence"], "BoundingBox": _box(found["BoundingBox"])}
            for found in label.get("Instances", [])
        ],
    }


def _properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "DominantColors": [dict(colour) for colour in properties.get("DominantColors", [])],
        "Quality": dict(properties.get("Quality", {})),
    }


def _detect_faces(client: RekognitionClient, image: ImageTypeDef, settings: Settings) -> Answers:
    answer: Mapping[str, Any] = client.detect_faces(
        Image=image, Attributes=["AGE_RANGE", "GENDER", "SMILE", "EMOTIONS"]
    )
    faces = [_face(face, settings.emotion_confidence) for face in answer["FaceDetails"]]
    return {Analyzer.FACES: _answer({"Faces": faces}, answer)}


def _face(face: Mapping[str, Any], emotion_confidence: float) -> dict[str, Any]:
    fields: dict[str, Any] = {"BoundingBox": _box(face["BoundingBox"]), "Confidence": face["Confidence"]}
    fields |= {name: dict(face[name]) for name in ("AgeRange", "Gender", "Smile") if name in face}
    fields["Emotions"] = [
        {"Type": emotion["Type"], "Confidence": emotion["Confidence"]}
        for emotion in face.get("Emotions", [])
        if emotion["Confidence"] > emotion_confidence
    ]
    return fields


def _recognize_celebrities(client: RekognitionClient, image: ImageTypeDef, _: Settings) -> Answers:
    answer: Mapping[str, Any] = client.recognize_celebrities(Image=image)
    celebrities = [
        {
            "Name": found["Name"],
            "Confidence": found["MatchConfidence"],
            "Id": found["Id"],
            "Urls": list(found.get("Urls", [])),
            "BoundingBox": _box(found["Face"]["BoundingBox"]),
        }
        for found in answer["CelebrityFaces"]
    ]
    return {Analyzer.CELEBRITIES: _answer({"Celebrities": celebrities}, answer)}


def _detect_text(client: RekognitionClient, image: ImageTypeDef, _: Settings) -> Answers:
    answer: Mapping[str, Any] = client.detect_text(Image=image)
    text = [_text(found) for found in answer["TextDetections"]]
    return {Analyzer.TEXT: _answer({"Text": text}, answer, version=answer.get("TextModelVersion"))}


def _text(found: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "Text": found["DetectedText"],
        "Type": found["Type"],
        "Confidence": found["Confidence"],
        "BoundingBox": _box(found["Geometry"]["BoundingBox"]),
        "Id": found["Id"],
    }
    return fields | ({"ParentId": found["ParentId"]} if "ParentId" in found else {})


def _detect_moderation(client: RekognitionClient, image: ImageTypeDef, settings: Settings) -> Answers:
    answer: Mapping[str, Any] = client.detect_moderation_labels(
        Image=image, MinConfidence=settings.moderation_confidence
    )
    labels = [
        {
            "Name": found["Name"],
            "ParentName": found.get("ParentName", ""),
            "Confidence": found["Confidence"],
            **({"TaxonomyLevel": found["TaxonomyLevel"]} if "TaxonomyLevel" in found else {}),
        }
        for found in answer["ModerationLabels"]
    ]
    version = answer.get("ModerationModelVersion")
    return {Analyzer.MODERATION: _answer({"Moderation": labels}, answer, version=version)}


def _answer(fields: dict[str, Any], answer: Mapping[str, Any], *, version: str | None = None) -> Answer:
    return Answer(fields, source_of(answer), version)


def _box(box: Mapping[str, float]) -> dict[str, float]:
    """Left, Top, Width, Height as shares of the upright picture."""
    return {side: box[side] for side in ("Left", "Top", "Width", "Height") if side in box}


_ASK: dict[Analyzer, Ask] = {
    Analyzer.FACES: _detect_faces,
    Analyzer.CELEBRITIES: _recognize_celebrities,
    Analyzer.TEXT: _detect_text,
    Analyzer.MODERATION: _detect_moderation,
}
