"""Which changes of a template LocalStack would ignore, and which kinds of resources it leaves out."""

from __future__ import annotations

import pytest

from darkroom.errors import DeployError, UsageError
from darkroom.operations.localstack_changes import Ignored, ignored_changes, refuse_unsupported, refuse_values
from darkroom.settings import PROJECT_ROOT
from darkroom.stack import Template

TEMPLATE = """
Parameters:
  Threshold: {Type: Number, Default: 75}
  Days: {Type: Number, Default: 30}
  Fancy: {Type: String, Default: "no"}
  Release: {Type: String, Default: ""}
Conditions:
  IsFancy: !Equals [!Ref Fancy, "yes"]
Resources:
  Tagger:
    Type: AWS::Lambda::Function
    Properties:
      Description: !Sub "release ${Release}"
      Environment: {Variables: {MIN: !Ref Threshold}}
  Role:
    Type: AWS::IAM::Role
    Properties: {Policies: [{PolicyName: tagger}]}
  Logs:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !If [IsFancy, fancy, !Sub "/plain/${AWS::StackName}"]
      RetentionInDays: !Ref Days
  Board:
    Type: AWS::CloudWatch::Dashboard
    Condition: IsFancy
    Properties: {DashboardBody: "{}"}
"""


def ignored(text: str, **values: str) -> Ignored:
    before, after = Template.parse(TEMPLATE), Template.parse(text)
    return ignored_changes((before, before.complete({})), (after, after.complete(values)))


def changed(text: str = TEMPLATE, **values: str) -> tuple[str, ...]:
    return ignored(text, **values).real


def test_nothing_changed_needs_nothing() -> None:
    assert changed() == ()


def test_a_new_release_or_another_variable_of_a_function_is_updated() -> None:
    assert changed(Release="0123456789abcdef") == ()
    assert changed(Threshold="60") == ()


def test_a_parameter_of_anything_else_needs_a_new_stack() -> None:
    assert changed(Days="7") == ("Logs",)


def test_a_condition_that_turns_over_is_seen_behind_its_name() -> None:
    assert changed(Fancy="yes") == ("Board", "Logs")


def test_changed_added_and_removed_resources_are_named() -> None:
    assert changed(TEMPLATE.replace("/plain/", "/other/")) == ("Logs",)
    more = TEMPLATE + "  Queue: {Type: AWS::SQS::Queue}\n"
    assert changed(more) == ("Queue",)
    assert changed(TEMPLATE.replace("  Logs:", "  Journal:")) == ("Journal", "Logs")


def test_a_permission_makes_no_difference_where_none_is_enforced_and_is_named_apart() -> None:
    found = ignored(TEMPLATE.replace("PolicyName: tagger", "PolicyName: other"))
    assert found == Ignored(real=(), permissions=("Role",))


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ("{Type: Number, MinValue: 0, MaxValue: 100}", "100", "101"),
        ("{Type: Number}", "7", "seven"),
        ("{Type: String, AllowedValues: [a, b]}", "a", "c"),
        ('{Type: String, AllowedPattern: "[a-z]+"}', "ab", "ab1"),
    ],
)
def test_a_value_that_the_template_forbids_is_refused_before_localstack_takes_it(
    rules: str, good: str, bad: str
) -> None:
    template = Template.parse(f"Parameters: {{Size: {rules}}}\nResources: {{}}\n")
    refuse_values(template, {"Size": good})
    with pytest.raises(UsageError, match=f"Size={bad} is not allowed"):
        refuse_values(template, {"Size": bad})


def test_a_kind_that_localstack_would_only_pretend_to_make_is_refused_where_it_is_active() -> None:
    template = Template.parse(TEMPLATE)
    refuse_unsupported(template, template.complete({}))
    with pytest.raises(DeployError, match=r"Board \(AWS::CloudWatch::Dashboard\)") as refused:
        refuse_unsupported(template, template.complete({"Fancy": "yes"}))
    assert "Condition that is off locally" in refused.value.hint


def test_the_projects_template_holds_nothing_that_localstack_lacks() -> None:
    from darkroom.stack import load_environment

    template = Template.load(PROJECT_ROOT / "template.yaml")
    local = load_environment(PROJECT_ROOT / "environments" / "local.toml").parameters
    own = dict.fromkeys(("CodeBucket", "CodeKey", "CodeHash", "Release"), "")
    refuse_unsupported(template, template.complete({**own, **local}))
