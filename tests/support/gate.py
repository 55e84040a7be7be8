"""Writes the result of the integration suite for the gate before a deployment: `make gate`.

As a pytest plugin (`-p tests.support.gate`) it counts what ran. Tests that take a permission away and see the call
refused are counted by their own: they can pass only where IAM is enforced.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from darkroom.operations.promotion.gates import RESULT, SuiteResult, code_digest, template_digest
from darkroom.settings import PROJECT_ROOT, load

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_REFUSALS = "test_least_privilege.py::test_without_it"


class Recorder:
    """Counts the outcomes of one session."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._digests = code_digest(project), template_digest(project)
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed" or report.when == "call":
            before = self._outcomes.get(report.nodeid)
            self._outcomes[report.nodeid] = "failed" if before == "failed" else report.outcome

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        outcomes = list(self._outcomes.values())
        broken = session.exitstatus not in (0, 1)  # interrupted, or nothing collected
        result = SuiteResult(
            code=self._digests[0],
            template=self._digests[1],
            engine=load().engine,
            passed=outcomes.count("passed"),
            failed=outcomes.count("failed") + (1 if broken else 0),
            skipped=outcomes.count("skipped"),
            refusals_passed=sum(
                outcome == "passed" and _REFUSALS in name for name, outcome in self._outcomes.items()
            ),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        path = self._project / RESULT
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(result), indent=1) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.keyword or config.option.markexpr:
        return  # a part of the suite proves nothing
    config.pluginmanager.register(Recorder(PROJECT_ROOT), "gate-recorder")
