"""Deployment packages on disk."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from darkroom.runtime import code as code_module
from darkroom.runtime.code import CodeStore
from darkroom.runtime.errors import SystemFaultError
from darkroom.runtime.model import FunctionConfig
from tests.unit.runtime.world import package

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Fetch:
    data: bytes
    calls: list[str] = field(default_factory=list)

    async def __call__(self, config: FunctionConfig) -> bytes:
        self.calls.append(config.name)
        await asyncio.sleep(0)
        return self.data


def config(data: bytes) -> FunctionConfig:
    sha = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return FunctionConfig("f", "arn", "1", "a.b", "python3.12", "r", 3, 128, sha, "http://x")


def names(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_code_is_fetched_once_for_all_who_ask(tmp_path: Path) -> None:
    data = package({"app.py": "x = 1", "deep/er/b.py": "y"})
    fetch = Fetch(data)
    store = CodeStore(tmp_path, fetch)
    folders = await asyncio.gather(*(store.folder_of(config(data)) for _ in range(5)))
    assert len(set(folders)) == 1
    assert (folders[0] / "deep/er/b.py").read_text() == "y"
    assert fetch.calls == ["f"]
    await CodeStore(tmp_path, fetch).folder_of(config(data))  # after a restart too
    assert fetch.calls == ["f"]


async def test_other_code_than_named_is_refused_with_the_way_out(tmp_path: Path) -> None:
    store = CodeStore(tmp_path, Fetch(package({"app.py": "new"})))
    with pytest.raises(SystemFaultError, match="point the alias at"):
        await store.folder_of(config(package({"app.py": "old"})))
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "a/../../evil.py", "..\\evil.py"])
async def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    data = package({name: "x"})
    with pytest.raises(SystemFaultError, match="unsafe name"):
        await CodeStore(tmp_path / "code", Fetch(data)).folder_of(config(data))
    assert names(tmp_path) == []


async def test_links_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    data = buffer.getvalue()
    with pytest.raises(SystemFaultError, match="unsafe name"):
        await CodeStore(tmp_path, Fetch(data)).folder_of(config(data))


async def test_a_package_that_unpacks_to_more_than_lambda_takes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_module, "MAXIMUM_UNPACKED_BYTES", 1000)
    data = package({"a.py": "x" * 1001})
    with pytest.raises(SystemFaultError, match="larger than 1000 bytes"):
        await CodeStore(tmp_path, Fetch(data)).folder_of(config(data))


async def test_something_that_is_no_zip_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemFaultError, match="could not be unpacked"):
        await CodeStore(tmp_path, Fetch(b"no zip")).folder_of(config(b"no zip"))
    assert names(tmp_path) == []


async def test_half_unpacked_code_of_a_killed_run_is_not_used(tmp_path: Path) -> None:
    data = package({"app.py": "x"})
    half = tmp_path / f"{hashlib.sha256(data).hexdigest()}.part"
    half.mkdir()
    (half / "garbage").write_text("")
    folder = await CodeStore(tmp_path, Fetch(data)).folder_of(config(data))
    assert names(folder) == ["app.py"]


async def test_only_code_in_use_is_kept(tmp_path: Path) -> None:
    kept, gone = package({"a.py": "1"}), package({"a.py": "2"})
    for data in (kept, gone):
        await CodeStore(tmp_path, Fetch(data)).folder_of(config(data))
    CodeStore(tmp_path, Fetch(kept)).keep_only({config(kept).code_sha256})
    assert names(tmp_path) == [f"{hashlib.sha256(kept).hexdigest()}/a.py"]
