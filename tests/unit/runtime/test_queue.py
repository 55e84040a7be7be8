"""The durable queue: what it promises about the disk."""

from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from darkroom.runtime.errors import QueueError, StartError
from darkroom.runtime.queue import DurableQueue, EventState, QueuedEvent

PROJECT = Path(__file__).parents[3]


def event(name: str = "1", payload: bytes = b"{}") -> QueuedEvent:
    return QueuedEvent(name, "hello", "live", "arn", payload, "trace", accepted_at=5.0, due_at=5.0)


async def test_an_event_is_found_again_with_all_it_was_written_with(tmp_path: Path) -> None:
    queue = DurableQueue(tmp_path / "q")
    written = event(payload="{…}".encode())
    written.id = await queue.add(written)
    queue.started(written)
    written.failures, written.due_at = 1, 9.0
    queue.postpone(written)
    await queue.close()
    again = DurableQueue(tmp_path / "q")
    (found,) = await again.unfinished()
    assert (found.request_id, found.function, found.qualifier, found.trace_id) == (
        "1",
        "hello",
        "live",
        "trace",
    )
    assert (found.starts, found.failures, found.due_at, found.state) == (1, 1, 9.0, EventState.WAITING)
    assert await again.payload(found.id) == "{…}".encode()
    await again.close()


async def test_a_finished_event_is_gone_and_a_buried_one_is_shown(tmp_path: Path) -> None:
    queue = DurableQueue(tmp_path / "q")
    done, dead = event("done"), event("dead")
    done.id, dead.id = await queue.add(done), await queue.add(dead)
    queue.finish(done)
    queue.bury(dead, "bad picture")
    assert await queue.unfinished() == []
    assert await queue.count_dead() == 1
    (shown,) = await queue.dead()
    assert (shown["requestId"], shown["reason"]) == ("dead", "bad picture")
    await queue.close()


async def test_many_writers_share_a_sync(tmp_path: Path) -> None:
    queue = DurableQueue(tmp_path / "q")
    ids = await asyncio.gather(*(queue.add(event(str(number))) for number in range(1000)))
    assert len(set(ids)) == 1000
    assert queue.commits < 20
    await queue.close()


async def test_a_full_disk_refuses_new_events_and_keeps_notes_for_later(tmp_path: Path) -> None:
    queue = DurableQueue(tmp_path / "q")
    kept = event()
    kept.id = await queue.add(kept)
    queue._connection.execute("PRAGMA max_page_count = 8")
    with pytest.raises(QueueError, match="cannot be written: database or disk is full"):
        await queue.add(event("2", b"x" * 200_000))
    queue._connection.execute("PRAGMA max_page_count = 100000")
    queue.finish(kept)
    await queue.add(event("3"))
    assert [found.request_id for found in await queue.unfinished()] == ["3"]
    assert queue.trouble == ""
    await queue.close()


async def test_a_second_user_of_the_file_is_refused(tmp_path: Path) -> None:
    queue = DurableQueue(tmp_path / "q")
    await queue.add(event())
    with pytest.raises(StartError, match="another runtime already uses"):
        DurableQueue(tmp_path / "q")
    await queue.close()


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"the event queue .*file/q cannot be opened"):
        DurableQueue(tmp_path / "file" / "q")


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(b"no database" * 100)
    with pytest.raises(StartError, match="cannot be opened: file is not a database"):
        DurableQueue(tmp_path / "q")


async def test_what_was_acknowledged_before_kill_9_is_on_disk(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from pathlib import Path
        from darkroom.runtime.queue import DurableQueue, QueuedEvent
        async def main():
            queue = DurableQueue(Path(sys.argv[1]))
            async def one(number):
                await queue.add(QueuedEvent(str(number), "f", "", "arn", b"{}"))
                print(number, flush=True)
            for begin in range(0, 100_000, 50):
                await asyncio.gather(*(one(begin + number) for number in range(50)))
        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "q"),
        stdout=asyncio.subprocess.PIPE, cwd=PROJECT,
    )  # fmt: skip
    assert process.stdout is not None
    acknowledged = {(await process.stdout.readline()).decode().strip() for _ in range(500)}
    process.send_signal(signal.SIGKILL)
    rest = (await process.stdout.read()).decode()
    acknowledged |= set(rest[: rest.rfind("\n")].split())
    await process.wait()
    queue = DurableQueue(tmp_path / "q")
    found = {each.request_id for each in await queue.unfinished()}
    assert acknowledged <= found
    await queue.close()
