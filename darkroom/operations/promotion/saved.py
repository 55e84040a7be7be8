"""A plan in a file, to be reviewed, and executed as it was reviewed.

The file names a change set that CloudFormation keeps; executing it does what was shown and nothing else. Code and
template are where they were put when the plan was saved. If the stack has changed since, the plan is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.engine.keys import write_private
from darkroom.errors import DeployError, UsageError
from darkroom.operations.promotion.access import explained
from darkroom.stack.artefacts import upload_code
from darkroom.stack.changes import ChangeSet, ChangeSetType
from darkroom.stack.deploy import Prepared, Release, prepare
from darkroom.stack.leftovers import Leftovers
from darkroom.stack.package import CodePackage, UploadedCode
from darkroom.stack.plan import Action
from darkroom.stack.template import Template

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom.operations.promotion.promote import Promotion
    from darkroom.stack.changes import Stacks

_VERSION = 1
_PLAN_AGAIN = "Plan again, and review that."


def save(promotion: Promotion, prepared: Prepared, path: Path, *, who: str) -> Prepared:
    """Upload the code, have CloudFormation keep the change set, and write the file.

    Returns:
        The plan with its change set.

    Raises:
        UsageError: the file cannot be written.
        DeployError: CloudFormation or the artefact bucket refused.
    """
    with explained():
        job, release = promotion.job(), prepared.release
        if isinstance(release.code, CodePackage):
            upload_code(job.artefacts, release.code)
        change_set = prepared.change_set
        if prepared.plan.action is Action.CREATE and not prepared.found:
            change_set = job.stacks.prepare(
                ChangeSetType.CREATE, release.template.body, prepared.values, tags=release.tags
            )
    content = {
        "version": _VERSION,
        "environment": promotion.environment.name,
        "account": promotion.target.account_id,
        "region": promotion.target.region,
        "stack": promotion.target.stack,
        "who": who,
        "saved_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "release": prepared.plan.release,
        "code": {"key": release.code.key, "lambda_hash": release.code.lambda_hash},
        "parameters": dict(release.parameters),
        "tags": dict(release.tags),
        "template": release.template.body,
        "change_set": None if change_set is None else json.loads(json.dumps(asdict(change_set))),
        "plan": prepared.plan.as_json(),
    }
    try:
        write_private(path, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"The plan cannot be written to {path}: {error.strerror}.") from None
    return replace(prepared, change_set=change_set)


def load(promotion: Promotion, path: Path) -> Prepared:
    """The plan in a file, if it can still be executed as it stands there.

    Raises:
        UsageError: the file is none of ours, or for another environment.
        DeployError: the stack has changed since.
    """
    saved = _read(path)
    target = promotion.target
    there = (promotion.environment.name, target.account_id, target.region, target.stack)
    meant = tuple(saved[name] for name in ("environment", "account", "region", "stack"))
    if there != meant:
        raise UsageError(f"{path} is a plan for {' / '.join(meant)}, not for {' / '.join(there)}.")
    release = Release(
        Template.parse(saved["template"], name=f"the template in {path}"),
        saved["parameters"],
        UploadedCode(**saved["code"]),
        saved["tags"],
    )
    with explained():
        return _checked(promotion, release, saved, path)


def _checked(promotion: Promotion, release: Release, saved: dict[str, Any], path: Path) -> Prepared:
    job = promotion.job()
    if not job.artefacts.exists(release.code.key):
        raise DeployError(
            f"The code of {path} is no longer in the bucket {job.artefact_bucket}.", hint=_PLAN_AGAIN
        )
    kept = _kept_change_set(job.stacks, saved, path)
    # a plan that is made again finds the same, unless something has changed meanwhile
    again = prepare(replace(job, leftovers=Leftovers.ADOPT), release)
    try:
        plan, before = again.plan.as_json(), saved["plan"]
        if plan != before:
            differing = sorted(name for name in plan if plan[name] != before.get(name))
            raise DeployError(
                f"The stack has changed since {path} was saved: {', '.join(differing)} would differ now.",
                hint=_PLAN_AGAIN,
            )
    finally:
        if again.change_set is not None:
            job.stacks.discard(again.change_set)
    return replace(again, change_set=kept)


def _kept_change_set(stacks: Stacks, saved: dict[str, Any], path: Path) -> ChangeSet | None:
    given = saved["change_set"]
    if given is None:
        return None
    try:
        found = stacks.ready(given["id"], ChangeSetType(given["kind"]))
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ChangeSetNotFound", "ChangeSetNotFoundException"):
            raise
        raise DeployError(
            f"The change set of {path} is gone: it was executed or removed, or the stack has changed since.",
            hint=_PLAN_AGAIN,
        ) from None
    if found is None or json.loads(json.dumps(asdict(found))) != given:
        raise DeployError(f"The change set of {path} is not the one that was saved.", hint=_PLAN_AGAIN)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        saved: Any = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"{path} is no saved plan: {error}.") from None
    if not isinstance(saved, dict) or saved.get("version") != _VERSION:
        raise UsageError(f"{path} is no saved plan of this version.", hint=_PLAN_AGAIN)
    return dict(saved)
