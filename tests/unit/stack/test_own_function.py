"""Somebody's own Lambda in the tagger's place: what is read of it, and the template that comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from darkroom.errors import UsageError
from darkroom.stack import load_environment
from darkroom.stack.own_function import OwnFunction, OwnTable, with_own_function
from darkroom.stack.template import Template

ROOT = Path(__file__).parents[3]
TEMPLATE = Template.load(ROOT / "template.yaml")
EXAMPLES = ROOT / "docs" / "examples" / "own-lambda"
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::mine/*"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A handler with a policy, and settings that lack nothing."""
    code = tmp_path / "mine"
    code.mkdir()
    (code / "app.py").write_text("def lambda_handler(event, context): return 1\n")
    (code / "policy.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}))
    return tmp_path


GOOD = '[function]\ncode = "mine"\nhandler = "app.lambda_handler"\npolicy = "policy.json"\n'


def read(folder: Path, text: str) -> OwnFunction:
    (folder / "own.toml").write_text(text)
    found = load_environment(folder / "own.toml").function
    assert found is not None
    return found


def test_a_folder_a_handler_and_a_policy_are_enough(folder: Path) -> None:
    own = read(folder, GOOD)
    assert (own.code, own.handler) == (folder / "mine", "app.lambda_handler")
    assert own.policy == (STATEMENT,)
    assert (own.requirements, own.environment, own.tables) == (None, {}, ())


def test_environment_and_tables_are_read(folder: Path) -> None:
    more = (
        '[function.environment]\nTABLE = "labels"\nLIMIT = 5\nOFFLINE = true\n'
        '[[function.tables]]\nname = "labels"\nkey = "id"\nsort_key = "at"\n'
    )
    own = read(folder, GOOD + more)
    assert own.environment == {"TABLE": "labels", "LIMIT": "5", "OFFLINE": "true"}
    assert own.tables == (OwnTable("labels", "id", "at"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace('code = "mine"\n', ""), "function.code is missing"),
        (GOOD.replace('"mine"', '"theirs"'), "which is no folder"),
        (GOOD.replace("app.lambda_handler", "main.lambda_handler"), r"there is no .*main\.py"),
        (GOOD.replace("app.lambda_handler", "app"), "function.handler is 'app'"),
        (GOOD.replace('policy = "policy.json"\n', ""), "function.policy is missing"),
        (GOOD.replace("policy.json", "missing.json"), "cannot be read"),
        (GOOD.replace("policy.json", "app.py"), "is no JSON"),
        (GOOD + 'requirements = "none.txt"\n', "there is no .*none.txt"),
        (GOOD + 'memory = "512"\n', "unknown function.memory"),
        (GOOD + "environment = 5\n", "function.environment"),
        (GOOD + '[[function.tables]]\nname = "x"\n', "name and key are needed"),
        (GOOD + "[function.environment]\nA = [1]\n", "function.environment"),
        ('function = "mine"\n', r"written as \[function\]"),
    ],
)
def test_a_mistake_is_named_with_file_and_setting(folder: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        read(folder, text)
    assert "own.toml" in error.value.message


@pytest.mark.parametrize("policy", ["[]", "{}", '{"Statement": "all"}', '{"Statement": ["all"]}'])
def test_a_file_that_is_no_policy_is_refused(folder: Path, policy: str) -> None:
    (folder / "mine" / "policy.json").write_text(policy)
    with pytest.raises(UsageError, match="is no IAM policy"):
        read(folder, GOOD)


def test_account_numbers_of_a_policy_become_that_of_wherever_the_stack_is(folder: Path) -> None:
    statement = {**STATEMENT, "Resource": ["arn:aws:dynamodb:us-east-1:123456789012:table/labels", "*"]}
    (folder / "mine" / "policy.json").write_text(json.dumps({"Statement": statement}))
    (found,) = read(folder, GOOD).policy
    assert found["Resource"] == [
        {"Fn::Sub": "arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/labels"},
        "*",
    ]


def derived(folder: Path, more: str = "") -> dict[str, Any]:
    return with_own_function(TEMPLATE, read(folder, GOOD + more)).document


def test_the_function_gets_its_handler_and_environment_and_keeps_the_triggers(folder: Path) -> None:
    found = derived(folder, '[function.environment]\nTABLE = "labels"\n')["Resources"]
    tagger = found["Tagger"]["Properties"]
    assert tagger["Handler"] == "app.lambda_handler"
    assert tagger["Environment"] == {"Variables": {"TABLE": "labels"}}
    assert tagger["Code"] == TEMPLATE.resources["Tagger"].properties["Code"]
    for kept in (
        "Bucket",
        "TaggerAlias",
        "TaggerVersion",
        "TaggerPermission",
        "TaggerInvocations",
        "DeadLetters",
    ):
        assert found[kept] == TEMPLATE.document["Resources"][kept], kept


def test_the_role_may_do_what_the_policy_says_and_what_lambda_needs(folder: Path) -> None:
    (policy,) = derived(folder)["Resources"]["TaggerRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert [each.get("Sid") for each in statements] == [None, "SendDeadLetters", "WriteLogs"]
    assert statements[0] == STATEMENT


def test_darkrooms_own_functions_go_and_its_tables_stay(folder: Path) -> None:
    found = derived(folder)
    types = [(it["Type"], name) for name, it in found["Resources"].items()]
    assert [name for kind, name in types if kind == "AWS::Lambda::Function"] == ["Tagger"]
    before = {name for name, it in TEMPLATE.resources.items() if it.type == "AWS::DynamoDB::Table"}
    assert before <= found["Resources"].keys()


def test_nothing_in_it_refers_to_what_is_gone(folder: Path) -> None:
    own_table = '[[function.tables]]\nname = "labels"\nkey = "id"\n'
    found = derived(folder, own_table)
    known = found["Resources"].keys() | found["Parameters"].keys()
    text = json.dumps({"Resources": found["Resources"], "Outputs": found["Outputs"]})
    for name in TEMPLATE.resources.keys() - known:
        assert f'"{name}"' not in text, name
        assert f"${{{name}" not in text, name
    assert found["Outputs"]["TableName"]["Value"] == {"Ref": "OwnTable1"}
    assert found["Resources"]["OwnTable1"]["Properties"]["KeySchema"] == [
        {"AttributeName": "id", "KeyType": "HASH"}
    ]


def test_it_is_within_cloudformations_limit(folder: Path) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
    assert len(with_own_function(TEMPLATE, read(folder, GOOD)).body.encode()) <= 51_200


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.toml")))
def test_the_examples_are_valid(name: str) -> None:
    assert load_environment(EXAMPLES / name).function is not None
