"""`environments/<name>.toml`: what differs between the places where the stack runs.

description = "our production"   # one line, for people
extends = "local"                # parameters and tags of a file beside this one, unless they are set here

[parameters]                     # of template.yaml; numbers and truth values are passed on as text
MinConfidence = 80

[tags]                           # on the stack and everything in it
project = "darkroom"

[aws]                            # only where `plan` and `deploy` may go: a file without it is for local engines
account_id = "123456789012"
region = "eu-central-1"
profile = "darkroom-prod"        # of ~/.aws; without it the SDK's own chain decides (in CI: OIDC)
stack = "darkroom"               # name of the stack

[budget]                         # see `Budget`
images_per_month = 10_000
usd_per_month = 25.0

[function]                       # somebody's own Lambda in the tagger's place: see `own_function`
code = "../../my-tagger"

[stand_in]                       # a local engine in AWS's place, for a rehearsal
endpoint_url = "http://127.0.0.1:4599"
home = "../.darkroom-rehearsal"
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.errors import UsageError
from darkroom.stack import own_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from darkroom.stack.own_function import OwnFunction

_TABLES = ("parameters", "tags", "aws", "budget", "function", "stand_in")
_TEXTS = ("description", "extends")
_ACCOUNT_ID = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_STACK = re.compile(r"[a-z][a-z0-9-]{1,29}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class AwsTarget:
    """The one account and region that an environment may reach."""

    account_id: str
    region: str
    profile: str | None = None
    stack: str = "darkroom"

    @property
    def artefact_bucket(self) -> str:
        """Bucket of code packages, templates and the history of deployments."""
        return f"{self.stack}-artefacts-{self.account_id}-{self.region}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What an environment may cost.

    Attributes:
        images_per_month: for which the plan estimates the cost.
        usd_per_month: the plan says so when the estimate is over it; None sets no bound.
        verify_images: how many images `deploy` compares with real Rekognition beforehand; 0 compares none.
        verify_usd: what that may cost.
    """

    images_per_month: int = 10_000
    usd_per_month: float | None = None
    verify_images: int = 3
    verify_usd: float = 0.05


@dataclass(frozen=True, slots=True)
class StandIn:
    """A local engine that stands in for AWS.

    Attributes:
        endpoint_url: its address, on this machine only.
        home: its state folder, which holds its keys.
    """

    endpoint_url: str
    home: Path


@dataclass(frozen=True, slots=True)
class Environment:
    """The contents of one environment file."""

    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    aws: AwsTarget | None = None
    budget: Budget = field(default_factory=Budget)
    stand_in: StandIn | None = None
    function: OwnFunction | None = None


def load_environment(path: Path) -> Environment:
    """Read an environment file.

    Raises:
        UsageError: the file is missing (the message lists the others), is no TOML, or holds something
            unknown.
    """
    return _load(path, seen=())


def _load(path: Path, *, seen: tuple[Path, ...]) -> Environment:
    data = _read(path)
    unknown = sorted(data.keys() - {*_TABLES, *_TEXTS})
    if unknown:
        known = ", ".join((*_TEXTS, *_TABLES))
        raise UsageError(f"{path}: unknown {', '.join(unknown)}.", hint=f"Known are {known}.")
    for name in _TEXTS:
        if not isinstance(data.get(name, ""), str):
            raise UsageError(f"{path}: {name} must be a text.")
    base = _base(path, data.get("extends"), seen=(*seen, path))
    parameters, tags = (_texts(path, table, data.get(table, {})) for table in ("parameters", "tags"))
    return Environment(
        path.stem,
        {**base.parameters, **parameters},
        {**base.tags, **tags},
        description=data.get("description", ""),
        aws=_aws(path, data["aws"]) if "aws" in data else None,
        budget=_budget(path, data.get("budget", {})),
        stand_in=_stand_in(path, data["stand_in"]) if "stand_in" in data else None,
        function=own_function.parse(path, data["function"]) if "function" in data else base.function,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = ", ".join(sorted(other.stem for other in path.parent.glob("*.toml"))) or "none"
        raise UsageError(f"There is no environment file {path}.", hint=f"There are: {there}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}") from error


def _base(path: Path, name: str | None, *, seen: tuple[Path, ...]) -> Environment:
    if name is None:
        return Environment("", {})
    other = path.with_name(f"{name}.toml")
    if other in seen:
        raise UsageError(f"{path}: extends {name}, which leads back to {path.stem}.")
    return _load(other, seen=seen)


def _texts(path: Path, table: str, values: Any) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in _table(path, table, values).items():
        if not isinstance(value, str | int | float | bool):
            raise UsageError(f"{path}: {table}.{name} must be a text, a number or true or false.")
        texts[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return texts


def _aws(path: Path, values: Any) -> AwsTarget:
    given = _known(path, "aws", values, AwsTarget)
    for name in ("account_id", "region"):
        if not given.get(name):
            raise UsageError(
                f"{path}: aws.{name} is missing.",
                hint="`aws sts get-caller-identity` tells the account id, `aws configure get region` the region.",
            )
    _check(path, "aws.account_id", given["account_id"], _ACCOUNT_ID, "twelve digits, in quotes")
    _check(path, "aws.region", given["region"], _REGION, "a region such as eu-central-1")
    _check(path, "aws.profile", given.get("profile", "default"), re.compile(r".+"), "a profile's name")
    _check(
        path,
        "aws.stack",
        given.get("stack", "darkroom"),
        _STACK,
        "lower-case letters, digits and hyphens (2–30)",
    )
    return AwsTarget(**given)


def _budget(path: Path, values: Any) -> Budget:
    given = _known(path, "budget", values, Budget)
    for name, value in given.items():
        whole = name in {"images_per_month", "verify_images"}
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not number or value < 0:
            kind = "a whole number" if whole else "an amount in dollars"
            raise UsageError(f"{path}: budget.{name} must be {kind} of at least 0.")
    return Budget(**given)


def _stand_in(path: Path, values: Any) -> StandIn:
    given = _known(path, "stand_in", values, StandIn)
    if not all(isinstance(given.get(name), str) for name in ("endpoint_url", "home")):
        raise UsageError(f"{path}: stand_in needs endpoint_url and home, both texts.")
    if urlsplit(given["endpoint_url"]).hostname not in _LOOPBACK:
        raise UsageError(
            f"{path}: stand_in.endpoint_url must be an address of this machine.",
            hint="A stand-in is a local engine; the real AWS needs no [stand_in].",
        )
    return StandIn(given["endpoint_url"], path.parent.joinpath(given["home"]).resolve())


def _known(path: Path, table: str, values: Any, kind: Callable[..., Any]) -> dict[str, Any]:
    """The table, if every name in it is a field of the dataclass."""
    known = [it.name for it in fields(kind)]  # type: ignore[arg-type]
    given = _table(path, table, values)
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise UsageError(
            f"{path}: unknown {', '.join(f'{table}.{name}' for name in unknown)}.",
            hint=f"[{table}] may hold {', '.join(known)}.",
        )
    return given


def _table(path: Path, table: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UsageError(f"{path}: {table} must be a table, written as [{table}].")
    return values


def _check(path: Path, name: str, value: Any, pattern: re.Pattern[str], wanted: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise UsageError(f"{path}: {name} is {value!r}, and must be {wanted}.")
