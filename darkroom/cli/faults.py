"""`darkroom rekognition faults`: what goes wrong on purpose."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from darkroom.cli import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from darkroom.operations.rekognition import Control

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%?")
_MILLISECONDS = r"(\d+(?:\.\d+)?)(?:ms)?"
_LATENCY = re.compile(rf"{_MILLISECONDS}(?:\.\.{_MILLISECONDS})?")
_PERCENTILES = re.compile(rf"p50={_MILLISECONDS},p95={_MILLISECONDS}")
_PER_SECOND = re.compile(r"(\d+(?:\.\d+)?)(?:/s)?")


class _Written(click.ParamType[Any]):
    """A value with a unit, read by a function that gives None where it cannot."""

    def __init__(self, name: str, read: Callable[[str], Any], example: str) -> None:
        self.name = name
        self._read = read
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        read = self._read(str(value).strip())
        if read is None:
            self.fail(f"{value!r} must be like {self._example}", param, ctx)
        return read


def _share(text: str) -> float | None:
    """``30%`` or ``30`` as 0.3."""
    match = _SHARE.fullmatch(text)
    return float(match[1]) / 100 if match and float(match[1]) <= 100 else None


def _latency(text: str) -> dict[str, float] | None:
    """``120ms``, ``50..200ms``, or ``p50=80ms,p95=400ms`` (log-normal) as the plan has it."""
    if match := _PERCENTILES.fullmatch(text):
        return {"median": float(match[1]), "p95": float(match[2])}
    if match := _LATENCY.fullmatch(text):
        low = float(match[1])
        return {"low": low, "high": float(match[2] or low)}
    return None


def _rate(text: str) -> float | None:
    """``5/s`` or ``5``."""
    match = _PER_SECOND.fullmatch(text)
    return float(match[1]) if match and float(match[1]) > 0 else None


def _named_share(text: str) -> tuple[str, float] | None:
    """``access-denied=10%``."""
    kind, equals, share = text.partition("=")
    rate = _share(share if equals else "100")
    return None if rate is None else (kind, rate)


SHARE = _Written("share", _share, "30%")

endpoint_option = click.option(
    "--endpoint",
    metavar="URL",
    help="A server that stands alone, for example http://127.0.0.1:4567; by default the environment that is up.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the plan and what has fired as JSON."
)


@click.group("faults", invoke_without_command=True)
@endpoint_option
@json_option
@click.pass_context
def faults_command(ctx: click.Context, endpoint: str | None, as_json: bool) -> None:
    """Let calls fail on purpose: throttling, errors, latency, dropped connections. Shows what is set."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show_command, endpoint=endpoint, as_json=as_json)
    elif endpoint or as_json:
        raise click.UsageError(f"Write the option behind `{ctx.invoked_subcommand}`.")


@faults_command.command("show")
@endpoint_option
@json_option
def show_command(endpoint: str | None, as_json: bool) -> None:
    """Show what is set, and how often it has fired."""
    from darkroom.rekognition.control import show_faults

    with reached(endpoint) as control:
        _print(show_faults(control.endpoint, token=control.token), as_json=as_json)


@faults_command.command("clear")
@endpoint_option
@json_option
def clear_command(endpoint: str | None, as_json: bool) -> None:
    """End all faults."""
    from darkroom.rekognition.control import clear_faults

    with reached(endpoint) as control:
        _print(clear_faults(control.endpoint, token=control.token), as_json=as_json)


@faults_command.command("set")
@click.option("--operation", "operations", multiple=True, help="Only this one; several times for several.")
@click.option("--throttle", type=SHARE, help="So many calls: ProvisionedThroughputExceededException.")
@click.option("--error-500", type=SHARE, help="So many calls: InternalServerError.")
@click.option("--drop", type=SHARE, help="So many calls: the connection closes without an answer.")
@click.option(
    "--fault",
    "others",
    multiple=True,
    type=_Written("kind=share", _named_share, "access-denied=10%"),
    help="Any kind of docs/rekognition.md, for example access-denied=10%.",
)
@click.option(
    "--latency",
    type=_Written("time", _latency, "120ms, 50..200ms or p50=80ms,p95=400ms"),
    help="Every call takes longer: 120ms, 50..200ms, or p50=80ms,p95=400ms (log-normal).",
)
@click.option("--rate", type=_Written("rate", _rate, "5/s"), help="A rate limit per operation, such as 5/s.")
@click.option("--burst", type=click.FloatRange(min=1), help="Calls that the rate limit lets through at once.")
@click.option("--count", type=click.IntRange(min=0), help="Each fault happens so many times, then no more.")
@click.option("--after", type=click.IntRange(min=0), help="Each fault begins after so many calls.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The same seed gives the same fate.")
@click.option("--plan", type=click.File("rb"), help="A plan as JSON instead of options; - is stdin.")
@endpoint_option
@json_option
def set_command(plan: Any, endpoint: str | None, as_json: bool, **options: Any) -> None:
    """Start a plan; it replaces the one before.

    Shares are tried in the order throttle, error-500, drop, fault: the first that fires decides, so a later one is a
    share of the calls that are left. Latency comes on top. The n-th call of an operation always meets the same
    fate for the same seed.
    """
    from darkroom.errors import UsageError
    from darkroom.rekognition.control import set_faults

    document = _plan_file(plan) if plan else plan_of(**options)
    if not document.get("faults") and not document.get("tps"):
        raise UsageError(
            "No fault is named.",
            hint="For example --throttle 30%; `darkroom rekognition faults clear` ends all.",
        )
    with reached(endpoint) as control:
        _print(set_faults(control.endpoint, document, token=control.token), as_json=as_json)


def plan_of(
    *,
    operations: tuple[str, ...],
    throttle: float | None,
    error_500: float | None,
    drop: float | None,
    others: tuple[tuple[str, float], ...],
    latency: Mapping[str, float] | None,
    rate: float | None,
    burst: float | None,
    count: int | None,
    after: int | None,
    seed: int,
) -> dict[str, Any]:
    """The plan that the options describe. Latency stands first, so that refused calls are late too."""
    common: dict[str, Any] = {"operations": list(operations)} if operations else {}
    common |= {name: value for name, value in (("count", count), ("after", after)) if value is not None}
    faults: list[dict[str, Any]] = [{"kind": "latency", "latency_ms": dict(latency)}] if latency else []
    shares = (("throughput", throttle), ("internal", error_500), ("drop", drop), *others)
    faults += [{"kind": kind, "rate": share} for kind, share in shares if share]
    document: dict[str, Any] = {"seed": seed, "faults": [{**fault, **common} for fault in faults]}
    if rate:
        document["tps"] = rate
    if burst:
        document["burst"] = burst
    return document


def _plan_file(file: Any) -> dict[str, Any]:
    from darkroom.errors import UsageError

    try:
        document = json.loads(file.read())
    except ValueError as error:
        raise UsageError(f"{file.name} is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise UsageError(f'{file.name} must hold an object: {{"faults": [{{"kind": "throttling"}}]}}.')
    return document


@contextmanager
def reached(endpoint: str | None) -> Iterator[Control]:
    """Where to ask; what goes wrong there is a user's error."""
    from darkroom.errors import UsageError
    from darkroom.operations.environment import Environment
    from darkroom.operations.rekognition import control_at, control_of
    from darkroom.rekognition.control import ControlError
    from darkroom.settings import load

    try:
        yield control_at(endpoint) if endpoint else control_of(Environment(load()))
    except ControlError as error:
        raise UsageError(str(error)) from None


def _print(state: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        console.print_json(state)
        return
    for line in _lines(state["plan"], state["fired"]):
        click.echo(line)


def _lines(plan: Mapping[str, Any], fired: Mapping[str, int]) -> Iterator[str]:
    if plan["tps"]:
        yield (
            f"rate limit of {plan['tps']:g}/s per operation, {plan['burst']:g} at once; "
            f"refused {fired.get('tps', 0)}"
        )
    for fault in plan["faults"]:
        calls = ", ".join(fault["operations"]) or "all operations"
        share = f"{fault['rate'] * 100:.4g} %"
        limits = [f"{fault['count']} times"] if fault["count"] is not None else []
        limits += [f"after {fault['after']} calls"] if fault["after"] else []
        extra = f" ({', '.join(limits)})" if limits else ""
        what = fault["kind"] + _wait(fault["latency_ms"])
        yield f"{what}: {share} of {calls}{extra}; fired {fired.get(fault['kind'], 0)}"
    if not plan["tps"] and not plan["faults"]:
        yield "No faults are set."
    elif plan["faults"]:
        yield f"seed {plan['seed']}"


def _wait(latency: Mapping[str, float]) -> str:
    if "median" in latency:
        return f" p50 {latency['median']:g} ms, p95 {latency['p95']:g} ms"
    if not latency["high"]:
        return ""
    low, high = latency["low"], latency["high"]
    return f" {low:g} ms" if low == high else f" {low:g}..{high:g} ms"
