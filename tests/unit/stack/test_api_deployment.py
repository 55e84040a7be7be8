"""CloudFormation copies a REST API into a deployment once and never again, unless the deployment has another name."""

from __future__ import annotations

from pathlib import Path

from darkroom.stack.api_deployment import with_fresh_deployments
from darkroom.stack.template import Resource, Template

TEMPLATE = Template.load(Path(__file__).parents[3] / "template.yaml")
NOT_COPIED = {"AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage"}


def copied() -> dict[str, Resource]:
    """What a deployment is a copy of."""
    return {
        name: resource
        for name, resource in TEMPLATE.resources.items()
        if resource.type.startswith("AWS::ApiGateway::") and resource.type not in NOT_COPIED
    }


VALUES = TEMPLATE.complete({"CodeBucket": "b", "CodeKey": "k", "CodeHash": "h", "Release": "r"})


def deployments(template: Template) -> set[str]:
    return {name for name, each in template.resources.items() if each.type == "AWS::ApiGateway::Deployment"}


def test_a_changed_api_is_deployed_under_another_name_so_that_aws_serves_the_change() -> None:
    sent = with_fresh_deployments(TEMPLATE, VALUES)
    assert deployments(TEMPLATE) & deployments(sent) == set()
    changed = Template.parse(TEMPLATE.body.replace("HttpMethod: ANY", "HttpMethod: POST"))
    assert changed.body != TEMPLATE.body
    assert deployments(with_fresh_deployments(changed, VALUES)) & deployments(sent) == set()
    assert deployments(with_fresh_deployments(sent, VALUES)) == deployments(sent), "as on the way back"


def test_a_deployment_is_made_after_everything_that_it_copies() -> None:
    waited_for = {
        name for name, each in copied().items() if each.type.endswith(("::Method", "::GatewayResponse"))
    }
    body = TEMPLATE.body
    for line in (line for line in body.splitlines() if "DependsOn: [PageRootMethod" in line):
        assert {part.strip(" []") for part in line.partition("[")[2].split(",")} == waited_for


def test_only_the_files_of_the_page_are_open_where_people_sign_in() -> None:
    methods = {name: each.properties for name, each in copied().items() if each.type.endswith("::Method")}
    always_open = {name for name, each in methods.items() if each["AuthorizationType"] == "NONE"}
    assert always_open == {"PageRootMethod", "PageMethod"}
    assert all(methods[name]["HttpMethod"] == "GET" for name in always_open)
    signed_in = {"Fn::If": ["SignsIn", "COGNITO_USER_POOLS", "NONE"]}
    assert all(
        each["AuthorizationType"] == signed_in for name, each in methods.items() if name not in always_open
    )


def test_people_sign_in_on_aws_unless_somebody_says_otherwise() -> None:
    assert TEMPLATE.parameters["SignIn"].default == "on"
    assert TEMPLATE.parameters["CompatibleRoutes"].default == "off"
