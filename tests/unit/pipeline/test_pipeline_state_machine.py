"""Any sequence of uploads, removals, events, crashes and refusals ends as the bucket says.

Events come late, twice, in any order; attempts are cut off between two calls; DynamoDB cancels and throttles.
When every event was handled at last, records, JSON files, postings and counts are those of the objects that lie in the
bucket, and Rekognition was asked no more often than promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from moto import mock_aws

from pipeline import postings
from pipeline.counting import ContendedError
from pipeline.errors import ImageBusyError
from pipeline.events import Removal, Upload
from tests.unit.pipeline.conftest import make_world
from tests.unit.pipeline.world import (
    BUCKET,
    INDEX,
    LEASE_MS,
    TABLE,
    CancelledTransactions,
    Interruptions,
    PowerCutError,
    ThrottledCalls,
    counted_anew,
    png,
)

if TYPE_CHECKING:
    from pipeline.deletes import Remover

KEYS = ("uploads/a.png", "uploads/b.png")
PICTURES = [png(100 + 10 * number, 100) for number in range(3)]
LABELS = [{"Cat": 99.0, "Animal": 85.0}, {"Animal": 91.0, "Dog": 80.0}, {}]


@dataclass(eq=False)
class Event:
    """An event that S3 sent; Lambda keeps the request id when it tries again."""

    change: Upload | Removal
    owner: str


class Pipeline(RuleBasedStateMachine):
    """The rules draw what happens; `teardown` lets all events arrive and compares."""

    events = Bundle("events")

    def __init__(self) -> None:
        super().__init__()
        self.mock = mock_aws()
        self.mock.start()
        self.events_sent: list[Event] = []
        self.unhandled: list[Event] = []
        self.uploads = 0
        self.failed_attempts = 0
        self.answers = 0
        self.now = 0

    @initialize(versioned=st.booleans())
    def begin(self, versioned: bool) -> None:
        self.world = make_world(versioned=versioned)
        self.world.rekognition.answer = self.answer

    def answer(self) -> dict[str, Any]:
        """Every answer is another one, so that tagging again changes postings."""
        self.answers += 1
        labels = LABELS[self.answers % len(LABELS)]
        return {
            "Labels": [
                {"Name": name, "Confidence": confidence, "Instances": [], "Parents": [], "Categories": []}
                for name, confidence in labels.items()
            ]
        }

    def send(self, change: Upload | Removal) -> Event:
        event = Event(change, f"request-{len(self.events_sent)}")
        self.events_sent.append(event)
        self.unhandled.append(event)
        return event

    @rule(target=events, key=st.sampled_from(KEYS), picture=st.sampled_from(PICTURES))
    def upload(self, key: str, picture: bytes) -> Event:
        self.uploads += 1
        return self.send(self.world.upload(key, picture))

    @rule(target=events, key=st.sampled_from(KEYS))
    def remove(self, key: str) -> Event:
        return self.send(self.world.removal(key))

    @rule(event=events)
    def deliver(self, event: Event) -> None:
        self.attempt(event)

    @rule(event=events)
    def deliver_with_another_request(self, event: Event) -> None:
        self.attempt(Event(event.change, f"again-{self.failed_attempts}-{len(self.events_sent)}"))

    @rule(event=events, at=st.integers(1, 6), after=st.booleans())
    def deliver_and_cut_the_power(self, event: Event, at: int, after: bool) -> None:
        remover = self.world.remover()
        with Interruptions(remover.tagger, at=at, after=after):
            self.attempt(event, remover)

    @rule(event=events, times=st.integers(1, 8))
    def deliver_while_transactions_collide(self, event: Event, times: int) -> None:
        with CancelledTransactions(self.world.dynamodb, "TransactionConflict", times=times):
            self.attempt(event)

    @rule(event=events, calls=st.sets(st.integers(1, 4), min_size=1, max_size=2))
    def deliver_while_dynamodb_throttles(self, event: Event, calls: set[int]) -> None:
        with ThrottledCalls(self.world.dynamodb, calls):
            self.attempt(event)

    @rule(keys=st.sets(st.sampled_from(KEYS)), slot=st.integers(0, 3))
    def count(self, keys: set[str], slot: int) -> None:
        self.world.counting(slot=slot).count(keys)

    @rule(keys=st.sets(st.sampled_from(KEYS)), calls=st.sets(st.integers(1, 3)))
    def count_while_dynamodb_throttles(self, keys: set[str], calls: set[int]) -> None:
        with ThrottledCalls(self.world.dynamodb, calls):
            try:
                self.world.counting().count(keys)
            except (ClientError, ContendedError):
                return  # Lambda sends the batch again

    @rule()
    def time_passes(self) -> None:
        self.world.now_ms += LEASE_MS

    def attempt(self, event: Event, remover: Remover | None = None) -> None:
        """One invocation; what fails is tried again in the end."""
        remover = remover or self.world.remover()
        calls_before = len(self.world.rekognition.requests)
        try:
            if isinstance(event.change, Removal):
                remover.remove(event.change, owner=event.owner, lease_ms=LEASE_MS)
            else:
                remover.tagger.tag(event.change, owner=event.owner, lease_ms=LEASE_MS)
        except (PowerCutError, ClientError, ImageBusyError):
            self.failed_attempts += len(self.world.rekognition.requests) > calls_before
            if event not in self.unhandled:
                self.unhandled.append(event)
        else:
            if event in self.unhandled:
                self.unhandled.remove(event)

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.let_everything_arrive()
                self.compare()
        finally:
            self.mock.stop()

    def let_everything_arrive(self) -> None:
        for _ in range(4):
            self.world.now_ms += LEASE_MS
            for event in list(self.unhandled):
                self.attempt(event)
        assert not self.unhandled
        self.world.counting(slot=1).count(KEYS)

    def compare(self) -> None:
        world = self.world
        listed = world.s3.list_objects_v2(Bucket=BUCKET, Prefix="uploads/").get("Contents", [])
        present = {it["Key"]: it["ETag"].strip('"') for it in listed}
        expected: set[tuple[str, str]] = set()
        for key in KEYS:
            record = world.record(key)
            name = f"metadata/{key.removeprefix('uploads/')}.json"
            if key not in present:
                assert record is None or record["Status"] == "DELETED"
                assert name not in world.documents()
                continue
            assert record is not None
            assert (record["ETag"], record["Status"]) == (present[key], "TAGGED")
            assert world.document(name) == record
            indexed = postings.index_of(record, shards=INDEX.shards)
            expected |= {(pk, indexed.sort) for pk in indexed.keys()}  # noqa: SIM118 - no mapping
        assert {(it["pk"], it["sk"]) for it in world.everything_in(INDEX.table)} == expected
        assert not [item for item in world.everything_in(TABLE) if "Claim" in item]
        assert world.counters() == counted_anew(world)
        assert len(world.rekognition.requests) <= self.promised()

    def promised(self) -> int:
        """One for each upload, one for each version that a removal brought back, one for each attempt cut off."""
        brought_back = sum(isinstance(event.change, Removal) for event in self.events_sent)
        return self.uploads + brought_back + self.failed_attempts


TestPipeline = Pipeline.TestCase
TestPipeline.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
