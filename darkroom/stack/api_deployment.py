"""A new deployment of the REST API whenever its definition changes.

An `AWS::ApiGateway::Deployment` is a snapshot, taken when it is created and never again
(https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-deploy-api.html). A template whose methods
change under the same deployment therefore goes on serving the old ones. So its logical id carries a hash of the
API's definition: another definition is another resource, and CloudFormation makes it before it removes the old one.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from darkroom.stack.template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENT = "AWS::ApiGateway::Deployment"
_DEFINED_ELSEWHERE = frozenset({DEPLOYMENT, "AWS::ApiGateway::Stage", "AWS::ApiGateway::Account"})
"""Not part of the snapshot."""
_HASHED = re.compile(r"[0-9a-f]{8}$")


def with_fresh_deployments(template: Template, values: Mapping[str, str]) -> Template:
    """The template with the hash of its API in the logical id of each deployment; the same one where it has none.

    Args:
        template: the template.
        values: the parameters that decide about its conditions.
    """
    deployments = [key for key, it in template.resources.items() if it.type == DEPLOYMENT]
    if not deployments:
        return template
    definition = {
        key: dict(it.properties)
        for key, it in template.active(values).items()
        if it.type.startswith("AWS::ApiGateway::") and it.type not in _DEFINED_ELSEWHERE
    }
    # a parameter within the definition, such as a limit, is part of it too
    text = json.dumps([definition, _used(definition, values)], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    body = template.body
    for key in deployments:
        name = _HASHED.sub("", key) + digest  # a template that was deployed before carries a hash already
        body = re.sub(rf"(?<![\w:-]){key}(?![\w-])", name, body)
    return Template.parse(body, name="template")


def _used(definition: Mapping[str, object], values: Mapping[str, str]) -> dict[str, str]:
    text = json.dumps(definition, default=str)
    return {
        name: value
        for name, value in values.items()
        if name not in {"Release", "CodeHash", "CodeKey", "CodeBucket"} and re.search(rf"\b{name}\b", text)
    }
