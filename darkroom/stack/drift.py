"""What somebody changed past CloudFormation: its own drift detection, asked and waited for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.errors import DeployError
from darkroom.stack.plan import PropertyChange

if TYPE_CHECKING:
    import boto3

_POLL_S = 2.0
_FIRST_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Drifted:
    """A resource that is not as the template says.

    Attributes:
        logical_id: in the template.
        type: resource type.
        name: physical id.
        deleted: whether it is gone.
        properties: what differs; before is the template's value.
    """

    logical_id: str
    type: str
    name: str
    deleted: bool
    properties: tuple[PropertyChange, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """What was found.

    Attributes:
        drifted: resources that differ.
        checked: how many resources could be compared.
        unchecked: logical ids of those that cannot: CloudFormation compares only some types.
    """

    drifted: tuple[Drifted, ...]
    checked: int
    unchecked: tuple[str, ...]


def detect_drift(session: boto3.Session, stack_name: str, *, timeout_s: float = 600) -> Drift:
    """Compare every resource with the template.

    Raises:
        DeployError: CloudFormation could not, or took too long.
    """
    client = session.client("cloudformation")
    detection = client.detect_stack_drift(StackName=stack_name)["StackDriftDetectionId"]
    deadline, pause_s = time.monotonic() + timeout_s, _FIRST_POLL_S
    while True:
        answer = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if answer["DetectionStatus"] == "DETECTION_COMPLETE":
            break
        if answer["DetectionStatus"] == "DETECTION_FAILED":
            # what could be compared is told all the same, beside what could not
            if answer.get("DriftedStackResourceCount") is None:
                reason = answer.get("DetectionStatusReason", "no reason is given")
                raise DeployError(f"CloudFormation could not compare the stack {stack_name}: {reason}")
            break
        if time.monotonic() > deadline:
            raise DeployError(f"CloudFormation took longer than {timeout_s:.0f} s to compare {stack_name}.")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _POLL_S)
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack_name)
    resources = [it for page in pages for it in page["StackResourceSummaries"]]
    states = {
        it["LogicalResourceId"]: it["DriftInformation"]["StackResourceDriftStatus"]
        for it in resources
        if "DriftInformation" in it
    }
    unchecked = [
        it["LogicalResourceId"]
        for it in resources
        if states.get(it["LogicalResourceId"], "NOT_CHECKED") in ("NOT_CHECKED", "UNKNOWN")
    ]
    return Drift(_drifted(session, stack_name), len(resources) - len(unchecked), tuple(sorted(unchecked)))


def _drifted(session: boto3.Session, stack_name: str) -> tuple[Drifted, ...]:
    client = session.client("cloudformation")
    found: list[Drifted] = []
    token = ""
    while True:
        more: dict[str, Any] = {"NextToken": token} if token else {}
        page = client.describe_stack_resource_drifts(
            StackName=stack_name, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **more
        )
        for it in page["StackResourceDrifts"]:
            differences = it.get("PropertyDifferences", [])
            found.append(
                Drifted(
                    it["LogicalResourceId"],
                    it["ResourceType"],
                    it.get("PhysicalResourceId", ""),
                    it["StackResourceDriftStatus"] == "DELETED",
                    tuple(
                        PropertyChange(
                            difference["PropertyPath"].strip("/").replace("/", "."),
                            difference.get("ExpectedValue"),
                            difference.get("ActualValue"),
                        )
                        for difference in differences
                    ),
                )
            )
        token = page.get("NextToken", "")
        if not token:
            return tuple(found)
