from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from darkroom.errors import UsageError
from darkroom.stack.environments import load_environment
from darkroom.stack.template import Scope, Template, UnresolvableError

ROOT = Path(__file__).parents[3]
TEMPLATE = Template.load(ROOT / "template.yaml")
CODE = {"CodeBucket": "b", "CodeKey": "k", "CodeHash": "h", "Release": "r"}


def values(**given: str) -> dict[str, str]:
    return TEMPLATE.complete(CODE | given)


def test_defaults_fill_what_is_not_given() -> None:
    complete = values(MinConfidence="80")
    assert (complete["MinConfidence"], complete["MaxLabels"], complete["BucketName"]) == ("80", "50", "")


def test_an_unknown_parameter_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="MinConfidense") as caught:
        values(MinConfidense="80")
    assert "MinConfidence" in caught.value.hint


def test_a_parameter_without_a_default_must_be_given() -> None:
    with pytest.raises(UsageError, match="CodeBucket"):
        TEMPLATE.complete({})


def test_a_version_is_published_only_where_the_alias_points_at_one() -> None:
    assert "TaggerVersion" in TEMPLATE.active(values())
    assert "TaggerVersion" not in TEMPLATE.active(values(AliasTarget="latest"))


ALARMS = {"DeadLettersAlarm", "ErrorRateAlarm", "DurationAlarm"}


def test_alarms_are_there_unless_they_are_off_and_are_sent_only_to_an_address() -> None:
    assert set(TEMPLATE.active(values())) >= ALARMS
    assert "AlarmTopic" not in TEMPLATE.active(values())
    assert "AlarmTopic" in TEMPLATE.active(values(AlarmEmail="a@example.com"))
    off = TEMPLATE.active(values(Alarms="off", AlarmEmail="a@example.com"))
    assert not {"AlarmTopic", *ALARMS} & set(off)


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_watches_this_stack_only_is_quiet_without_data_and_tells_its_end(alarm: str) -> None:
    properties = TEMPLATE.resources[alarm].properties
    assert properties["TreatMissingData"] == "notBreaching"
    assert properties["AlarmActions"] == properties["OKActions"]
    watched = [each["MetricStat"]["Metric"] for each in properties.get("Metrics", []) if "MetricStat" in each]
    for metric in watched or [properties]:
        ((dimension),) = metric["Dimensions"]
        assert dimension["Value"] in (
            {"Ref": "Tagger"},
            {"Fn::GetAtt": ["DeadLetters", "QueueName"]},
        )


PSEUDO = {"AWS::StackName": "darkroom", "AWS::AccountId": "123456789012"}


@pytest.mark.parametrize(("given", "name"), [({}, "darkroom-123456789012"), ({"BucketName": "mine"}, "mine")])
def test_the_bucket_is_named_after_stack_and_account_or_as_wished(given: dict[str, str], name: str) -> None:
    scope = Scope(TEMPLATE, values(**given) | PSEUDO)
    assert scope.resolve(TEMPLATE.resources["Bucket"].properties["BucketName"]) == name


def test_what_only_the_engine_knows_is_not_guessed() -> None:
    scope = Scope(TEMPLATE, values() | PSEUDO)
    with pytest.raises(UnresolvableError):
        scope.resolve(TEMPLATE.resources["Tagger"].properties["Role"])


SMALL = """
Parameters: {Stage: {Type: String, Default: dev}, On: {Type: String, Default: true}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Both: !And [!Condition Prod, !Equals [!Ref On, "true"]]
  Either: !Or [!Condition Prod, !Equals [!Ref On, "true"]]
  Neither: !Not [!Condition Either]
Resources:
  Queue: {Type: AWS::SQS::Queue, Condition: Both}
"""


@pytest.mark.parametrize(
    ("stage", "on", "holding"),
    [
        ("prod", "true", {"Prod", "Both", "Either"}),
        ("dev", "true", {"Either"}),
        ("prod", "false", {"Prod", "Either"}),
        ("dev", "false", {"Neither"}),
    ],
)
def test_conditions_are_evaluated(stage: str, on: str, holding: set[str]) -> None:
    template = Template.parse(SMALL)
    scope = Scope(template, {"Stage": stage, "On": on})
    assert {name for name in template.conditions if scope.holds(name)} == holding
    assert set(template.active({"Stage": stage, "On": on})) == ({"Queue"} if "Both" in holding else set())


def test_a_condition_that_is_not_defined_is_named() -> None:
    template = Template.parse("Resources: {Queue: {Type: AWS::SQS::Queue, Condition: Missing}}")
    with pytest.raises(UsageError, match="Missing"):
        template.active({})


def test_sub_takes_own_variables_and_leaves_literals() -> None:
    scope = Scope(Template.parse(SMALL), {"Stage": "dev"})
    assert (
        scope.resolve({"Fn::Sub": ["${Stage}-${Own}-${!Literal}", {"Own": {"Ref": "Stage"}}]})
        == "dev-dev-${!Literal}"
    )


@pytest.mark.parametrize(
    ("body", "said"), [("a: [", "no valid YAML"), ("a: 1", "no Resources"), ("- 1", "no Resources")]
)
def test_what_is_no_template_is_refused(body: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Template.parse(body)


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml"):
        Template.load(tmp_path / "nowhere.yaml")


def test_every_environment_of_the_project_fits_the_template() -> None:
    files = sorted((ROOT / "environments").glob("*.toml"))
    assert files
    for file in files:
        values(**load_environment(file).parameters)


def statements() -> dict[str, Any]:
    (policy,) = TEMPLATE.resources["TaggerRole"].properties["Policies"]
    return {it["Sid"]: it for it in policy["PolicyDocument"]["Statement"]}


def test_only_rekognition_is_allowed_on_everything_and_no_action_is_a_wildcard() -> None:
    assert [sid for sid, it in statements().items() if it["Resource"] == "*"] == ["Recognise"]
    actions = [
        action
        for it in statements().values()
        for action in ([it["Action"]] if isinstance(it["Action"], str) else it["Action"])
    ]
    assert not [action for action in actions if "*" in action]


def test_the_template_knows_nothing_of_an_engine() -> None:
    assert not re.search(
        r"endpoint(?!: !Ref Al(?:arm|ert)Email|Configuration:)|localhost|127\.0\.0\.1|localstack|ministack",
        TEMPLATE.body,
        re.IGNORECASE,
    )


def test_what_holds_data_outlives_the_stack() -> None:
    kept = {key for key, it in TEMPLATE.resources.items() if it.deletion_policy == "RetainExceptOnCreate"}
    assert kept == {"Bucket", "Images", "LabelIndex", "Statistics", "DeadLetters", "UserPool"}
