"""An environment that is to be killed at random moments of a burst, and what must hold when it has healed."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import psutil

from darkroom.engine import remains
from pipeline import postings
from pipeline.counting import counter_key, tally_of
from pipeline.records import from_item
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from darkroom.operations.environment import Environment
    from darkroom.operations.records import Record

WORKERS = 4
"""Analyses that may be under way at once: so many may be done a second time, and no more."""


class Target(StrEnum):
    """What is killed."""

    GATEWAY = "gateway"
    ENGINE = "engine"
    RUNTIME = "runtime"
    WORKER = "worker"
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON file as it lay on disk at some moment."""

    etag: str
    tagged_at: str


class Crashing:
    """One environment that is up."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.inbox = environment.settings.inbox

    def drop(self, folder: str, count: int, *, seed: int, pause_s: float = 0.0) -> None:
        """Put photographs into the inbox, each another one, as somebody does who copies a folder."""
        target = self.inbox / folder
        target.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            part = target / f"{number}.jpg.part"
            part.write_bytes(pictures.jpeg(seed * 10_000 + number))
            part.replace(target / f"{number}.jpg")
            time.sleep(pause_s)

    def drop_in_background(self, folder: str, count: int, *, seed: int) -> threading.Thread:
        """The same while something else happens."""
        thread = threading.Thread(target=self.drop, args=(folder, count), kwargs={"seed": seed})
        thread.start()
        return thread

    def kill(self, target: Target) -> int:
        """Kill -9; returns the process id. A worker is any process below the runtime."""
        name = "runtime" if target is Target.WORKER else target.value
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            pid = {part.name: part.pid for part in self.environment.engine.statuses()}[name]
            if pid and target is not Target.WORKER:
                return _kill(psutil.Process(pid))
            workers = psutil.Process(pid).children(recursive=True) if pid else []
            if workers:
                return _kill(random.Random(pid).choice(workers))
            time.sleep(0.02)
        raise AssertionError(f"there is no {target} to kill")

    def kill_everything(self) -> None:
        """As a power loss does: supervisord first, so that it cannot start anything again."""
        found = remains.find(self.environment.layout)
        found.sort(key=lambda process: "supervisor.supervisord" not in process.cmdline())
        for process in found:
            _kill(process)
        psutil.wait_procs(found, timeout=10)

    def kill_supervisor(self) -> set[int]:
        """Kill supervisord alone; returns the ids of the parts that go on without it."""
        parts = {part.pid for part in self.environment.engine.statuses()}
        supervisor = psutil.Process(int(self.environment.layout.supervisor_pid.read_text()))
        _kill(supervisor)
        psutil.wait_procs([supervisor], timeout=10)
        return parts

    def processes(self) -> list[psutil.Process]:
        """What runs of this environment."""
        return remains.find(self.environment.layout)

    def documents_on_disk(self) -> dict[str, Document]:
        """The JSON files as the engine has written them, by the key of their upload; it need not run."""
        found: dict[str, Document] = {}
        for path in self.environment.layout.objects.glob("*/*/metadata/**/*.json"):
            if path.name.endswith(".meta.json"):
                continue
            try:
                content: dict[str, Any] = json.loads(path.read_text())
                found[content["ImageID"]] = Document(content["ETag"], content["TaggedAt"])
            except (OSError, ValueError):
                continue  # being replaced at this very moment
        return found

    def wait_until_whole(self, *, timeout_s: float) -> dict[str, Record]:
        """Wait until every file of the inbox has a current record; returns the records.

        Raises:
            AssertionError: some have none in time; the first of them are named.
        """
        deadline = time.monotonic() + timeout_s
        missing = ["everything"]
        pause_s = max(0.2, len(self.keys()) / 2000)  # a look at the whole table is work for the engine, too
        while time.monotonic() < deadline:
            try:
                records = {record["ImageID"]: record for record in self.environment.images().all()}
                etags = dict(self.objects("uploads/"))
            except Exception as error:  # noqa: BLE001 - parts of it are away: that is what is waited for
                missing = [repr(error)]
                time.sleep(pause_s)
                continue
            missing = [key for key in self.keys() if not _is_current(records.get(key), etags.get(key))]
            if not missing:
                return records
            time.sleep(pause_s)
        raise AssertionError(
            f"{len(missing)} files have no current record after {timeout_s} s: {missing[:5]}; "
            f"{self.environment.engine.runtime_status().get('queue')}"
        )

    def keys(self) -> set[str]:
        """Keys of the files in the inbox."""
        return {f"uploads/{path.relative_to(self.inbox)}" for path in self.inbox.rglob("*.jpg")}

    def objects(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Key and ETag of what lies in the bucket."""
        client = self.environment.session().client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.environment.engine.bucket(), Prefix=prefix
        )
        for page in pages:
            for item in page.get("Contents", []):
                yield item["Key"], item["ETag"].strip('"')

    def check(self, records: Mapping[str, Record], before: Mapping[str, Document]) -> None:
        """Every file once in bucket, table and metadata/, and what was analysed before was not analysed again."""
        keys = self.keys()
        assert set(records) == keys
        assert {key for key, _ in self.objects("uploads/")} == keys
        documents = [key for key, _ in self.objects("metadata/")]
        assert sorted(documents) == sorted(f"metadata/{key.removeprefix('uploads/')}.json" for key in keys)
        assert {record["Status"] for record in records.values()} == {"TAGGED"}
        again = [
            key for key, it in before.items() if key in records and records[key]["TaggedAt"] != it.tagged_at
        ]
        assert len(again) <= WORKERS, f"analysed a second time: {again[:10]}"
        now = self.documents_on_disk()
        for key, record in records.items():
            assert now[key] == Document(record["ETag"], record["TaggedAt"]), key
        self.check_index(records)

    def check_index(self, records: Mapping[str, Record]) -> None:
        """Postings, and before long the counts too, are those of the records and no others."""
        wanted = {key: postings.index_of(dict(record), shards=4) for key, record in records.items()}
        expected = {(pk, it.sort) for it in wanted.values() for pk in it.keys()}  # noqa: SIM118 - no mapping
        assert {(it["pk"], it["sk"]) for it in self.everything_in("LabelIndex")} == expected
        counts: Counter[str] = Counter()
        for it in wanted.values():
            for name, number in tally_of(it).items():
                counts[counter_key(name)] += number
        deadline = time.monotonic() + 30
        while (counted := self.counters()) != counts and time.monotonic() < deadline:
            time.sleep(0.3)
        assert counted == counts

    def counters(self) -> Counter[str]:
        """The counters that are not 0, over all slots."""
        sums: Counter[str] = Counter()
        for it in self.everything_in("Statistics"):
            if it["sk"] != "counted":
                sums[it["sk"]] += it["Images"]
        return Counter({key: number for key, number in sums.items() if number})

    def everything_in(self, table: str) -> Iterator[Record]:
        """All items of a table."""
        client = self.environment.session().client("dynamodb")
        for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            for item in page["Items"]:
                yield from_item(item)


def _is_current(record: Record | None, etag: str | None) -> bool:
    return record is not None and etag is not None and record["ETag"] == etag


def _kill(process: psutil.Process) -> int:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return 0
    return process.pid


def processes_of(environment: Environment) -> list[str]:
    """What still runs of an environment, in words: by the names in its command lines as well as its environment."""
    home = str(environment.settings.home)
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                words = process.cmdline()
                if any(home in word for word in words) or remains.belongs(process, environment.layout):
                    found.append(" ".join(words)[:200])
        except psutil.Error:
            continue
    return found
