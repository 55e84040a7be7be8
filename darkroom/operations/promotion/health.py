"""How a deployed environment does: the stack, its last deployment, the dead letters and the alarms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from darkroom.operations.records import Images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.operations.promotion.promote import Promotion


@dataclass(frozen=True, slots=True)
class Health:
    """What was found.

    Attributes:
        stack: name and account.
        status: CloudFormation's word for its state.
        bucket: of the images.
        records: how many there are; DynamoDB counts every six hours.
        dead_letters: events that Lambda gave up.
        alarms: names of alarms that ring.
        release: what is deployed.
        deployed: when, by whom, from which commit, and how that ended; empty where no deployment is kept.
        page: its address.
    """

    stack: str
    status: str
    bucket: str
    records: int
    dead_letters: int
    alarms: tuple[str, ...]
    release: str
    deployed: str
    page: str

    @property
    def troubles(self) -> list[str]:
        """What somebody should look at, in sentences."""
        found = [] if self.status.endswith("_COMPLETE") else [f"the stack is in the state {self.status}"]
        found += [f"the alarm {name} rings" for name in self.alarms]
        if self.dead_letters:
            found.append(f"{self.dead_letters} events were given up: see `darkroom failed --env …`")
        return found

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, what) for a person."""
        yield "stack", f"{self.stack}: {self.status}"
        yield "release", f"{self.release}  {self.deployed}".rstrip()
        yield "bucket", self.bucket
        yield "records", f"about {self.records:,}"
        yield "given up", f"{self.dead_letters:,} events"
        if self.page:
            yield "page", self.page

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "troubles": self.troubles}


def health_of(promotion: Promotion) -> Health:
    """Ask.

    Raises:
        NotFoundError: the stack is not deployed.
    """
    target = promotion.stack()
    deployed = promotion.job().stacks.describe()
    release = deployed.parameters.get("Release", "") if deployed else ""
    last = promotion.history().last_of(release)
    attributes = target.session.client("sqs").get_queue_attributes(
        QueueUrl=target.outputs.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    alarms = target.session.client("cloudwatch").describe_alarms(
        AlarmNamePrefix=f"{target.stack}-", StateValue="ALARM"
    )["MetricAlarms"]
    who = (
        f"{last.started_at} by {last.who.rsplit('/', 1)[-1]} from {last.commit[:10] or 'no commit'}: {last.outcome}"
        if last
        else ""
    )
    return Health(
        stack=f"{target.stack} in account {promotion.target.account_id}, {promotion.target.region}",
        status=deployed.status if deployed else "",
        bucket=target.outputs.bucket,
        records=Images(target.session, table=target.outputs.table).count_roughly(),
        dead_letters=int(attributes["ApproximateNumberOfMessages"]),
        alarms=tuple(it["AlarmName"] for it in alarms),
        release=release,
        deployed=who,
        page=promotion.page_url(),
    )
