"""The record of an image: one shape for the table and for the JSON file.

Field names are those of `docs/data.md`; a field that is not known is left out. Numbers are floats and ints
here, Decimals only on the way into DynamoDB (`to_item`), which keeps every digit of a confidence.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pipeline.answers import Answers
    from pipeline.errors import ImageRefusedError
    from pipeline.images import StoredImage
    from pipeline.ordering import Position
    from pipeline.preparing import Prepared
    from pipeline.settings import Analyzer

Record = dict[str, Any]
"""Field name -> value, in the order in which people read it."""
Item = dict[str, Any]
"""Attribute name -> DynamoDB's typed value, such as `{"S": "text"}`."""

MAX_ITEM_BYTES = 390_000
"""DynamoDB takes 400 KB per item, names included: the rest is room for a claim.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""


class Status(StrEnum):
    """What became of an image."""

    TAGGED = "TAGGED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    DELETED = "DELETED"


def analysed(
    image: StoredImage, prepared: Prepared, answers: Answers, analyzers: Collection[Analyzer], **common: Any
) -> Record:
    """The record of an image that Rekognition was asked about.

    Tagged when every analyser answered, partial when some did, failed when none did. An analyser that was
    not asked any more, because the image had been refused, is skipped.
    """
    done = {name: answer for name, answer in answers.items() if not answer.is_refusal}
    refusal = next((answer for answer in answers.values() if answer.is_refusal), None)
    found: dict[str, Any] = {}
    for analyzer in analyzers:
        found |= done[analyzer].fields if analyzer in done else {}
    return _record(
        image,
        prepared,
        Status.TAGGED if len(done) == len(analyzers) else Status.PARTIAL if done else Status.FAILED,
        found,
        Analyzers=_outcomes(answers, analyzers),
        ModelVersions={name.value: done[name].model_version for name in done if done[name].model_version}
        or None,
        Source="+".join(sorted({answer.source or "" for answer in done.values()})) or None,
        ErrorCode=refusal.error_code if refusal else None,
        ErrorMessage=refusal.error_message if refusal else None,
        **common,
    )


def failed(
    image: StoredImage,
    prepared: Prepared,
    refusal: ImageRefusedError,
    analyzers: Collection[Analyzer],
    **common: Any,
) -> Record:
    """The record of an image that Rekognition was not asked about, because the answer is known."""
    return _record(
        image,
        prepared,
        Status.FAILED,
        {},
        Analyzers=_outcomes({}, analyzers),
        ErrorCode=refusal.code,
        ErrorMessage=refusal.message,
        **common,
    )


def _outcomes(answers: Answers, analyzers: Collection[Analyzer]) -> dict[str, dict[str, str]]:
    """Per analyser what happened: done, failed with its reason, or skipped."""
    outcomes: dict[str, dict[str, str]] = {}
    for analyzer in analyzers:
        answer = answers.get(analyzer)
        if answer is None:
            outcomes[analyzer.value] = {"Status": "SKIPPED"}
        elif answer.error_code is None:
            outcomes[analyzer.value] = {"Status": "DONE"}
        else:
            outcomes[analyzer.value] = {
                "Status": "FAILED",
                "ErrorCode": answer.error_code,
                "ErrorMessage": answer.error_message or "",
            }
    return outcomes


def _record(
    image: StoredImage, prepared: Prepared, status: Status, found: Mapping[str, Any], **more: Any
) -> Record:
    size = prepared.size
    fields: Record = {
        "ImageID": image.key,
        "S3Bucket": image.bucket,
        "S3Key": image.key,
        "FileName": image.file_name,
        "Status": status.value,
        **found,
        "Width": size.width if size else None,
        "Height": size.height if size else None,
        "Bytes": image.size_bytes,
        "ContentType": image.content_type or None,
        "Converted": _converted(prepared),
        "ETag": image.position.etag,
        "VersionId": image.version_id,
        "Sequencer": image.position.sequencer,
        "UploadedAt": image.position.uploaded_at,
        **more,
    }
    return {name: value for name, value in fields.items() if value is not None}


def deleted(bucket: str, key: str, position: Position, *, at: str, expires_at_s: int) -> Record:
    """The tombstone of an image: it tells a late event that the image is gone, until DynamoDB expires it."""
    fields = {
        "ImageID": key,
        "S3Bucket": bucket,
        "S3Key": key,
        "FileName": key.rsplit("/", 1)[-1],
        "Status": Status.DELETED.value,
        "VersionId": position.version_id,
        "Sequencer": position.sequencer,
        "UploadedAt": position.uploaded_at,
        "TaggedAt": at,
        "ExpiresAt": expires_at_s,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _converted(prepared: Prepared) -> dict[str, Any] | None:
    """What was analysed in place of the object, and why; None where it was the object itself."""
    conversion = prepared.conversion
    if conversion is None:
        return None
    return {
        "From": conversion.kind.value,
        "Reason": conversion.reason.value,
        "Width": conversion.size.width,
        "Height": conversion.size.height,
    }


def fit(record: Record) -> Record:
    """The record as the table can hold it.

    Where it would pass DynamoDB's limit, the boxes of the labels are left to the JSON file, and if that is
    not enough the largest lists too; `LeftInDocument` names what is missing.
    """
    left_out: list[str] = []
    fitting = dict(record)
    if _item_bytes(fitting) > MAX_ITEM_BYTES and "Labels" in fitting:
        fitting["Labels"] = [{**label, "Instances": []} for label in fitting["Labels"]]
        left_out.append("Labels.Instances")
    while _item_bytes(fitting) > MAX_ITEM_BYTES:
        largest = max(
            (name for name, value in fitting.items() if isinstance(value, list)),
            key=lambda name: _bytes_of(fitting[name]),
        )
        del fitting[largest]
        left_out.append(largest)
    return {**fitting, "LeftInDocument": left_out} if left_out else fitting


def to_item(record: Record) -> Item:
    """The record in DynamoDB's types."""
    return {name: to_attribute(value) for name, value in record.items()}


def to_attribute(value: Any) -> dict[str, Any]:
    """One value in DynamoDB's types. Floats keep their shortest exact notation, at most 38 digits."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case int() | Decimal():
            return {"N": str(value)}
        case float():
            return {"N": repr(value)}
        case list() | tuple():
            return {"L": [to_attribute(element) for element in value]}
        case dict():
            return {"M": {name: to_attribute(element) for name, element in value.items()}}
        case None:
            return {"NULL": True}
    raise TypeError(f"a record cannot hold {type(value).__name__}")


def from_item(item: Mapping[str, Any]) -> Record:
    """The record that an item holds; whole numbers become ints, the others floats."""
    return {name: from_attribute(value) for name, value in item.items()}


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """One value out of DynamoDB's types."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return float(value) if {".", "e", "E"} & set(value) else int(value)
        case "L":
            return [from_attribute(element) for element in value]
        case "M":
            return from_item(value)
        case "NULL":
            return None
        case _:
            return value


def _item_bytes(record: Record) -> int:
    return sum(len(name.encode()) + _bytes_of(value) for name, value in record.items())


def _bytes_of(value: Any) -> int:
    """An upper bound of what DynamoDB counts for a value.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    match value:
        case str():
            return len(value.encode())
        case list() | tuple():
            return 3 + sum(1 + _bytes_of(element) for element in value)
        case dict():
            return 3 + sum(1 + len(name.encode()) + _bytes_of(element) for name, element in value.items())
        case _:
            return 21  # a number's most; booleans and null take one byte
