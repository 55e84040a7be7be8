"""Somebody's own Lambda in the tagger's place: a folder with a plain handler, unchanged, described by settings.

[function]
code = "../../my-tagger"            # the folder, relative to this file
handler = "app.lambda_handler"
requirements = "requirements.txt"   # in that folder; leave it out where boto3 is enough
policy = "policy.json"              # in that folder: what its role may do

[function.environment]
TABLE = "photo-labels"

[[function.tables]]
name = "photo-labels"
key = "id"                          # partition key, a string; sort_key is possible, too

The stack then holds what the handler needs and no function that knows Darkroom's own records: bucket, trigger, function
with role and log, dead-letter queue, and these tables. Darkroom's own tables stay, so that the way back loses nothing.
It is derived from the template, so that it is the same here and on AWS.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.errors import UsageError
from darkroom.stack.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KNOWN = ("code", "handler", "requirements", "policy", "environment", "tables")
_TABLE_KEYS = ("name", "key", "sort_key")
_HANDLER = re.compile(r"[\w./-]+\.\w+")
_ACCOUNT = re.compile(r"(?<=:)\d{12}(?=:)")
_ROOTS = ("Bucket", "BucketPolicy", "TaggerPermission", "TaggerInvocations")
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9]+)[.}]")


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table of the handler; its keys are strings."""

    name: str
    key: str
    sort_key: str | None = None


@dataclass(frozen=True, slots=True)
class OwnFunction:
    """What the settings say of the handler.

    Attributes:
        code: its folder.
        handler: `module.function`, as Lambda takes it.
        requirements: file of its libraries; None where the runtime's are enough.
        policy: IAM statements of its role.
        environment: its variables.
        tables: its tables.
    """

    code: Path
    handler: str
    policy: tuple[Mapping[str, Any], ...]
    requirements: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[OwnTable, ...] = ()


def parse(path: Path, values: Any) -> OwnFunction:
    """The `[function]` table of an environment file.

    Raises:
        UsageError: something is missing or wrong; file and setting are named.
    """
    given = _table(path, "function", values, _KNOWN)
    for name in ("code", "handler", "policy"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise UsageError(f"{path}: function.{name} is missing.", hint=f"It is a text: {_example(name)}.")
    code = path.parent.joinpath(Path(given["code"]).expanduser()).resolve()
    if not code.is_dir():
        raise UsageError(f"{path}: function.code names {code}, which is no folder.")
    return OwnFunction(
        code=code,
        handler=_handler(path, code, given["handler"]),
        policy=_policy(path, code / given["policy"]),
        requirements=_requirements(path, code, given.get("requirements")),
        environment=_variables(path, given.get("environment", {})),
        tables=_tables(path, given.get("tables", [])),
    )


def with_own_function(template: Template, own: OwnFunction) -> Template:
    """The template with the handler in the tagger's place, and without what only Darkroom's functions use."""
    document = template.document
    resources: dict[str, Any] = dict(document["Resources"])
    tagger = resources["Tagger"]["Properties"]
    resources["Tagger"] = {
        **resources["Tagger"],
        "Properties": {
            **tagger,
            # the release stands here, because Lambda refuses to publish a version that differs in nothing
            "Description": {"Fn::Sub": "Your own function (release ${Release})"},
            "Handler": own.handler,
            "Environment": {"Variables": dict(own.environment)},
        },
    }
    resources["TaggerRole"] = _role(resources["TaggerRole"], own.policy)
    tables = {f"OwnTable{number}": _resource(it) for number, it in enumerate(own.tables, start=1)}
    first_table = next(iter(tables), "Images")
    data = (name for name, it in resources.items() if it["Type"] == "AWS::DynamoDB::Table")
    kept = _reachable({**resources, **tables}, (*_ROOTS, *data, *tables))
    outputs = {**document["Outputs"], "TableName": {"Value": {"Ref": first_table}}}
    derived = {
        **document,
        "Resources": kept,
        "Outputs": {
            name: it for name, it in outputs.items() if not _references(it) & (resources.keys() - kept.keys())
        },
    }
    return Template.parse(json.dumps(derived, indent=1), name="the template with your own function")


def _role(role: Mapping[str, Any], policy: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    """The tagger's role with the handler's statements; logs and dead letters are what Lambda itself needs."""
    properties = role["Properties"]
    (own,) = properties["Policies"]
    statements = own["PolicyDocument"]["Statement"]
    needed = [each for each in statements if each["Sid"] in ("SendDeadLetters", "WriteLogs")]
    document = {**own["PolicyDocument"], "Statement": [*policy, *needed]}
    return {**role, "Properties": {**properties, "Policies": [{**own, "PolicyDocument": document}]}}


def _resource(table: OwnTable) -> dict[str, Any]:
    keys = [(table.key, "HASH"), *([(table.sort_key, "RANGE")] if table.sort_key else [])]
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": table.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        },
    }


def _reachable(resources: Mapping[str, Any], roots: tuple[str, ...]) -> dict[str, Any]:
    """The resources that the roots need, in the template's order."""
    found: set[str] = set()
    ahead = list(roots)
    while ahead:
        name = ahead.pop()
        if name in resources and name not in found:
            found.add(name)
            ahead += _references(resources[name])
    return {name: it for name, it in resources.items() if name in found}


def _references(value: Any) -> set[str]:
    """Every name that a part of a template refers to."""
    return set(_names(value))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for element in value:
            yield from _names(element)
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from _named(key, element)


def _named(key: str, element: Any) -> Iterator[str]:
    """The names in one function of CloudFormation, or in what is nested below any other key."""
    match key, element:
        case (("Ref" | "DependsOn"), str()):
            yield element
        case "DependsOn", list():
            yield from element
        case "Fn::GetAtt", [str() as name, *_]:
            yield name
        case "Fn::Sub", str():
            yield from _VARIABLE.findall(element)
        case "Fn::Sub", [str() as text, dict() as own]:
            yield from _VARIABLE.findall(text)
            yield from _names(own)
        case _:
            yield from _names(element)


def _handler(path: Path, code: Path, handler: str) -> str:
    module = code / (handler.rpartition(".")[0].replace(".", "/") + ".py")
    if not _HANDLER.fullmatch(handler) or not module.is_file():
        raise UsageError(
            f"{path}: function.handler is {handler!r}, but there is no {module}.",
            hint="It is the file's name without .py, a dot, and the function's name: app.lambda_handler.",
        )
    return handler


def _policy(path: Path, file: Path) -> tuple[Mapping[str, Any], ...]:
    """The statements of an IAM policy file; account numbers in its ARNs become that of wherever the stack is."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: function.policy: {file} cannot be read: {reason}.") from None
    except ValueError as error:
        raise UsageError(f"{path}: function.policy: {file} is no JSON: {error}.") from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        raise UsageError(
            f"{path}: function.policy: {file} is no IAM policy.",
            hint='It looks like {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", …}]}.',
        )
    return tuple(
        {**each, "Resource": _anywhere(each["Resource"])} if "Resource" in each else each
        for each in statements
    )


def _anywhere(resource: Any) -> Any:
    if isinstance(resource, list):
        return [_anywhere(each) for each in resource]
    if isinstance(resource, str) and _ACCOUNT.search(resource):
        return {"Fn::Sub": _ACCOUNT.sub("${AWS::AccountId}", resource.replace("${", "${!"))}
    return resource


def _requirements(path: Path, code: Path, name: Any) -> Path | None:
    if name is None:
        return None
    file = code / str(name)
    if not file.is_file():
        raise UsageError(f"{path}: function.requirements: there is no {file}.")
    return file


def _variables(path: Path, values: Any) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(it, str | int | float) for it in values.values()):
        raise UsageError(f'{path}: function.environment holds texts and numbers: NAME = "value".')
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()
    }


def _tables(path: Path, values: Any) -> tuple[OwnTable, ...]:
    if not isinstance(values, list):
        raise UsageError(f"{path}: function.tables is a list, written as [[function.tables]].")
    tables = []
    for each in values:
        given = _table(path, "function.tables", each, _TABLE_KEYS)
        if not all(isinstance(value, str) for value in given.values()) or not {"name", "key"} <= given.keys():
            raise UsageError(f"{path}: function.tables: name and key are needed, all texts.")
        tables.append(OwnTable(**given))
    return tuple(tables)


def _table(path: Path, name: str, values: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UsageError(f"{path}: {name} must be a table, written as [{name}].")
    unknown = sorted(values.keys() - set(known))
    if unknown:
        raise UsageError(
            f"{path}: unknown {', '.join(f'{name}.{each}' for each in unknown)}.",
            hint=f"[{name}] may hold {', '.join(known)}.",
        )
    return values


def _example(name: str) -> str:
    return {
        "code": 'the folder, such as code = "../../my-tagger"',
        "handler": 'handler = "app.lambda_handler"',
        "policy": 'an IAM policy in the code folder, such as policy = "policy.json"',
    }[name]
