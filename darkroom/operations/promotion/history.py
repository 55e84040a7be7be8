"""What was deployed: one JSON object per deployment in the artefact bucket, with all that a way back needs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from darkroom.stack.deploy import Release
from darkroom.stack.package import UploadedCode
from darkroom.stack.template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.stack.artefacts import Artefacts
    from darkroom.stack.deploy import Prepared

_FOLDER = "deployments/"
_KEPT = 200


class Outcome(StrEnum):
    """How a deployment ended."""

    STARTED = "started"
    """Not ended: under way, or interrupted."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """CloudFormation refused it and went back by itself."""
    ROLLED_BACK = "rolled back"
    """The smoke test failed, and the release before was deployed again."""
    BROKEN = "broken"
    """The smoke test failed, and there was no way back."""


@dataclass(frozen=True, slots=True)
class Record:
    """One deployment.

    Attributes:
        id: sorts by time.
        release: hash of code, template, parameters and tags.
        outcome: how it ended.
        who: the caller's ARN.
        started_at: ISO 8601, UTC.
        finished_at: the same, empty before.
        template: text of the template.
        parameters: all but those that a deployment sets.
        tags: of the stack.
        code_key: key of the package in the artefact bucket.
        code_hash: as Lambda's CodeSha256.
        commit: of the checkout, with `+` where files differed; empty outside git.
        plan: what was to be done, as JSON.
        gates: results of the gates before, as JSON.
        smoke: result of the smoke test, as JSON.
        reason: why it failed, or why it was started.
    """

    id: str
    release: str
    outcome: Outcome
    who: str
    started_at: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    code_key: str
    code_hash: str
    commit: str = ""
    finished_at: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[Mapping[str, Any], ...] = ()
    smoke: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def as_release(self) -> Release:
        """What it deployed, to be deployed again."""
        template = Template.parse(self.template, name=f"the template of {self.id}")
        return Release(template, self.parameters, UploadedCode(self.code_key, self.code_hash), self.tags)


class History:
    """The deployments of one stack."""

    def __init__(self, artefacts: Artefacts) -> None:
        self._artefacts = artefacts

    def start(
        self,
        prepared: Prepared,
        *,
        who: str,
        commit: str,
        gates: tuple[Mapping[str, Any], ...],
        reason: str = "",
    ) -> Record:
        """Note that a deployment begins."""
        now = datetime.now(UTC)
        template = prepared.release.template
        own = {"CodeBucket", "CodeKey", "CodeHash", "Release"}
        record = Record(
            id=f"{now:%Y%m%dT%H%M%S.%fZ}-{prepared.plan.release}",
            release=prepared.plan.release,
            outcome=Outcome.STARTED,
            who=who,
            started_at=now.isoformat(timespec="seconds"),
            template=template.body,
            parameters={name: value for name, value in prepared.values.items() if name not in own},
            tags=dict(prepared.release.tags),
            code_key=prepared.release.code.key,
            code_hash=prepared.release.code.lambda_hash,
            commit=commit,
            plan=prepared.plan.as_json(),
            gates=gates,
            reason=reason,
        )
        self._write(record)
        return record

    def finish(
        self, record: Record, outcome: Outcome, *, smoke: Mapping[str, Any] | None = None, reason: str = ""
    ) -> Record:
        """Note how it ended."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        done = replace(
            record,
            outcome=outcome,
            finished_at=now,
            smoke=smoke if smoke is not None else record.smoke,
            reason=reason or record.reason,
        )
        self._write(done)
        return done

    def newest_first(self, *, limit: int = _KEPT) -> list[Record]:
        """The deployments, the last one at the top."""
        keys = self._artefacts.keys(_FOLDER)[::-1][:limit]
        return [record for key in keys if (record := self._read(key)) is not None]

    def last_good(self, *, other_than: str = "") -> Record | None:
        """The last deployment that succeeded, of another release than the given one."""
        for key in self._artefacts.keys(_FOLDER)[::-1]:
            record = self._read(key)
            if record and record.outcome is Outcome.SUCCEEDED and record.release != other_than:
                return record
        return None

    def last_of(self, release: str) -> Record | None:
        """The last deployment of a release."""
        keys = [key for key in self._artefacts.keys(_FOLDER) if key.endswith(f"-{release}.json")]
        return self._read(keys[-1]) if keys else None

    def _write(self, record: Record) -> None:
        content = json.dumps(asdict(record), indent=1).encode()
        self._artefacts.put(f"{_FOLDER}{record.id}.json", content, content_type="application/json")

    def _read(self, key: str) -> Record | None:
        stored = self._artefacts.get(key)
        if stored is None:
            return None
        data = json.loads(stored.content)
        return Record(**{**data, "outcome": Outcome(data["outcome"]), "gates": tuple(data["gates"])})
