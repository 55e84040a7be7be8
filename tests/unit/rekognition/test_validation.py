"""Requests and answers against botocore's model."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.session import get_session

from darkroom.rekognition.errors import ServiceError
from darkroom.rekognition.model import SERVED, Shape, service_model
from darkroom.rekognition.validation import answer_problems, parse_request, read_request

from .helpers import Caller, in_s3, inline, picture

SHOWN = "failed to satisfy constraint: "


@pytest.mark.parametrize("name", SERVED)
def test_the_models_shapes_are_those_that_botocore_itself_reads(name: str) -> None:
    theirs = get_session().get_service_model("rekognition").operation_model(name)
    ours = service_model().operations[name]

    def same(own: Shape, other: Any, seen: frozenset[str]) -> None:
        assert (own.name, own.kind, list(own.enum)) == (
            other.name,
            other.type_name,
            list(getattr(other, "enum", ())),
        )
        assert (own.minimum, own.maximum) == (other.metadata.get("min"), other.metadata.get("max"))
        if own.name in seen:
            return
        if own.kind == "structure":
            assert own.members.keys() == other.members.keys()
            assert set(own.required) == set(other.required_members)
            for member, shape in own.members.items():
                same(shape, other.members[member], seen | {own.name})
        if own.kind == "list":
            assert own.element is not None
            same(own.element, other.member, seen | {own.name})

    same(ours.input, theirs.input_shape, frozenset())
    same(ours.output, theirs.output_shape, frozenset())


def test_every_operation_of_the_service_is_known_by_name() -> None:
    assert service_model().all_names == frozenset(
        get_session().get_service_model("rekognition").operation_names
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"MinConfidence": 200},
            f"Value '200.0' at 'minConfidence' {SHOWN}Member must have value less than or equal to 100",
        ),
        (
            {"MaxLabels": -1},
            f"Value '-1' at 'maxLabels' {SHOWN}Member must have value greater than or equal to 0",
        ),
        (
            {"Features": ["GENERAL_LABELS", "DRAGONS"]},
            (
                f"Value '[GENERAL_LABELS, DRAGONS]' at 'features' {SHOWN}Member must satisfy constraint: "
                "[Member must satisfy enum value set: [GENERAL_LABELS, IMAGE_PROPERTIES]]"
            ),
        ),
        (
            {"Settings": {"ImageProperties": {"MaxDominantColors": 21}}},
            (
                f"Value '21' at 'settings.imageProperties.maxDominantColors' {SHOWN}"
                "Member must have value less than or equal to 20"
            ),
        ),
        (
            {"Settings": {"GeneralLabels": {"LabelInclusionFilters": ["a" * 51]}}},
            (
                f"Value '[{'a' * 51}]' at 'settings.generalLabels.labelInclusionFilters' {SHOWN}"
                "Member must satisfy constraint: [Member must have length less than or equal to 50]"
            ),
        ),
        (
            {"Image": {"S3Object": {"Bucket": "no spaces", "Name": "x"}}},
            (
                f"Value 'no spaces' at 'image.s3Object.bucket' {SHOWN}"
                "Member must satisfy regular expression pattern: [0-9A-Za-z\\.\\-_]*"
            ),
        ),
        ({"Image": None}, f"Value null at 'image' {SHOWN}Member must not be null"),
    ],
)
async def test_a_violated_constraint_is_told_in_the_frameworks_words(
    call: Caller, more: dict[str, Any], sentence: str
) -> None:
    request = {"Image": in_s3("coffee.png"), **more}
    assert await call.error("DetectLabels", **request) == (
        400,
        "ValidationException",
        f"1 validation error detected: {sentence}",
    )


async def test_several_violations_are_told_together(call: Caller) -> None:
    _status, _code, message = await call.error("DetectLabels", MinConfidence=101, MaxLabels=-5)
    assert message.startswith("3 validation errors detected: ")
    assert message.count("; ") == 2


@pytest.mark.parametrize(
    "request_document",
    [
        {"Image": "coffee.png"},
        {"Image": []},
        {"Image": {"Bytes": 5}},
        {"Image": {"Bytes": "not base64!"}},
        {"Image": {"S3Object": {"Bucket": {}, "Name": "x"}}},
        {"MinConfidence": "80"},
        {"MinConfidence": True},
        {"MinConfidence": 10**400},
        {"MaxLabels": 1.5},
        {"MaxLabels": 2**40},
        {"Features": "GENERAL_LABELS"},
        {"Features": [{}]},
    ],
)
def test_a_value_of_the_wrong_json_type_is_a_serialization_error(request_document: dict[str, Any]) -> None:
    shape = service_model().operations["DetectLabels"].input
    with pytest.raises(ServiceError) as caught:
        read_request(shape, request_document)
    assert caught.value.code == "SerializationException"


async def test_nulls_and_unknown_members_are_ignored(call: Caller) -> None:
    answer = await call.ok(
        "DetectLabels", Image=in_s3("cat-chelsea.png"), MinConfidence=None, Features=None, Dragons=["x"]
    )
    assert answer["Labels"]


async def test_a_whole_number_written_as_a_fraction_is_a_whole_number(call: Caller) -> None:
    answer = await call.ok("DetectLabels", Image=in_s3("cat-chelsea.png"), MaxLabels=2.0)
    assert len(answer["Labels"]) == 2


def test_an_empty_body_is_an_empty_request() -> None:
    assert parse_request(b"") == {}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"Labels": "Cat"}, "DetectLabels.Labels must be a list"),
        ({"Labels": [{"Name": 5}]}, "DetectLabels.Labels[0].Name must be a string"),
        ({"Labels": [{"Confidence": 100.5}]}, "DetectLabels.Labels[0].Confidence is 100.5"),
        (
            {"Labels": [{"Confidence": float("nan")}]},
            "DetectLabels.Labels[0].Confidence must be a finite number",
        ),
        ({"Labels": [{"Dragon": 1}]}, "DetectLabels.Labels[0].Dragon is not a member"),
        ({"OrientationCorrection": "ROTATE_45"}, "which is not one of ROTATE_0"),
        ({"ImageProperties": []}, "DetectLabels.ImageProperties must be a mapping"),
    ],
)
def test_an_answer_that_is_not_the_services_shape_is_found_out(answer: dict[str, Any], sentence: str) -> None:
    problems = answer_problems(service_model().operations["DetectLabels"].output, answer, "DetectLabels")
    assert len(problems) == 1
    assert sentence in problems[0]


async def test_text_that_cannot_be_encoded_does_not_break_the_refusal(call: Caller) -> None:
    body = b'{"Image": {"S3Object": {"Bucket": "\\ud800\\ud800\\ud800 ", "Name": "x"}}}'
    answer = await call.rekognition.answer(target="RekognitionService.DetectLabels", body=body)
    assert answer.status == 400
    assert b"?" in answer.body


async def test_a_callers_text_is_one_short_line_of_the_log(
    call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await call("DetectLabels", Image=in_s3("x\nERROR all is lost " + "y" * 1000))
    await call("DetectLabels", Image=in_s3("x"), Features=["z\nERROR all is lost" * 99])
    assert len(caplog.messages) == 3
    assert all("\n" not in message and len(message) < 1000 for message in caplog.messages)


async def test_an_answer_is_compact_json_with_float32_values(call: Caller) -> None:
    answer = await call("DetectLabels", Image=in_s3("cat-chelsea.png"), MinConfidence=70, MaxLabels=1)
    assert b'"Confidence":71.19999694824219' in answer.body
    assert b": " not in answer.body.replace(b'": "', b"")
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert len(answer.headers["x-amzn-RequestId"]) == 36
    assert (await call("DetectLabels", Image=inline(picture()))).headers[
        "x-amzn-RequestId"
    ] != answer.headers["x-amzn-RequestId"]
