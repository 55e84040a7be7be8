"""What each operation answers beside labels: parameters, defaults, ordering, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.rekognition.protection import summary

from .helpers import Caller, in_s3, inline, noise, picture, write_fixture

if TYPE_CHECKING:
    from pathlib import Path

    from .helpers import MemorySource

ASTRONAUT = in_s3("astronaut-eileen-collins.png")
SIGN = in_s3("shop-sign.png")
DEFAULT = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}


async def described(own: Caller, source: MemorySource, tmp_path: Path, content: str) -> dict[str, Any]:
    """A picture with a fixture of the test's own; returns the Image member that names it."""
    import hashlib

    data = noise(100, 100)
    source.objects["own.png"] = data
    write_fixture(tmp_path, "own", f"image: {{sha256: {hashlib.sha256(data).hexdigest()}}}\n{content}")
    return in_s3("own.png")


async def face(call: Caller, *attributes: str) -> dict[str, Any]:
    answer = await call.ok(
        "DetectFaces", Image=ASTRONAUT, **({"Attributes": list(attributes)} if attributes else {})
    )
    (only,) = answer["FaceDetails"]
    return dict(only)


@pytest.mark.parametrize("attributes", [(), ("DEFAULT",)])
async def test_a_face_has_the_default_members_and_five_landmarks(
    call: Caller, attributes: tuple[str, ...]
) -> None:
    found = await face(call, *attributes)
    assert found.keys() == DEFAULT
    assert [mark["Type"] for mark in found["Landmarks"]] == [
        "eyeLeft",
        "eyeRight",
        "mouthLeft",
        "mouthRight",
        "nose",
    ]


@pytest.mark.parametrize(
    ("attribute", "member"),
    [
        ("AGE_RANGE", "AgeRange"),
        ("BEARD", "Beard"),
        ("EMOTIONS", "Emotions"),
        ("EYE_DIRECTION", "EyeDirection"),
        ("EYEGLASSES", "Eyeglasses"),
        ("EYES_OPEN", "EyesOpen"),
        ("GENDER", "Gender"),
        ("MOUTH_OPEN", "MouthOpen"),
        ("MUSTACHE", "Mustache"),
        ("FACE_OCCLUDED", "FaceOccluded"),
        ("SMILE", "Smile"),
        ("SUNGLASSES", "Sunglasses"),
    ],
)
async def test_an_attribute_adds_its_member_to_the_default_ones(
    call: Caller, attribute: str, member: str
) -> None:
    assert (await face(call, attribute)).keys() == DEFAULT | {member}
    assert (await face(call, attribute, "DEFAULT")).keys() == DEFAULT | {member}


@pytest.mark.parametrize("attributes", [("ALL",), ("ALL", "DEFAULT"), ("SMILE", "ALL")])
async def test_all_gives_every_member_thirty_landmarks_and_eight_emotions_by_confidence(
    call: Caller, attributes: tuple[str, ...]
) -> None:
    found = await face(call, *attributes)
    assert len(found) == len(DEFAULT) + 12
    assert len({mark["Type"] for mark in found["Landmarks"]}) == 30
    confidences = [emotion["Confidence"] for emotion in found["Emotions"]]
    assert len(confidences) == 8
    assert confidences == sorted(confidences, reverse=True)
    assert found["Emotions"][0]["Type"] == "HAPPY"
    assert found["AgeRange"] == {"Low": 33, "High": 41}


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("DetectFaces", "FaceDetails"),
        ("RecognizeCelebrities", "UnrecognizedFaces"),
        ("DetectText", "TextDetections"),
        ("DetectModerationLabels", "ModerationLabels"),
        ("DetectProtectiveEquipment", "Persons"),
    ],
)
async def test_nothing_found_is_an_empty_list_and_no_error(call: Caller, operation: str, member: str) -> None:
    assert (await call.ok(operation, Image=in_s3("coffee.png")))[member] == []


async def test_the_hundred_largest_faces_are_answered(
    own: Caller, source: MemorySource, tmp_path: Path
) -> None:
    faces = "\n".join(f"  - box: [0, 0, {0.001 * (number + 1):.3f}, 0.1]" for number in range(120))
    image = await described(own, source, tmp_path, f"faces:\n{faces}\n")
    found = (await own.ok("DetectFaces", Image=image))["FaceDetails"]
    assert len(found) == 100
    assert min(item["BoundingBox"]["Width"] for item in found) > 0.0205
    everybody = await own.ok("RecognizeCelebrities", Image=image)
    assert len(everybody["UnrecognizedFaces"]) == 64


async def test_the_astronaut_is_recognised_and_can_be_looked_up(call: Caller) -> None:
    answer = await call.ok("RecognizeCelebrities", Image=ASTRONAUT)
    (celebrity,) = answer["CelebrityFaces"]
    assert celebrity["Name"] == "Eileen Collins"
    assert celebrity["MatchConfidence"] > 99
    assert celebrity["KnownGender"] == {"Type": "Female"}
    assert len(celebrity["Face"]["Landmarks"]) == 5
    assert answer["UnrecognizedFaces"] == []
    info = await call.ok("GetCelebrityInfo", Id=celebrity["Id"])
    assert info == {member: celebrity[member] for member in ("Name", "Urls", "KnownGender")}
    assert not any(url.startswith("http") for url in info["Urls"])


async def test_an_unknown_celebrity_is_not_found(call: Caller) -> None:
    status, code, message = await call.error("GetCelebrityInfo", Id="nobody7")
    assert (status, code) == (400, "ResourceNotFoundException")
    assert "nobody7" in message
    assert (await call.error("GetCelebrityInfo"))[1] == "ValidationException"
    assert (await call.error("GetCelebrityInfo", Id="not an id"))[1] == "ValidationException"


async def test_lines_come_first_and_words_point_at_them(call: Caller) -> None:
    found = (await call.ok("DetectText", Image=SIGN))["TextDetections"]
    assert [item["Id"] for item in found] == list(range(len(found)))
    lines = [item for item in found if item["Type"] == "LINE"]
    words = [item for item in found if item["Type"] == "WORD"]
    assert found[: len(lines)] == lines
    assert all("ParentId" not in line for line in lines)
    assert [line["DetectedText"] for line in lines] == [
        "DARKROOM",
        "Film & Prints",
        "Open 9 - 18",
        "Monday to Friday",
    ]
    for line in lines:
        own_words = [word["DetectedText"] for word in words if word["ParentId"] == line["Id"]]
        assert " ".join(own_words) == line["DetectedText"]
    assert all(len(item["Geometry"]["Polygon"]) == 4 for item in found)


async def test_without_a_word_filter_there_is_no_minimum_and_with_an_empty_one_it_is_80(call: Caller) -> None:
    async def texts(**filters: Any) -> list[str]:
        answer = await call.ok("DetectText", Image=SIGN, **filters)
        return [item["DetectedText"] for item in answer["TextDetections"] if item["Type"] == "WORD"]

    assert "to" in await texts()
    assert "to" not in await texts(Filters={"WordFilter": {}})
    assert "to" in await texts(Filters={"WordFilter": {"MinConfidence": 61}})
    assert await texts(Filters={"WordFilter": {"MinConfidence": 0, "MinBoundingBoxHeight": 0.1}}) == [
        "DARKROOM"
    ]
    assert await texts(Filters={"WordFilter": {"MinConfidence": 0, "MinBoundingBoxWidth": 0.5}}) == [
        "DARKROOM"
    ]


@pytest.mark.parametrize(
    "region",
    [
        {"BoundingBox": {"Left": 0, "Top": 0.4, "Width": 1, "Height": 0.15}},
        {"Polygon": [{"X": 0, "Y": 0.4}, {"X": 1, "Y": 0.4}, {"X": 1, "Y": 0.55}, {"X": 0, "Y": 0.55}]},
    ],
)
async def test_a_region_leaves_what_lies_in_it_and_ids_remain_a_sequence(
    call: Caller, region: dict[str, Any]
) -> None:
    answer = await call.ok("DetectText", Image=SIGN, Filters={"RegionsOfInterest": [region]})
    found = answer["TextDetections"]
    assert [item["DetectedText"] for item in found] == ["Film & Prints", "Film", "&", "Prints"]
    assert [item["Id"] for item in found] == [0, 1, 2, 3]
    assert {item["ParentId"] for item in found[1:]} == {0}


@pytest.mark.parametrize(
    "region",
    [{}, {"Polygon": [{"X": 0, "Y": 0}, {"X": 1, "Y": 1}]}, {"BoundingBox": {}, "Polygon": [{}, {}, {}]}],
)
async def test_a_region_that_is_no_region_is_an_invalid_parameter(
    call: Caller, region: dict[str, Any]
) -> None:
    answer = await call.error("DetectText", Image=SIGN, Filters={"RegionsOfInterest": [region]})
    assert answer[1] == "InvalidParameterException"


async def test_at_most_a_hundred_words_are_answered(
    own: Caller, source: MemorySource, tmp_path: Path
) -> None:
    lines = "\n".join(f"  - one two three four five {number}" for number in range(30))
    image = await described(own, source, tmp_path, f"text:\n{lines}\n")
    found = (await own.ok("DetectText", Image=image))["TextDetections"]
    assert sum(item["Type"] == "WORD" for item in found) == 100
    assert [item["Id"] for item in found] == list(range(len(found)))


async def test_a_moderation_chain_is_whole_and_deepest_first(
    own: Caller, source: MemorySource, tmp_path: Path
) -> None:
    image = await described(own, source, tmp_path, "moderation: {Smoking: 92.1, Gambling: 40}\n")
    answer = await own.ok("DetectModerationLabels", Image=image)
    assert [
        (item["Name"], item["ParentName"], item["TaxonomyLevel"]) for item in answer["ModerationLabels"]
    ] == [
        ("Smoking", "Drugs & Tobacco Paraphernalia & Use", 3),
        ("Drugs & Tobacco Paraphernalia & Use", "Drugs & Tobacco", 2),
        ("Drugs & Tobacco", "", 1),
    ]
    everything = await own.ok("DetectModerationLabels", Image=image, MinConfidence=0)
    assert everything["ModerationLabels"][-1]["Name"] == "Gambling"
    assert everything["ModerationModelVersion"] == "7.0"


async def test_the_drawn_still_life_shows_alcohol_and_is_illustrated(call: Caller) -> None:
    answer = await call.ok(
        "DetectModerationLabels", Image=in_s3("still-life-with-wine.png"), MinConfidence=80
    )
    assert [item["Name"] for item in answer["ModerationLabels"]] == ["Alcoholic Beverages", "Alcohol"]
    assert answer["ContentTypes"][0]["Name"] == "Illustrated"


async def test_a_human_loop_does_not_start_and_an_adapter_does_not_exist(call: Caller) -> None:
    loop = {"HumanLoopName": "loop", "FlowDefinitionArn": "arn:aws:sagemaker:us-east-1:1:flow-definition/x"}
    answer = await call.ok("DetectModerationLabels", Image=in_s3("coffee.png"), HumanLoopConfig=loop)
    assert "HumanLoopActivationOutput" not in answer
    adapter = "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v/1690405809285"
    refusal = await call.error("DetectModerationLabels", Image=in_s3("coffee.png"), ProjectVersion=adapter)
    assert refusal[1] == "ResourceNotFoundException"


WORKER = """
protective_equipment:
  - box: [0.1, 0.1, 0.4, 0.8]
    parts:
      FACE: 99.1
      HEAD: {confidence: 99.8, cover: {box: [0.2, 0.1, 0.1, 0.1], confidence: 83.9, covers: 99.6}}
      LEFT_HAND: {confidence: 97, cover: {box: [0.5, 0.5, 0.1, 0.1], confidence: 95.7, covers: 96.9}}
  - box: [0.5, 0.1, 0.4, 0.8]
    parts: {HEAD: 99}
"""


@pytest.mark.parametrize(
    ("minimum", "required", "expected"),
    [
        (80, ["HEAD_COVER"], ([0], [1], [])),
        (90, ["HEAD_COVER"], ([], [0, 1], [])),
        (80, ["HAND_COVER"], ([0], [], [1])),
        (80, ["FACE_COVER"], ([], [0], [1])),
        (80, ["HEAD_COVER", "HAND_COVER"], ([0], [1], [])),
        (99.9, ["HEAD_COVER"], ([], [], [0, 1])),
        (0, [], ([0, 1], [], [])),
    ],
)
async def test_the_summary_follows_from_the_persons(
    own: Caller,
    source: MemorySource,
    tmp_path: Path,
    minimum: float,
    required: list[str],
    expected: tuple[list[int], ...],
) -> None:
    image = await described(own, source, tmp_path, WORKER)
    answer = await own.ok(
        "DetectProtectiveEquipment",
        Image=image,
        SummarizationAttributes={"MinConfidence": minimum, "RequiredEquipmentTypes": required},
    )
    lists = ("PersonsWithRequiredEquipment", "PersonsWithoutRequiredEquipment", "PersonsIndeterminate")
    assert tuple(answer["Summary"][name] for name in lists) == expected


async def test_there_is_no_summary_unless_it_is_asked_for(call: Caller) -> None:
    assert "Summary" not in await call.ok("DetectProtectiveEquipment", Image=ASTRONAUT)


@given(st.floats(0, 100, width=32), st.sets(st.sampled_from(["FACE_COVER", "HAND_COVER", "HEAD_COVER"])))
def test_every_person_is_in_exactly_one_list_of_the_summary(minimum: float, required: set[str]) -> None:
    from darkroom.rekognition.protection import read_persons
    from darkroom.rekognition.reading import Reader, load_mapping

    persons = read_persons(Reader(), load_mapping(WORKER.encode())["protective_equipment"])
    lists = summary(persons, minimum, sorted(required))
    assert sorted(number for ids in lists.values() for number in ids) == [0, 1]


async def test_the_same_person_matches_and_a_stranger_does_not(
    own: Caller, source: MemorySource, tmp_path: Path
) -> None:
    import hashlib

    pictures = {"group.png": noise(100, 100, seed=1), "badge.png": noise(100, 100, seed=2)}
    source.objects |= pictures
    sha = {name: hashlib.sha256(data).hexdigest() for name, data in pictures.items()}
    write_fixture(
        tmp_path,
        "group",
        f"image: {{sha256: {sha['group.png']}}}\nfaces:\n"
        "  - {box: [0.1, 0.1, 0.2, 0.2], person: ada}\n  - {box: [0.5, 0.1, 0.2, 0.2], person: bob}\n",
    )
    write_fixture(
        tmp_path,
        "badge",
        f"image: {{sha256: {sha['badge.png']}}}\nfaces:\n"
        "  - {box: [0.1, 0.1, 0.1, 0.1], person: bob}\n  - {box: [0.3, 0.1, 0.5, 0.5], person: ada}\n",
    )
    request = {"SourceImage": in_s3("badge.png"), "TargetImage": in_s3("group.png")}
    answer = await own.ok("CompareFaces", **request)
    (match,) = answer["FaceMatches"]
    assert match["Similarity"] > 99
    assert round(match["Face"]["BoundingBox"]["Left"], 3) == 0.1
    (other,) = answer["UnmatchedFaces"]
    assert round(other["BoundingBox"]["Left"], 3) == 0.5
    assert round(answer["SourceImageFace"]["BoundingBox"]["Width"], 3) == 0.5
    everybody = await own.ok("CompareFaces", **request, SimilarityThreshold=0)
    similarities = [item["Similarity"] for item in everybody["FaceMatches"]]
    assert len(similarities) == 2
    assert similarities == sorted(similarities, reverse=True)


async def test_comparing_a_picture_with_itself_is_a_full_match(call: Caller) -> None:
    answer = await call.ok("CompareFaces", SourceImage=ASTRONAUT, TargetImage=ASTRONAUT)
    assert [item["Similarity"] for item in answer["FaceMatches"]] == [100.0]


@pytest.mark.parametrize(
    ("source_key", "target_key"),
    [("coffee.png", "astronaut-eileen-collins.png"), ("astronaut-eileen-collins.png", "coffee.png")],
)
async def test_comparing_without_a_face_is_an_invalid_parameter(
    call: Caller, source_key: str, target_key: str
) -> None:
    refusal = await call.error("CompareFaces", SourceImage=in_s3(source_key), TargetImage=in_s3(target_key))
    assert refusal == (400, "InvalidParameterException", "Request has invalid parameters")


async def test_a_quality_filter_refuses_a_poor_face(
    own: Caller, source: MemorySource, tmp_path: Path
) -> None:
    image = await described(
        own, source, tmp_path, "faces: [{box: [0, 0, 1, 1], quality: {brightness: 30, sharpness: 90}}]\n"
    )
    request = {"SourceImage": image, "TargetImage": image}
    assert (await own("CompareFaces", **request, QualityFilter="LOW")).status == 200
    refusal = await own.error("CompareFaces", **request, QualityFilter="HIGH")
    assert refusal[1] == "InvalidParameterException"


async def test_twenty_callers_on_different_pictures_never_see_each_others_answers(call: Caller) -> None:
    import asyncio
    import json

    pictures = [noise(90 + number, 90, seed=number) for number in range(20)]
    alone = [(await call("DetectLabels", Image=inline(data), MinConfidence=0)).body for data in pictures]
    assert len(set(alone)) > 15

    async def caller(number: int) -> None:
        for round_ in range(5):
            index = (number + round_ * 7) % 20
            answer = await call("DetectLabels", Image=inline(pictures[index]), MinConfidence=0)
            assert answer.body == alone[index]
            faces = await call("DetectFaces", Image=inline(pictures[index]))
            assert "FaceDetails" in json.loads(faces.body)

    await asyncio.gather(*(caller(number) for number in range(20)))


async def test_a_plain_picture_of_the_smallest_size_has_an_answer_to_everything(call: Caller) -> None:
    image = inline(picture(80, 80))
    for operation in (
        "DetectLabels",
        "DetectFaces",
        "RecognizeCelebrities",
        "DetectText",
        "DetectModerationLabels",
    ):
        assert (await call(operation, Image=image)).status == 200
