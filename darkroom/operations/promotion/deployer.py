"""What a deployer must be allowed, for one account: `environments/deployer-policy.json` with its places filled in.

The policy is meant for a role, inline: with more than 6,144 characters it would not fit a managed policy
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from darkroom.stack.artefacts import partition_of

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom.stack.environments import AwsTarget

FILE = "environments/deployer-policy.json"
MAX_INLINE_CHARACTERS = 10_240
"""Of all inline policies of a role together, without white space."""


def deployer_policy(project: Path, target: AwsTarget) -> dict[str, Any]:
    """The policy for an account, a region and a stack."""
    text = (project / FILE).read_text()
    places = {
        "${Account}": target.account_id,
        "${Region}": target.region,
        "${Stack}": target.stack,
        "arn:aws:": f"arn:{partition_of(target.region)}:",
    }
    for place, value in places.items():
        text = text.replace(place, value)
    policy: dict[str, Any] = json.loads(text)
    return policy
