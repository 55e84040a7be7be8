"""Where an answer comes from: recordings, fixtures, rules, inventions, and strictness."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.rekognition import Rekognition
from darkroom.rekognition.recordings import RecordingStore

from .helpers import Caller, MemorySource, in_s3, inline, names, noise, photo, picture, write_fixture

if TYPE_CHECKING:
    from pathlib import Path

COFFEE = hashlib.sha256(photo("coffee.png")).hexdigest()
FIXTURE = f"image: {{name: coffee.png, sha256: {COFFEE}}}\nlabels: {{Rust: 90}}\n"


def record(folder: Path, operation: str, key: str, request: dict[str, Any], response: dict[str, Any]) -> Path:
    from darkroom.rekognition.parameters import canonical

    path = RecordingStore(folder / "recorded").path_for(operation, key, request)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "operation": operation,
        "image": {"sha256": key},
        "parameters": canonical(operation, request),
        "response": response,
    }
    path.write_text(json.dumps(document))
    return path


def label(name: str, confidence: float, *parents: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Confidence": confidence,
        "Instances": [],
        "Parents": [{"Name": parent} for parent in parents],
        "Aliases": [],
        "Categories": [{"Name": "Everyday Objects"}],
    }


def labels(*found: dict[str, Any]) -> dict[str, Any]:
    return {"Labels": list(found), "LabelModelVersion": "3.0"}


async def test_recording_beats_fixture_beats_rule_beats_invention(
    own: Caller, tmp_path: Path, now: list[float]
) -> None:
    async def step() -> tuple[str, str]:
        now[0] += 2
        answer = await own("DetectLabels", Image=in_s3("coffee.png"))
        assert answer.headers["x-darkroom-image"] == COFFEE
        return answer.headers["x-darkroom-source"], answer.headers["x-darkroom-detail"].rsplit(" ", 1)[0]

    assert (await step())[0] == "synthetic"
    write_fixture(tmp_path, "all-pngs", "when: {media: image/png}\nlabels: {Paper: 80}\n")
    assert await step() == ("authored", "rule")
    write_fixture(tmp_path, "coffee", FIXTURE)
    assert await step() == ("authored", "fixture")
    record(tmp_path, "DetectLabels", COFFEE, {"MinConfidence": 5}, labels(label("Box", 80.0)))
    assert await step() == ("recorded", "derived from recording")
    record(tmp_path, "DetectLabels", COFFEE, {}, labels(label("Key", 80.0)))
    assert await step() == ("recorded", "exact recording")


async def test_an_exact_recording_is_served_as_it_is(own: Caller, tmp_path: Path) -> None:
    truth = labels(label("Key", 55.5), label("Box", 80.123456789))
    record(tmp_path, "DetectLabels", COFFEE, {"MinConfidence": 55}, truth)
    assert await own.ok("DetectLabels", Image=in_s3("coffee.png")) == truth
    assert await own.ok("DetectLabels", Image=inline(photo("coffee.png"))) == truth


@pytest.mark.parametrize(
    ("request_part", "expected"),
    [
        ({"MinConfidence": 30}, ["Box", "Key"]),
        ({"MinConfidence": 60}, ["Box"]),
        ({"MaxLabels": 1, "MinConfidence": 10}, ["Box"]),
        ({"Settings": {"GeneralLabels": {"LabelExclusionFilters": ["Box"]}}, "MinConfidence": 10}, ["Key"]),
    ],
)
async def test_a_narrower_request_is_derived_by_the_same_filters(
    own: Caller, tmp_path: Path, request_part: dict[str, Any], expected: list[str]
) -> None:
    record(
        tmp_path, "DetectLabels", COFFEE, {"MinConfidence": 5}, labels(label("Box", 80.0), label("Key", 40.0))
    )
    assert names(await own.ok("DetectLabels", Image=in_s3("coffee.png"), **request_part)) == expected


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ({"MinConfidence": 50}, {"MinConfidence": 40}),
        ({"MaxLabels": 2}, {"MaxLabels": 3}),
        ({"Settings": {"GeneralLabels": {"LabelInclusionFilters": ["Box"]}}}, {}),
        ({}, {"Features": ["IMAGE_PROPERTIES"]}),
        (
            {"Features": ["IMAGE_PROPERTIES"], "Settings": {"ImageProperties": {"MaxDominantColors": 3}}},
            {"Features": ["IMAGE_PROPERTIES"]},
        ),
    ],
)
async def test_a_recording_that_may_lack_something_is_not_used(
    own: Caller, tmp_path: Path, recorded: dict[str, Any], asked: dict[str, Any]
) -> None:
    record(tmp_path, "DetectLabels", COFFEE, recorded, labels(label("Box", 80.0), label("Key", 70.0)))
    answer = await own("DetectLabels", Image=in_s3("coffee.png"), **asked)
    assert answer.headers["x-darkroom-source"] == "synthetic"


async def test_other_operations_are_derived_too(own: Caller, tmp_path: Path) -> None:
    image = in_s3("coffee.png")
    face = {"BoundingBox": {"Width": 1.0}, "Confidence": 99.0, "Smile": {"Value": True, "Confidence": 9.0}}
    record(tmp_path, "DetectFaces", COFFEE, {"Attributes": ["ALL"]}, {"FaceDetails": [face]})
    record(
        tmp_path,
        "DetectModerationLabels",
        COFFEE,
        {"MinConfidence": 1},
        {"ModerationLabels": [{"Name": "Gambling", "Confidence": 60.0, "ParentName": ""}]},
    )
    record(tmp_path, "DetectProtectiveEquipment", COFFEE, {}, {"Persons": []})
    record(tmp_path, "DetectText", COFFEE, {}, {"TextDetections": []})
    plain = await own.ok("DetectFaces", Image=image)
    assert "Smile" not in plain["FaceDetails"][0]
    smiling = await own.ok("DetectFaces", Image=image, Attributes=["SMILE"])
    assert smiling["FaceDetails"] == [face]
    assert len((await own.ok("DetectModerationLabels", Image=image))["ModerationLabels"]) == 1
    assert (await own.ok("DetectModerationLabels", Image=image, MinConfidence=61))["ModerationLabels"] == []
    summary = {"MinConfidence": 80, "RequiredEquipmentTypes": ["FACE_COVER"]}
    answer = await own.ok("DetectProtectiveEquipment", Image=image, SummarizationAttributes=summary)
    assert answer["Summary"]["PersonsIndeterminate"] == []
    answer = await own.ok("DetectText", Image=image, Filters={"WordFilter": {"MinConfidence": 5}})
    assert answer == {"TextDetections": []}


async def test_compare_faces_is_recorded_for_an_ordered_pair_and_an_id_for_celebrities(
    own: Caller, tmp_path: Path
) -> None:
    cat = hashlib.sha256(photo("cat-chelsea.png")).hexdigest()
    match = {"Similarity": 85.0, "Face": {"Confidence": 99.0}}
    record(tmp_path, "CompareFaces", f"{COFFEE}-{cat}", {}, {"FaceMatches": [match], "UnmatchedFaces": []})
    request = {"SourceImage": in_s3("coffee.png"), "TargetImage": in_s3("cat-chelsea.png")}
    assert (await own.ok("CompareFaces", **request))["FaceMatches"] == [match]
    stricter = await own.ok("CompareFaces", **request, SimilarityThreshold=90)
    assert stricter == {"FaceMatches": [], "UnmatchedFaces": [match["Face"]]}
    backwards = await own(
        "CompareFaces", SourceImage=request["TargetImage"], TargetImage=request["SourceImage"]
    )
    assert b"85.0" not in backwards.body
    record(tmp_path, "GetCelebrityInfo", "abc1234", {"Id": "abc1234"}, {"Name": "Somebody", "Urls": []})
    assert (await own.ok("GetCelebrityInfo", Id="abc1234"))["Name"] == "Somebody"


async def test_a_recording_that_is_none_is_an_error_that_names_the_file(own: Caller, tmp_path: Path) -> None:
    path = record(tmp_path, "DetectLabels", COFFEE, {}, {})
    path.write_text("{")
    _status, code, message = await own.error("DetectLabels", Image=in_s3("coffee.png"))
    assert code == "InvalidFixtureException"
    assert path.name in message


async def test_a_recording_that_requests_cannot_be_applied_to_is_an_error_too(
    own: Caller, tmp_path: Path
) -> None:
    record(tmp_path, "DetectLabels", COFFEE, {}, {"Labels": [{"Name": "Cat"}]})
    message = (await own.error("DetectLabels", Image=in_s3("coffee.png")))[2]
    assert "something lacks its 'Confidence'" in message


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("{key: '*.png'}", True),
        ("{key: 'coff??.png'}", True),
        ("{key: '*.jpg'}", False),
        ("{bucket: 'photos-*', key: 'coffee*'}", True),
        ("{bucket: 'others'}", False),
        ("{width: 600}", True),
        ("{width: 500..700, height: ..400}", True),
        ("{width: 601..}", False),
        ("{shape: landscape, media: image/png}", True),
        ("{shape: square}", False),
        ("{media: image/jpeg}", False),
    ],
)
async def test_a_rule_fits_by_key_dimensions_and_media_type(
    own: Caller, tmp_path: Path, when: str, fits: bool
) -> None:
    write_fixture(tmp_path, "rule", f"when: {when}\nlabels: {{Rust: 90}}\n")
    answer = await own("DetectLabels", Image=in_s3("coffee.png"))
    assert (answer.headers["x-darkroom-source"] == "authored") is fits


async def test_the_first_rule_by_file_name_wins_and_bytes_have_no_key(own: Caller, tmp_path: Path) -> None:
    write_fixture(tmp_path, "20-any", "when: {width: 1..}\nlabels: {Rust: 90}\n")
    write_fixture(tmp_path, "10-key", "when: {key: '*'}\nlabels: {Paper: 90}\n")
    assert names(await own.ok("DetectLabels", Image=in_s3("coffee.png"))) == ["Paper"]
    assert names(await own.ok("DetectLabels", Image=inline(photo("coffee.png")))) == ["Rust"]


async def test_strict_mode_refuses_what_nothing_describes_and_names_what_is_near(
    tmp_path: Path, source: MemorySource
) -> None:
    write_fixture(tmp_path, "coffee", FIXTURE.replace("}\nlabels", ", size: 100x100}\nlabels"))
    data = noise(100, 100)
    source.objects |= {"uploads/coffee.png": data}
    strict = Caller(Rekognition(fixtures=tmp_path, source=source, strict=True))
    assert (await strict("DetectLabels", Image=in_s3("coffee.png"))).status == 200
    status, code, message = await strict.error("DetectLabels", Image=in_s3("uploads/coffee.png"))
    assert (status, code) == (400, "FixtureNotFoundException")
    for part in (
        "s3://photos-bucket/uploads/coffee.png",
        hashlib.sha256(data).hexdigest(),
        "100 x 100",
        f"coffee.yaml is for coffee.png with SHA-256 {COFFEE}",
        "coffee.yaml is for a picture of the same size",
        "darkroom rekognition add",
    ):
        assert part in message
    record(tmp_path, "DetectText", hashlib.sha256(data).hexdigest(), {}, {"TextDetections": []})
    assert "is recorded for DetectText" in (await strict.error("DetectLabels", Image=inline(data)))[2]
    strict.rekognition.close()


async def test_an_invented_answer_is_the_same_for_ever_and_follows_the_pixels(own: Caller) -> None:
    one, other = noise(100, 100, seed=1), noise(100, 100, seed=2)
    first = await own("DetectLabels", Image=inline(one), MinConfidence=0)
    assert first.headers["x-darkroom-source"] == "synthetic"
    assert (await own("DetectLabels", Image=inline(one), MinConfidence=0)).body == first.body
    assert (await own("DetectLabels", Image=inline(other), MinConfidence=0)).body != first.body
    with_comment = one[:-12] + b"\x00\x00\x00\x04tEXtwhat" + b"\xcf\x10\x33\xdc" + one[-12:]
    import zlib

    chunk = b"tEXtwhat"
    with_comment = one[:-12] + b"\x00\x00\x00\x04" + chunk + zlib.crc32(chunk).to_bytes(4, "big") + one[-12:]
    assert (await own("DetectLabels", Image=inline(with_comment), MinConfidence=0)).body == first.body


async def test_all_operations_tell_the_same_invented_story(own: Caller) -> None:
    stories = set()
    for seed in range(60):
        colour = ((seed * 37) % 256, (seed * 91) % 256, (seed * 53) % 256)
        image = inline(picture(100, 80 + seed, colour=colour))
        found = names(await own.ok("DetectLabels", Image=image, MinConfidence=0))
        faces = (await own.ok("DetectFaces", Image=image, Attributes=["ALL"]))["FaceDetails"]
        people = await own.ok("RecognizeCelebrities", Image=image)
        text = (await own.ok("DetectText", Image=image))["TextDetections"]
        moderation = (await own.ok("DetectModerationLabels", Image=image, MinConfidence=0))[
            "ModerationLabels"
        ]
        persons = (await own.ok("DetectProtectiveEquipment", Image=image))["Persons"]
        assert ("Person" in found) == bool(faces)
        assert len(people["UnrecognizedFaces"]) == len(faces) == len(persons)
        assert ("Text" in found) == bool(text)
        assert ("Alcohol" in found) == bool(moderation)
        stories.add(tuple(sorted(found)))
    assert len(stories) > 5


async def test_a_blue_picture_is_not_a_forest_and_a_green_one_no_seaside(own: Caller) -> None:
    blue = names(await own.ok("DetectLabels", Image=inline(picture(colour=(90, 150, 235))), MinConfidence=0))
    green = names(await own.ok("DetectLabels", Image=inline(picture(colour=(30, 90, 35))), MinConfidence=0))
    assert "Forest" not in blue
    assert "Beach" not in green
    assert "Plant" in green
