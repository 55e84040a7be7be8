"""Who gets a worker, decided without any process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from darkroom.runtime.lanes import Call, Lane, make_room
from darkroom.runtime.model import FunctionConfig, Invocation
from darkroom.runtime.worker import State, Worker


@dataclass(eq=False)
class FakeWorker:
    state: State = State.IDLE
    idle_since: float = 0.0
    started_at: float = 0.0
    retired: bool = False


def lane(*workers: FakeWorker, waiting: int = 0, since: float = 0.0, reserved: int | None = None) -> Lane:
    config = FunctionConfig(
        "f", "arn", "1", "a.b", "python3.12", "r", 3, 128, "sha", "http://x", reserved_concurrency=reserved
    )
    made = Lane(config, workers=cast("list[Worker]", list(workers)))
    made.queued.extend(Call(Invocation("1", b"{}", "arn"), cast("Any", None), since) for _ in range(waiting))
    return made


def test_a_lane_without_workers_starts_one_at_once() -> None:
    assert lane(waiting=1).may_start_at(5.0, 0.1) == 5.0


def test_a_lane_with_workers_waits_before_it_grows() -> None:
    busy = FakeWorker(State.BUSY)
    assert lane(busy, waiting=1, since=4.95).may_start_at(5.0, 0.1) == 5.05
    assert lane(busy, waiting=1, since=4.0).may_start_at(5.0, 0.1) == 5.0


def test_a_lane_that_waits_for_nothing_does_not_grow() -> None:
    assert lane(FakeWorker(State.BUSY)).may_start_at(5.0, 0.1) is None
    assert lane(FakeWorker(State.STARTING), waiting=1).may_start_at(5.0, 0.1) is None


def test_a_lane_does_not_grow_past_its_reserved_concurrency() -> None:
    assert lane(FakeWorker(State.BUSY), waiting=3, reserved=1).may_start_at(5.0, 0.1) is None


def test_a_function_that_does_not_come_up_is_started_ever_more_rarely() -> None:
    failing = lane(waiting=9)
    pauses = []
    for _ in range(7):
        failing.delay_start(100.0)
        pauses.append(failing.may_start_at(100.0, 0.1))
    assert pauses == [100.05, 100.5, 101.0, 102.0, 104.0, 105.0, 105.0]
    failing.came_up()
    assert failing.may_start_at(100.0, 0.1) == 100.0


def test_a_free_place_is_taken_first() -> None:
    mine, other = lane(waiting=1), lane(FakeWorker())
    assert make_room([mine, other], mine, places=2, now=100).free


def test_the_worker_that_was_idle_longest_makes_room() -> None:
    old, new = FakeWorker(idle_since=10), FakeWorker(idle_since=50)
    mine = lane(waiting=1)
    room = make_room([mine, lane(new), lane(old)], mine, places=2, now=100)
    assert room.end is cast("Worker", old)


def test_growing_takes_no_worker_that_another_function_needs() -> None:
    sole_and_recent = lane(FakeWorker(idle_since=99))
    mine = lane(FakeWorker(State.BUSY), waiting=3)
    assert make_room([mine, sole_and_recent], mine, places=2, now=100).end is None
    surplus = lane(FakeWorker(idle_since=99), FakeWorker(State.BUSY))
    assert make_room([mine, surplus], mine, places=3, now=100).end is surplus.workers[0]
    forgotten = lane(FakeWorker(idle_since=50))
    assert make_room([mine, forgotten], mine, places=2, now=100).end is forgotten.workers[0]


def test_a_busy_worker_of_the_largest_lane_makes_room_for_a_lane_without_any() -> None:
    large = lane(*(FakeWorker(State.BUSY, started_at=0) for _ in range(3)), waiting=50)
    small = lane(FakeWorker(State.BUSY, started_at=0))
    mine = lane(waiting=1)
    assert make_room([mine, small, large], mine, places=4, now=100).end in large.workers


def test_a_worker_that_has_only_just_started_is_left_its_turn() -> None:
    large = lane(
        FakeWorker(State.BUSY, started_at=99.5), FakeWorker(State.STARTING, started_at=0), waiting=50
    )
    mine = lane(waiting=1)
    room = make_room([mine, large], mine, places=2, now=100)
    assert not room.free
    assert room.end is None


def test_nobody_else_is_ended_while_one_is_about_to_end() -> None:
    mine = lane(waiting=1)
    others = lane(FakeWorker(retired=True), FakeWorker())
    assert make_room([mine, others], mine, places=2, now=100).end is None
