"""Which log streams are deleted, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.runtime import trimming
from darkroom.runtime.errors import SystemFaultError
from darkroom.runtime.trimming import LogTrimmer, StreamSize

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP = "/aws/lambda/tagger"
MADE_UP = "START RequestId: 1\nEND RequestId: 1\nREPORT RequestId: 1\tDuration: 3 ms\tBilled Duration: 3 ms"
OURS = "START RequestId: 1\nEND RequestId: 1\nREPORT RequestId: 1\tDuration: 3.21 ms\tBilled Duration: 4 ms"


class Streams:
    """The streams of one group: name -> text; later ones are younger."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.read: list[str] = []
        self.away = False

    async def streams(self, group: str) -> Sequence[StreamSize]:
        assert group == GROUP
        return [
            StreamSize(name, age, len(text)) for age, (name, text) in enumerate(self.texts.items(), start=1)
        ]

    async def text(self, group: str, stream: str) -> str:
        assert group == GROUP
        self.read.append(stream)
        return self.texts[stream]

    async def delete(self, group: str, stream: str) -> None:
        assert group == GROUP
        if self.away:
            raise SystemFaultError("away")
        del self.texts[stream]


def trimmer(streams: Streams, *, live: Sequence[str] = (), kept_bytes: int = 10_000) -> LogTrimmer:
    return LogTrimmer(
        streams,
        groups=lambda: {GROUP},
        live=lambda: set(live),
        lines=lambda: 0,
        busy=lambda: False,
        kept_bytes=kept_bytes,
    )


async def test_what_the_engine_made_up_goes_and_a_short_stream_of_a_worker_stays() -> None:
    streams = Streams({"a": MADE_UP, "b": OURS, "c": MADE_UP})
    assert await trimmer(streams).trim() == 2
    assert list(streams.texts) == ["b"]


async def test_of_ended_workers_the_newest_streams_stay_within_the_bound() -> None:
    streams = Streams(dict.fromkeys(("oldest", "old", "young", "youngest"), OURS + "x" * 1000))
    await trimmer(streams, kept_bytes=2500).trim()
    assert list(streams.texts) == ["young", "youngest"]
    assert streams.read == [], "a long stream is nobody's invention and need not be read"


async def test_the_stream_of_a_worker_that_runs_stays_whatever_its_age_and_size() -> None:
    streams = Streams({"live": OURS + "x" * 5000, "ended": OURS + "x" * 1000})
    await trimmer(streams, live=["live"], kept_bytes=1500).trim()
    assert list(streams.texts) == ["live", "ended"]


async def test_an_engine_that_does_not_answer_is_told_to_the_caller() -> None:
    streams = Streams({"a": MADE_UP})
    streams.away = True
    with pytest.raises(SystemFaultError):
        await trimmer(streams).trim()


@pytest.mark.parametrize(
    ("lines", "busy", "due"),
    [
        (trimming.ENOUGH - 1, False, False),
        (trimming.ENOUGH, False, True),
        (trimming.ENOUGH, True, False),
        (trimming.URGENT, True, True),
    ],
)
def test_it_looks_when_enough_was_written_and_nothing_waits(lines: int, busy: bool, due: bool) -> None:
    looks = LogTrimmer(Streams({}), groups=set, live=set, lines=lambda: lines, busy=lambda: busy)
    assert looks.is_due() is due
