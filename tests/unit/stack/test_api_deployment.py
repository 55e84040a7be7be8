"""CloudFormation copies a REST API into a deployment once and never again, unless the deployment has another name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

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


def fingerprint() -> str:
    content = {name: [each.type, each.condition, each.properties] for name, each in copied().items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]


def test_the_name_of_a_deployment_ends_in_a_hash_of_the_api_so_that_aws_serves_every_change() -> None:
    names = {name for name, each in TEMPLATE.resources.items() if each.type == "AWS::ApiGateway::Deployment"}
    wanted = {f"ApiDeployment{kind}{fingerprint()}" for kind in ("Open", "SignIn")}
    assert names == wanted, "the API has changed: give both deployments in template.yaml these names"


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
