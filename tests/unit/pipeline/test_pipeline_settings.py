from __future__ import annotations

import pytest

from pipeline.errors import ConfigurationError
from pipeline.postings import Index
from pipeline.settings import Analyzer, Settings

GOOD = {
    "AWS_REGION": "eu-west-1",
    "TABLE_NAME": "ImageLabels",
    "INDEX_TABLE_NAME": "LabelIndex",
    "INDEX_SHARDS": "4",
    "TRIGGER_PREFIX": "uploads/",
    "MIN_CONFIDENCE": "75",
    "MAX_LABELS": "50",
}


def test_settings_are_read_from_the_environment() -> None:
    assert Settings.from_environment(GOOD) == Settings(
        "eu-west-1", "ImageLabels", "uploads/", 75.0, 50, (Analyzer.LABELS,), index=Index("LabelIndex", 4)
    )


def test_an_empty_prefix_means_the_whole_bucket() -> None:
    assert Settings.from_environment(GOOD | {"TRIGGER_PREFIX": ""}).trigger_prefix == ""


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_variable_is_named(name: str) -> None:
    environment = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        Settings.from_environment(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MIN_CONFIDENCE", "101"),
        ("MIN_CONFIDENCE", "-1"),
        ("MIN_CONFIDENCE", "much"),
        ("MIN_CONFIDENCE", "nan"),
        ("INDEX_SHARDS", "0"),
        ("MAX_LABELS", "0"),
        ("MAX_LABELS", "1001"),
        ("MAX_LABELS", "2.5"),
        ("TRIGGER_PREFIX", "metadata/"),
        ("TRIGGER_PREFIX", "previews/x/"),
        ("ANALYZERS", "labels,hats"),
        ("ANALYZERS", ""),
        ("EMOTION_CONFIDENCE", "101"),
        ("MODERATION_CONFIDENCE", "some"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment(GOOD | {name: value})


def test_every_analyser_can_be_chosen() -> None:
    names = "properties, labels,faces,celebrities,text,moderation"
    assert Settings.from_environment(GOOD | {"ANALYZERS": names}).analyzers == tuple(Analyzer)


@pytest.mark.parametrize("asked", ["face-search", "SearchFacesByImage", "IndexFaces", "labels,collections"])
def test_face_collections_and_search_are_refused_by_name(asked: str) -> None:
    with pytest.raises(ConfigurationError, match="face collections and face search are not offered"):
        Settings.from_environment(GOOD | {"ANALYZERS": asked})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"MIN_CONFIDENCE": "high"})
    for name in ("AWS_REGION", "TABLE_NAME", "TRIGGER_PREFIX", "MIN_CONFIDENCE", "MAX_LABELS"):
        assert name in str(caught.value)


def test_only_what_decides_an_analysis_changes_the_fingerprint() -> None:
    base = Settings.from_environment(GOOD)
    assert (
        Settings.from_environment(GOOD | {"TABLE_NAME": "Other", "AWS_REGION": "us-east-1"}).fingerprint
        == base.fingerprint
    )
    assert Settings.from_environment(GOOD | {"MIN_CONFIDENCE": "80"}).fingerprint != base.fingerprint
    assert Settings.from_environment(GOOD | {"MAX_LABELS": "10"}).fingerprint != base.fingerprint
    assert Settings.from_environment(GOOD | {"MIN_CONFIDENCE": "75.0"}).fingerprint == base.fingerprint
    assert Settings.from_environment(GOOD | {"ANALYZERS": "labels,faces"}).fingerprint != base.fingerprint


def test_a_threshold_counts_only_where_its_analyser_is_chosen() -> None:
    strict = {"EMOTION_CONFIDENCE": "90", "MODERATION_CONFIDENCE": "90"}
    for chosen, matters in {"labels": False, "labels,faces": True, "moderation": True}.items():
        before = Settings.from_environment(GOOD | {"ANALYZERS": chosen}).fingerprint
        after = Settings.from_environment(GOOD | {"ANALYZERS": chosen} | strict).fingerprint
        assert (before != after) is matters
