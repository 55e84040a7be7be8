"""The filter engine of DetectLabels, and what completes a written label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.rekognition import MaxLabelsRule
from darkroom.rekognition.label_section import read_labels
from darkroom.rekognition.labels import Label, narrow
from darkroom.rekognition.reading import Reader
from darkroom.rekognition.taxonomy import taxonomy

from .helpers import Caller, in_s3, inline, names, photo

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = sorted(taxonomy().labels)


def completed(written: Mapping[str, Any]) -> list[Label]:
    reader = Reader()
    labels = read_labels(reader, dict(written))
    assert reader.problems == []
    return labels


FOUND = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 100, width=32), max_size=12).map(completed)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "LabelInclusionFilters": st.lists(st.sampled_from(NAMES), max_size=4),
        "LabelExclusionFilters": st.lists(st.sampled_from(NAMES), max_size=4),
        "LabelCategoryInclusionFilters": st.lists(
            st.sampled_from(sorted({entry.category or "" for entry in taxonomy().labels.values()})),
            max_size=3,
        ),
        "LabelCategoryExclusionFilters": st.lists(
            st.sampled_from(sorted({entry.category or "" for entry in taxonomy().labels.values()})),
            max_size=3,
        ),
    },
)
CONFIDENCE = st.floats(0, 100, width=32)


@given(FOUND, CONFIDENCE, CONFIDENCE, SETTINGS)
def test_a_higher_minimum_never_adds_a_label(
    found: list[Label], one: float, other: float, settings: dict[str, Any]
) -> None:
    low, high = sorted((one, other))
    more = narrow(found, {"MinConfidence": low, "Settings": {"GeneralLabels": settings}})
    fewer = narrow(found, {"MinConfidence": high, "Settings": {"GeneralLabels": settings}})
    assert [label for label in more if label in fewer] == fewer
    assert all(label["Confidence"] >= high for label in fewer)


@given(FOUND, CONFIDENCE)
def test_every_ancestor_of_an_answered_label_is_answered_and_at_least_as_sure(
    found: list[Label], minimum: float
) -> None:
    answered = {label["Name"]: label["Confidence"] for label in narrow(found, {"MinConfidence": minimum})}
    for label in narrow(found, {"MinConfidence": minimum}):
        for parent in label["Parents"]:
            assert answered[parent["Name"]] >= label["Confidence"]


@given(FOUND, CONFIDENCE, st.integers(0, 20), SETTINGS, st.sampled_from(MaxLabelsRule))
def test_labels_come_by_confidence_then_name_whatever_is_asked_for(
    found: list[Label], minimum: float, most: int, settings: dict[str, Any], rule: MaxLabelsRule
) -> None:
    request = {"MinConfidence": minimum, "MaxLabels": most, "Settings": {"GeneralLabels": settings}}
    answered = narrow(found, request, rule)
    order = [(-label["Confidence"], label["Name"]) for label in answered]
    assert order == sorted(order)
    assert len(answered) <= most
    assert len({label["Name"] for label in answered}) == len(answered)


@given(FOUND, st.integers(0, 20))
def test_max_labels_takes_leaves_before_any_ancestor(found: list[Label], most: int) -> None:
    everything = narrow(found, {"MinConfidence": 0})
    answered = {label["Name"] for label in narrow(found, {"MinConfidence": 0, "MaxLabels": most})}
    ancestors = {parent["Name"] for label in everything for parent in label["Parents"]}
    leaves = {label["Name"] for label in everything} - ancestors
    assert len(answered) == min(most, len(everything))
    if answered & ancestors:
        assert leaves <= answered


@given(FOUND, CONFIDENCE, SETTINGS)
def test_narrowing_again_with_the_same_request_changes_nothing(
    found: list[Label], minimum: float, settings: dict[str, Any]
) -> None:
    request = {"MinConfidence": minimum, "Settings": {"GeneralLabels": settings}}
    once = narrow(found, request)
    assert narrow(once, request) == once


@given(FOUND, SETTINGS)
def test_exclusion_wins_over_inclusion(found: list[Label], settings: dict[str, Any]) -> None:
    excluded = set(settings.get("LabelExclusionFilters", ()))
    answered = narrow(found, {"MinConfidence": 0, "Settings": {"GeneralLabels": settings}})
    assert excluded.isdisjoint(names({"Labels": answered}))


def test_the_measured_rule_drops_ancestors_that_tie_with_a_leaf_as_in_the_captured_answer() -> None:
    found = completed({"Bonfire": 90.45, "Anime": 89.9, "Person": 84.1})
    request = {"MinConfidence": 70, "MaxLabels": 3}
    assert names({"Labels": narrow(found, request)}) == ["Bonfire", "Anime", "Person"]
    documented = narrow(found, request, MaxLabelsRule.DOCUMENTED)
    assert names({"Labels": documented}) == ["Bonfire", "Fire", "Flame"]


async def test_the_cat_is_broad_labels_at_80_and_a_cat_when_the_threshold_is_lowered(call: Caller) -> None:
    broad = await call.ok("DetectLabels", Image=in_s3("cat-chelsea.png"), MinConfidence=80)
    assert names(broad) == ["Animal", "Mammal", "Pet"]
    lower = await call.ok("DetectLabels", Image=in_s3("cat-chelsea.png"), MinConfidence=70)
    assert names(lower) == ["Animal", "Mammal", "Pet", "Cat"]


@pytest.mark.parametrize(
    ("request_part", "expected"),
    [
        ({"MaxLabels": 0}, []),
        ({"MaxLabels": 1}, ["Kitten"]),
        ({"MaxLabels": 1001}, ["Animal", "Mammal", "Pet", "Cat", "Tabby", "Kitten"]),
        ({"MinConfidence": 71.2}, ["Animal", "Mammal", "Pet", "Cat"]),
        ({"MinConfidence": 98.9}, []),
        ({}, ["Animal", "Mammal", "Pet", "Cat", "Tabby", "Kitten"]),
        ({"Features": []}, ["Animal", "Mammal", "Pet", "Cat", "Tabby", "Kitten"]),
        ({"Features": ["IMAGE_PROPERTIES"], "MaxLabels": 1, "MinConfidence": 99}, []),
    ],
)
async def test_parameters_choose_among_what_was_found(
    own: Caller, request_part: dict[str, Any], expected: list[str], tmp_path: Any
) -> None:
    from .helpers import write_fixture

    sha = "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"
    write_fixture(
        tmp_path,
        "cat",
        f"image: {{sha256: {sha}}}\n"
        "labels: {Animal: 98.8, Mammal: 97.4, Pet: 93.1, Cat: 71.2, Tabby: 57.1, Kitten: 57}\n",
    )
    if request_part.get("MaxLabels") == 1 and "Features" not in request_part:
        expected = ["Tabby"]
    answer = await own.ok("DetectLabels", Image=in_s3("cat-chelsea.png"), **request_part)
    assert names(answer) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"LabelInclusionFilters": ["Wood", "No Such Label"]}, ["Wood"]),
        ({"LabelCategoryInclusionFilters": ["Materials"]}, ["Wood"]),
        (
            {"LabelInclusionFilters": ["Spoon"], "LabelCategoryInclusionFilters": ["Materials"]},
            ["Spoon", "Wood"],
        ),
        (
            {"LabelCategoryInclusionFilters": ["Materials"], "LabelExclusionFilters": ["Wood"]},
            [],
        ),
        ({"LabelInclusionFilters": ["wood"]}, []),
    ],
)
async def test_settings_include_and_exclude_by_exact_name_and_category(
    call: Caller, filters: dict[str, list[str]], expected: list[str]
) -> None:
    answer = await call.ok(
        "DetectLabels", Image=in_s3("coffee.png"), Settings={"GeneralLabels": filters}, MinConfidence=60
    )
    assert names(answer) == expected


@given(CONFIDENCE, st.integers(0, 12))
async def test_bytes_and_s3object_get_the_same_answer(minimum: float, most: int) -> None:
    from darkroom.rekognition import Rekognition

    from .helpers import FIXTURES, MemorySource

    data = photo("coffee.png")
    rekognition = Rekognition(fixtures=FIXTURES, source=MemorySource({"coffee.png": data}))
    call = Caller(rekognition)
    parameters = {"MinConfidence": minimum, "MaxLabels": most}
    by_bytes = await call("DetectLabels", Image=inline(data), **parameters)
    by_key = await call("DetectLabels", Image=in_s3("coffee.png"), **parameters)
    assert by_bytes.body == by_key.body
    rekognition.close()


def test_the_taxonomy_has_no_ancestor_without_an_entry() -> None:
    labels = taxonomy().labels
    assert {parent for entry in labels.values() for parent in entry.parents} <= labels.keys()
    assert all(entry.category for entry in labels.values())


def test_written_parents_bring_their_own_ancestors_as_sure_as_themselves() -> None:
    written = {"Poodle Skirt": {"confidence": 90, "parents": ["Dog"], "category": "Apparel and Accessories"}}
    found = {label["Name"]: label["Confidence"] for label in completed({**written, "Animal": 50})}
    assert found == dict.fromkeys(("Poodle Skirt", "Dog", "Animal", "Canine", "Mammal", "Pet"), 90.0)


def test_an_ancestors_ancestors_are_a_labels_own() -> None:
    labels = taxonomy().labels
    for entry in labels.values():
        for parent in entry.parents:
            assert set(labels[parent].parents) <= set(entry.parents), (entry.name, parent)


def test_parents_are_all_ancestors_in_alphabetical_order() -> None:
    assert taxonomy().labels["Cat"].parents == ("Animal", "Mammal", "Pet")
    assert taxonomy().labels["Golden Retriever"].parents == ("Animal", "Canine", "Dog", "Mammal", "Pet")
    for entry in taxonomy().labels.values():
        assert list(entry.parents) == sorted(entry.parents)
