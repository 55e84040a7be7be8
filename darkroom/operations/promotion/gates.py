"""What must be green before anything is deployed, and how that is known.

`make gate` runs the integration suite on the embedded engine, which enforces IAM, and writes its result to
`build/gate.json` with the hashes of what was tested (`tests/support/gate.py`). The gate takes that result only for
the very code and template that are to be deployed, and only for a day.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from darkroom.errors import DeployError
from darkroom.stack import package

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

RESULT = "build/gate.json"
_FRESH = timedelta(hours=24)


class GateName(StrEnum):
    """The gates that can be left out, by name and with a reason."""

    SUITE = "suite"
    """The integration suite under enforced IAM."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's result.

    Attributes:
        name: which.
        ok: whether it lets the deployment pass.
        found: what it rests on, a sentence.
        hint: what to do where it does not.
        left_out: the reason that a person gave for passing without it.
    """

    name: GateName
    ok: bool
    found: str
    hint: str = ""
    left_out: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What `make gate` wrote.

    Attributes:
        code: `code_digest` of what was tested.
        template: SHA-256 of template.yaml.
        engine: where it ran.
        passed: number of tests.
        failed: the same.
        skipped: the same.
        refusals_passed: tests that passed because a permission that was taken away was missed: they can pass only
            where IAM is enforced.
        finished_at: ISO 8601, UTC.
    """

    code: str
    template: str
    engine: str
    passed: int
    failed: int
    skipped: int
    refusals_passed: int
    finished_at: str


def code_digest(project: Path) -> str:
    """Hash of the functions' code and of the page, without their libraries."""
    return package.build(project / "lambda", page_root=project / "web").sha256


def template_digest(project: Path) -> str:
    """Hash of the template."""
    return hashlib.sha256((project / "template.yaml").read_bytes()).hexdigest()


def suite_gate(project: Path, *, now: datetime | None = None) -> Gate:
    """Whether the integration suite was green for what lies in the checkout."""
    path = project / RESULT
    hint = "Run `make gate`, then try again."
    try:
        result = SuiteResult(**json.loads(path.read_text()))
    except FileNotFoundError:
        return Gate(GateName.SUITE, False, "There is no result of the integration suite.", hint)
    except (ValueError, TypeError) as error:
        return Gate(GateName.SUITE, False, f"{RESULT} cannot be read: {error}", hint)
    if problem := _problem(result, project, now or datetime.now(UTC)):
        return Gate(GateName.SUITE, False, problem, hint)
    return Gate(
        GateName.SUITE,
        True,
        f"{result.passed} integration tests passed under enforced IAM "
        f"({result.skipped} skipped, {result.engine} engine, {result.finished_at})",
    )


def _problem(result: SuiteResult, project: Path, now: datetime) -> str:
    """Why a result does not count; empty where it does."""
    if result.failed or not result.passed:
        return f"The integration suite is not green: {result.failed} failed, {result.passed} passed."
    if not result.refusals_passed:
        return f"The integration suite ran on {result.engine}, where IAM was not enforced."
    changed = [
        name
        for name, tested, there in (
            ("the code in lambda/", result.code, code_digest(project)),
            ("template.yaml", result.template, template_digest(project)),
        )
        if tested != there
    ]
    if changed:
        return f"The integration suite was green, but {' and '.join(changed)} changed since."
    if now - datetime.fromisoformat(result.finished_at) > _FRESH:
        return f"The integration suite was green at {result.finished_at}, more than a day ago."
    return ""


def insist(gates: Sequence[Gate], *, left_out: Collection[GateName], reason: str) -> tuple[Gate, ...]:
    """The gates as they are kept with the deployment.

    Raises:
        DeployError: one does not let it pass, and was not left out.
    """
    closed = [gate for gate in gates if not gate.ok and gate.name not in left_out]
    if closed:
        raise DeployError(
            f"The gate “{closed[0].name}” is closed: {closed[0].found} Nothing was changed.",
            hint=f"{closed[0].hint} Or leave it out: --skip-gate {closed[0].name} --reason TEXT",
        )
    return tuple(
        gate if gate.ok else Gate(gate.name, True, gate.found, left_out=reason or "no reason given")
        for gate in gates
    )
