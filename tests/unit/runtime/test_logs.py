"""From a worker's pipes to CloudWatch Logs."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from darkroom.runtime import report
from darkroom.runtime.capture import Capture, FrameSplitter, LineSplitter
from darkroom.runtime.errors import SystemFaultError
from darkroom.runtime.logs import (
    MAXIMUM_BATCH_BYTES,
    MAXIMUM_BATCH_EVENTS,
    MAXIMUM_EVENT_BYTES,
    LogShipper,
    batches,
    event_bytes,
)
from darkroom.runtime.model import LogEvent, LogFormat
from tests.unit.runtime.world import FakeAws, Starter, until

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sink:
    def __init__(self) -> None:
        self.batches: list[list[LogEvent]] = []
        self.refuse = False

    async def put(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        if self.refuse:
            raise SystemFaultError(f"away: {group} {stream}")
        self.batches.append(list(events))


def frame(text: str, microseconds: int = 5_000_000) -> bytes:
    body = text.encode()
    return b"\xa5\x5a\x00\x03" + len(body).to_bytes(4, "big") + microseconds.to_bytes(8, "big") + body


def test_lines_are_whole_however_they_arrive() -> None:
    found: list[str] = []
    splitter = LineSplitter(lambda _, text: found.append(text), clock=lambda: 1.0)
    for byte in "one\nzwei ü\n\nthree".encode():
        splitter.feed(bytes([byte]))
    assert found == ["one", "zwei ü"]
    splitter.finish()
    assert found == ["one", "zwei ü", "three"]


def test_a_line_without_an_end_is_cut() -> None:
    found: list[str] = []
    splitter = LineSplitter(lambda _, text: found.append(text))
    for _ in range(40):
        splitter.feed(b"x" * 10_000)
    assert found
    assert len(found[0]) <= 270_000


def test_frames_keep_messages_of_several_lines_and_their_time() -> None:
    found: list[tuple[int, str]] = []
    splitter = FrameSplitter(lambda at, text: found.append((at, text)))
    data = frame("one\ntwo\n") + frame("three")
    for index in range(0, len(data), 7):
        splitter.feed(data[index : index + 7])
    assert found == [(5000, "one\ntwo"), (5000, "three")]


def test_bytes_that_are_no_frame_are_not_lost() -> None:
    found: list[str] = []
    splitter = FrameSplitter(lambda _, text: found.append(text))
    splitter.feed(b"something else entirely\n")
    splitter.feed(frame("after"))
    assert found == ["something else entirely", "after"]


async def test_what_was_written_before_the_end_is_captured() -> None:
    found: list[str] = []
    capture = Capture(lambda _, text: found.append(text))
    output, frames = os.dup(capture.output), os.dup(capture.frames)
    capture.handed_over()
    os.write(output, b"printed\nhalf")
    os.write(frames, frame("logged"))
    capture.drain()
    assert sorted(found) == ["half", "logged", "printed"]
    os.write(output, b"last words")
    os.close(output)
    os.close(frames)
    await until(lambda: "last words" in found)
    capture.close()


def test_batches_keep_the_limits_of_put_log_events() -> None:
    many = [LogEvent(1000 - number % 7, "x") for number in range(25_000)]
    for batch in batches(many):
        assert len(batch) <= MAXIMUM_BATCH_EVENTS
        assert [event.timestamp_ms for event in batch] == sorted(event.timestamp_ms for event in batch)
    large = [LogEvent(1, "ü" * 100_000) for _ in range(20)]
    cut = list(batches(large))
    assert sum(len(batch) for batch in cut) == 20
    assert all(sum(event_bytes(event) for event in batch) <= MAXIMUM_BATCH_BYTES for batch in cut)
    far = [LogEvent(0, "a"), LogEvent(25 * 3_600_000, "b")]
    assert [len(batch) for batch in batches(far)] == [1, 1]


async def test_lines_wait_while_cloudwatch_is_away_and_arrive_in_order() -> None:
    sink = Sink()
    shipper = LogShipper(sink, flush_s=0.01)
    shipper.write("g", "s", LogEvent(1, "one"))
    sink.refuse = True
    with pytest.raises(SystemFaultError):
        await shipper._flush()
    shipper.write("g", "s", LogEvent(2, "two"))
    sink.refuse = False
    await shipper._flush()
    assert [event.message for event in sink.batches[0]] == ["one", "two"]


async def test_a_loss_is_counted_and_said_in_the_stream() -> None:
    sink = Sink()
    shipper = LogShipper(sink, maximum_bytes=200, clock=lambda: 0.02)
    for number in range(10):
        shipper.write("g", "s", LogEvent(number, "x" * 40))
    assert shipper.lost == 7
    await shipper._flush()
    assert sink.batches[0][-1].message == "7 log lines were lost here: more than 200 bytes waited"
    shipper.write("g", "s", LogEvent(99, "room again"))
    await shipper._flush()
    assert sink.batches[1][0].message == "room again"


async def test_a_stop_sends_what_waits() -> None:
    sink = Sink()
    shipper = LogShipper(sink, flush_s=60)
    shipper.start()
    shipper.write("g", "s", LogEvent(1, "last"))
    await asyncio.sleep(0)
    await shipper.stop()
    assert sink.batches[0][0].message == "last"


async def test_a_message_longer_than_lambda_takes_is_cut() -> None:
    sink = Sink()
    shipper = LogShipper(sink)
    shipper.write("g", "s", LogEvent(1, "ü" * 200_000))
    await shipper._flush()
    assert len(sink.batches[0][0].message.encode()) <= MAXIMUM_EVENT_BYTES


async def test_everything_a_handler_says_reaches_its_stream(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="""
        import logging, os, subprocess, sys
        from aws_lambda_powertools import Logger
        logging.getLogger().setLevel("INFO")
        powertools = Logger(service="tagger")
        print("at import")
        def handler(event, context):
            print("printed")
            print("to stderr", file=sys.stderr)
            logging.info("logged\\non two lines")
            powertools.info("structured", extra={"key": "cat.jpg"})
            os.write(1, b"raw bytes\\n")
            subprocess.run(["echo", "from a child"])
        """,
        log_group="/my/group",
    )
    async with running() as runtime:
        _, _, headers = await runtime.invoke()
        messages = await runtime.flush()
    request = headers["x-amzn-RequestId"]
    for text in ("at import", "printed", "to stderr", "raw bytes", "from a child"):
        assert text in messages
    (logged,) = [text for text in messages if "logged" in text]
    assert logged.startswith("[INFO]\t")
    assert logged.endswith(f"Z\t{request}\tlogged\non two lines")
    assert any('"message":"structured"' in text and '"key":"cat.jpg"' in text for text in messages)
    assert {group for group, _, _ in aws.lines} == {"/my/group"}
    end = next(index for index, text in enumerate(messages) if text.startswith("END "))
    assert messages.index("from a child") < end


async def test_json_logging_gives_json_platform_events(running: Starter, aws: FakeAws) -> None:
    aws.deploy(
        code="import logging\ndef handler(event, context):\n    logging.getLogger().warning('careful')\n",
        log_format=LogFormat.JSON,
        log_level="WARN",
    )
    async with running() as runtime:
        _, _, headers = await runtime.invoke()
        messages = await runtime.flush()
    request = headers["x-amzn-RequestId"]
    kinds = [line.partition('"type": "')[2].partition('"')[0] for line in messages]
    assert [kind for kind in kinds if kind] == ["platform.start", "platform.report"]
    assert any('"message": "careful"' in line and f'"requestId": "{request}"' in line for line in messages)


def test_the_report_bills_whole_milliseconds_and_the_init_phase() -> None:
    figures = report.Report("id", 12.001, 256, 80, init_ms=300.5)
    assert figures.billed_ms == 313
    (end, line) = report.closing_lines(LogFormat.TEXT, figures)
    assert end == "END RequestId: id"
    assert line == (
        "REPORT RequestId: id\tDuration: 12.00 ms\tBilled Duration: 313 ms\tMemory Size: 256 MB\t"
        "Max Memory Used: 80 MB\tInit Duration: 300.50 ms\t"
    )
