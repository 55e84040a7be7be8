"""A thousand photographs of 300 KB copied into the folder: each has exactly one record and one JSON file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bench.photographs import Photographs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Running

COUNT = 1000


@pytest.mark.timeout(300)
def test_a_thousand_photographs_have_one_record_and_one_document_each(
    running: Running, tmp_path: Path
) -> None:
    folder = running.inbox / "thousand"
    folder.mkdir()
    expected = {f"{number}.jpg" for number in range(COUNT)}
    Photographs(tmp_path).copy_to(folder, COUNT)
    deadline = time.monotonic() + 240
    records: list[str] = []
    while time.monotonic() < deadline and len(records) < COUNT:
        time.sleep(1)
        records = [
            record["FileName"]
            for record in running.images.all()
            if record["ImageID"].startswith("uploads/thousand/") and record["Status"] == "TAGGED"
        ]
    assert sorted(records) == sorted(expected)
    pages = running.s3.get_paginator("list_objects_v2").paginate(
        Bucket=running.bucket, Prefix="metadata/thousand/"
    )
    documents = [
        item["Key"].removeprefix("metadata/thousand/") for page in pages for item in page["Contents"]
    ]
    assert sorted(documents) == sorted(f"{name}.json" for name in expected)
    queue = running.environment.engine.runtime_status()["queue"]
    assert queue["givenUp"] == 0
