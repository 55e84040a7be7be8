"""What a plan tells of resources, values and permissions."""

from __future__ import annotations

import dataclasses
import json

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from darkroom.errors import DeployError
from darkroom.stack.api_deployment import with_fresh_deployments
from darkroom.stack.plan import (
    CloudFormationChange,
    Deployed,
    Plan,
    ResourceAction,
    Wanted,
    make_plan,
    refuse_loss,
)
from darkroom.stack.policies import StatementAction, statement_changes, statements
from darkroom.stack.recreation import CREATE_ONLY
from darkroom.stack.rendering import differences, rendered
from darkroom.stack.template import Template

BEFORE = """
Parameters:
  Release: {Type: String}
  CodeHash: {Type: String}
  Memory: {Type: Number, Default: 256}
  TableName: {Type: String, Default: ImageLabels}
  Guard: {Type: String, Default: "off"}
Conditions:
  Guarded: !Equals [!Ref Guard, "on"]
Resources:
  Images: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Ref TableName}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: tagger
          PolicyDocument:
            Statement:
              - {Sid: Read, Effect: Allow, Action: s3:GetObject, Resource: !Sub "arn:aws:s3:::${AWS::StackName}/*"}
  Tagger:
    Type: AWS::Lambda::Function
    Properties:
      Description: !Sub "release ${Release}"
      MemorySize: !Ref Memory
      Role: !GetAtt Role.Arn
      Layers: !If [Guarded, [a], !Ref AWS::NoValue]
"""
AFTER = BEFORE.replace("Action: s3:GetObject,", "Action: [s3:GetObject, s3:PutObject],")


def plan_of(*changes: CloudFormationChange, template: str = AFTER, **parameters: str) -> Plan:
    new, old = Template.parse(template), Template.parse(BEFORE)
    given = {"Memory": "256", "TableName": "ImageLabels", "Guard": "off", **parameters}
    wanted = Wanted("s", new.hash, "code", given, template=new)
    before = {"Memory": "256", "TableName": "ImageLabels", "Guard": "off", "Release": "r", "CodeHash": "code"}
    return make_plan(wanted, Deployed("CREATE_COMPLETE", before, {}, template=old), changes=changes)


def test_a_value_that_differs_is_told_with_both_sides_and_the_release_is_not() -> None:
    change = CloudFormationChange("Tagger", "AWS::Lambda::Function", "Modify", "False", name="s-tagger")
    (found,) = plan_of(change, Memory="512").resources
    assert (found.action, found.name) == (ResourceAction.CHANGE, "s-tagger")
    assert [str(it) for it in found.properties] == ["MemorySize: 256 → 512"]


TABLE = CloudFormationChange(
    "Images", "AWS::DynamoDB::Table", "Modify", "True", "ReplaceAndRetain", "ImageLabels", ("TableName",)
)


def test_a_replaced_table_is_refused_until_it_is_named() -> None:
    plan = plan_of(TABLE, TableName="Other")
    assert plan.resources[0].action is ResourceAction.REPLACE
    with pytest.raises(DeployError) as caught:
        refuse_loss(plan, allowed=(), flag="--allow-loss")
    assert "Images (ImageLabels) is replaced because of TableName, and the old one stays" in str(caught.value)
    assert caught.value.hint.endswith("--allow-loss Images")
    refuse_loss(plan, allowed=("Images",), flag="--allow-loss")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            CloudFormationChange("B", "AWS::S3::Bucket", "Remove", "", "Delete"),
            "B is removed, and the old one is DEL",
        ),
        (CloudFormationChange("B", "AWS::S3::Bucket", "Modify", "Conditional"), "B may be replaced"),
        (CloudFormationChange("B", "AWS::Cognito::UserPool", "Remove", "", "Retain"), "B is removed"),
    ],
)
def test_whatever_may_lose_data_is_refused(change: CloudFormationChange, said: str) -> None:
    with pytest.raises(DeployError, match=said):
        refuse_loss(plan_of(change), allowed=("Images",), flag="--allow-loss")


def test_a_bucket_that_only_notifies_a_new_version_is_in_no_danger() -> None:
    change = CloudFormationChange(
        "B", "AWS::S3::Bucket", "Modify", "Conditional", recreating=("NotificationConfiguration",)
    )
    assert plan_of(change).resources[0].action is ResourceAction.CHANGE
    named = dataclasses.replace(change, recreating=("NotificationConfiguration", "BucketName"))
    assert plan_of(named).resources[0].action is ResourceAction.MAY_REPLACE


@pytest.mark.parametrize("kind", CREATE_ONLY)
def test_the_properties_that_ask_for_a_replacement_are_those_of_cloudformations_schemas(kind: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths = [*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())]
    assert {path.removeprefix("/properties/") for path in paths} == CREATE_ONLY[kind]


def test_a_replaced_function_is_no_loss() -> None:
    change = CloudFormationChange("Tagger", "AWS::Lambda::Function", "Modify", "True")
    refuse_loss(plan_of(change), allowed=(), flag="--allow-loss")


def test_what_a_role_gains_is_spelled_out() -> None:
    (change,) = plan_of().statements
    assert change.action is StatementAction.CHANGED
    assert str(change.statement) == (
        "Role allows s3:GetObject, s3:PutObject on arn:aws:s3:::${AWS::StackName}/*"
    )
    assert (change.details, change.widens) == (("+ s3:PutObject",), True)


def test_a_first_plan_tells_every_resource_and_statement() -> None:
    template = Template.parse(BEFORE)
    parameters = {"Memory": "256", "TableName": "t", "Guard": "off"}
    plan = make_plan(Wanted("s", "h", "c", parameters, template=template), None, adopted={"Images": "t"})
    assert [(it.logical_id, it.action.value) for it in plan.resources] == [
        ("Images", "adopted"),
        ("Role", "added"),
        ("Tagger", "added"),
    ]
    assert [it.action for it in plan.statements] == [StatementAction.ADDED]
    assert json.loads(json.dumps(plan.as_json()))["resources"][0]["name"] == "t"


ALLOW = {"Sid": "S", "Effect": "Allow", "Action": ["a:A"], "Resource": "*"}


def changed(before: dict[str, object], after: dict[str, object]) -> bool:
    pair = [
        statements({"P": {"PolicyDocument": {"Statement": [it]}}}, {"P": "AWS::IAM::Policy"})
        for it in (before, after)
    ]
    (change,) = statement_changes(*pair)
    return change.widens


CONDITION = {"StringEquals": {"aws:SourceAccount": "1"}}
DENY = ALLOW | {"Effect": "Deny"}


@pytest.mark.parametrize(
    ("before", "after", "widens"),
    [
        (ALLOW, ALLOW | {"Action": ["a:A", "a:B"]}, True),
        (ALLOW | {"Action": ["a:A", "a:B"]}, ALLOW, False),
        (ALLOW | {"Condition": CONDITION}, ALLOW, True),
        (ALLOW, ALLOW | {"Condition": CONDITION}, False),
        (DENY | {"Action": ["a:A", "a:B"]}, DENY, True),
        (DENY, DENY | {"Condition": CONDITION}, True),
        (DENY, DENY | {"Action": ["a:A", "a:B"]}, False),
        (DENY, ALLOW, True),
    ],
)
def test_whether_a_change_lets_somebody_do_more(
    before: dict[str, object], after: dict[str, object], widens: bool
) -> None:
    assert changed(before, after) is widens


def test_functions_permissions_trust_and_bucket_policies_are_statements_too() -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "l"}, "Action": "sts:AssumeRole"}
    denial = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "b"}
    permission = {"Action": "lambda:InvokeFunction", "FunctionName": "f", "Principal": "s3", "SourceArn": "x"}
    resources = {
        "P": permission,
        "R": {"AssumeRolePolicyDocument": {"Statement": trust}},
        "B": {"PolicyDocument": {"Statement": [denial]}},
    }
    found = [str(it) for it in statements(resources, {"P": "AWS::Lambda::Permission"}).values()]
    assert found == [
        "P allows s3 to lambda:InvokeFunction on f if SourceArn = x",
        "R allows Service l to sts:AssumeRole",
        "B denies everybody to s3:* on b",
    ]


def test_a_rendering_decides_conditions_and_keeps_names_that_only_cloudformation_knows() -> None:
    template = Template.parse(BEFORE)
    values = {"Release": "1", "CodeHash": "c", "Memory": "256", "TableName": "t", "Guard": "off"}
    tagger = rendered(template, values)["Tagger"]
    assert tagger == {"Description": "release 1", "MemorySize": "256", "Role": "${Role.Arn}"}
    assert rendered(template, values | {"Guard": "on"})["Tagger"]["Layers"] == ["a"]


def test_numbers_and_their_texts_are_the_same() -> None:
    assert not list(differences({"a": 75, "b": [True]}, {"a": "75", "b": ["true"]}))
    assert list(differences({"a": {"b": 1}}, {"a": {"c": 1}})) == [("a.b", 1, None), ("a.c", None, 1)]


API = """
Parameters: {Limit: {Type: Number, Default: 5}, Other: {Type: Number, Default: 1}}
Resources:
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: api}}
  Method: {Type: AWS::ApiGateway::Method, Properties: {RestApiId: !Ref Api, HttpMethod: GET, Limit: !Ref Limit}}
  Deployment: {Type: AWS::ApiGateway::Deployment, DependsOn: Method, Properties: {RestApiId: !Ref Api}}
  Stage: {Type: AWS::ApiGateway::Stage, Properties: {DeploymentId: !Ref Deployment, StageName: live}}
"""


def deployment_of(body: str, **values: str) -> str:
    template = with_fresh_deployments(Template.parse(body), {"Limit": "5", "Other": "1", **values})
    (name,) = [key for key, it in template.resources.items() if it.type == "AWS::ApiGateway::Deployment"]
    assert template.resources["Stage"].properties["DeploymentId"] == {"Ref": name}
    return name


def test_an_api_is_deployed_anew_when_its_definition_changes_and_only_then() -> None:
    first = deployment_of(API)
    assert deployment_of(API) == first
    assert deployment_of(API, Other="2") == first
    assert deployment_of(API.replace("StageName: live", "StageName: other")) == first
    assert deployment_of(API.replace("GET", "POST")) != first
    assert deployment_of(API, Limit="6") != first


def test_a_template_without_an_api_stays_as_it_is() -> None:
    template = Template.parse(BEFORE)
    assert with_fresh_deployments(template, {}) is template
