"""The end of a stack: what goes, what stays, and nothing by mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.errors import DeployError, NotFoundError
from darkroom.operations.promotion.access import explained
from darkroom.operations.promotion.lock import Lock
from darkroom.stack.artefacts import partition_of
from darkroom.stack.leftovers import Leftover, drop, find_leftovers, is_empty
from darkroom.stack.template import Template

if TYPE_CHECKING:
    from darkroom.operations.promotion.promote import Promotion

_BUCKET = "AWS::S3::Bucket"


@dataclass(frozen=True, slots=True)
class Ending:
    """What `destroy` is about to do.

    Attributes:
        stack: name of the stack; empty where it is gone already.
        kept: buckets, tables and queues that the stack leaves behind.
        artefacts: the bucket of packages and history.
    """

    stack: str
    kept: tuple[Leftover, ...]
    artefacts: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What `destroy` did.

    Attributes:
        deleted: names of what is gone.
        kept: names of what is still there.
    """

    deleted: tuple[str, ...]
    kept: tuple[str, ...]


def ending(promotion: Promotion) -> Ending:
    """What there is to destroy.

    Raises:
        NotFoundError: nothing.
    """
    with explained():
        job = promotion.job()
        deployed = job.stacks.describe()
        if deployed is not None:
            template = Template.parse(job.stacks.template(), name="the deployed template")
            parameters = template.complete(
                {name: value for name, value in deployed.parameters.items() if name in template.parameters}
            )
        else:
            record = promotion.history().last_good()
            if record is None:
                raise NotFoundError(
                    f"There is no stack {job.stack_name} in account {promotion.target.account_id}, and nothing of one."
                )
            template = record.as_release().template
            own = {"CodeBucket": "", "CodeKey": "", "CodeHash": "", "Release": ""}
            parameters = template.complete({**record.parameters, **own})
        pseudo = {
            **job.known_pseudo_parameters(),
            "AWS::AccountId": promotion.target.account_id,
            "AWS::Partition": partition_of(promotion.target.region),
        }
        found = find_leftovers(promotion.session(), template, {**parameters, **pseudo})
        return Ending(job.stack_name if deployed else "", tuple(found), job.artefact_bucket)


def destroy(promotion: Promotion, *, who: str, delete_data: bool, empty_buckets: bool) -> Ended:
    """Delete the stack; with `delete_data` also what it leaves behind, buckets that hold something only with
    `empty_buckets`.

    Raises:
        NotFoundError: there is nothing to destroy.
        DeployError: a bucket that should go is not empty (nothing was deleted then), or CloudFormation refused.
    """
    with explained():
        job = promotion.job()
        end = ending(promotion)
        doomed = _artefacts(end.artefacts)
        if delete_data and not empty_buckets:
            _refuse_full_buckets(promotion, (*end.kept, doomed))
        with Lock(job.artefacts, who=who, report=promotion.report) as lock:
            deleted = []
            if end.stack:
                promotion.report(f"deleting the stack {end.stack}")
                job.stacks.delete()
                deleted.append(f"stack {end.stack}")
            if not delete_data:
                return Ended(tuple(deleted), (*(it.name for it in end.kept), end.artefacts))
            for leftover in end.kept:
                lock.insist()
                promotion.report(f"deleting {leftover.name}")
                drop(promotion.session(), leftover)
                deleted.append(leftover.name)
        drop(promotion.session(), doomed)
        return Ended((*deleted, end.artefacts), ())


def _artefacts(bucket: str) -> Leftover:
    return Leftover("", _BUCKET, bucket, {"BucketName": bucket}, {})


def _refuse_full_buckets(promotion: Promotion, leftovers: tuple[Leftover, ...]) -> None:
    full = [it.name for it in leftovers if it.type == _BUCKET and not is_empty(promotion.session(), it.name)]
    if full:
        raise DeployError(
            f"{' and '.join(full)} {'are' if len(full) > 1 else 'is'} not empty. Nothing was deleted.",
            hint="--empty-buckets deletes everything in them, for ever.",
        )
