"""Deployment packages on disk: fetched once per content, checked, unpacked in one step, removed when unused.

code/<sha256 in hex>/…        complete: made under another name and renamed
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import io
import logging
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from darkroom.runtime.errors import SystemFaultError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from darkroom.runtime.model import FunctionConfig

_log = logging.getLogger(__name__)
MAXIMUM_UNPACKED_BYTES = 250 * 1024 * 1024  # "Lambda quotas": deployment package, unzipped


class CodeStore:
    """Where packages lie. `fetch` gives the zip of a function."""

    def __init__(self, folder: Path, fetch: Callable[[FunctionConfig], Awaitable[bytes]]) -> None:
        self._folder = folder
        self._fetch = fetch
        self._under_way: dict[str, asyncio.Task[Path]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.part"):  # of a run that was killed while it unpacked
            shutil.rmtree(leftover, ignore_errors=True)

    async def folder_of(self, config: FunctionConfig) -> Path:
        """The unpacked code of a function.

        Raises:
            SystemFaultError: it could not be fetched, is not what the engine named, or is no safe zip file.
        """
        folder = self._folder / _hex(config.code_sha256)
        if folder.is_dir():
            return folder
        task = self._under_way.get(folder.name)
        if task is None:
            task = asyncio.create_task(self._make(config, folder))
            self._under_way[folder.name] = task
            task.add_done_callback(lambda _: self._under_way.pop(folder.name, None))
        return await asyncio.shield(task)

    async def put(self, code_sha256: str, package: bytes) -> Path:
        """Unpack a package that is at hand. Raises SystemFaultError: it is no safe zip file."""
        folder = self._folder / _hex(code_sha256)
        if not folder.is_dir():
            await asyncio.to_thread(_unpack, package, folder)
        return folder

    def keep_only(self, code_sha256s: Collection[str]) -> None:
        """Remove the code of all others."""
        wanted = {_hex(sha) for sha in code_sha256s} | set(self._under_way)
        for folder in self._folder.iterdir():
            if folder.name.removesuffix(".part") not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    async def _make(self, config: FunctionConfig, folder: Path) -> Path:
        package = await self._fetch(config)
        found = base64.b64encode(hashlib.sha256(package).digest()).decode()
        if found != config.code_sha256:
            raise SystemFaultError(
                f"the engine names code {config.code_sha256} for {config.name}:{config.version}, but serves "
                f"{found}: it keeps only the newest code; point the alias at $LATEST or publish a version"
            )
        await asyncio.to_thread(_unpack, package, folder)
        return folder


def _hex(code_sha256: str) -> str:
    try:
        return base64.b64decode(code_sha256, validate=True).hex()
    except binascii.Error as error:
        raise SystemFaultError(f"the engine names no valid CodeSha256: {code_sha256!r}") from error


def _unpack(package: bytes, folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            _check(archive)
            for member in archive.infolist():
                _write(archive, member, part)
        part.rename(folder)
    except (zipfile.BadZipFile, OSError) as error:
        if folder.is_dir():  # another task was first: the content is the same
            return
        raise SystemFaultError(f"the deployment package could not be unpacked: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check(archive: zipfile.ZipFile) -> None:
    """Refuse names that lead out of the folder, links, and more than Lambda takes."""
    if sum(member.file_size for member in archive.infolist()) > MAXIMUM_UNPACKED_BYTES:
        raise SystemFaultError(
            f"the deployment package is larger than {MAXIMUM_UNPACKED_BYTES} bytes when unpacked"
        )
    for member in archive.infolist():
        path = PurePosixPath(member.filename)
        mode = member.external_attr >> 16
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or stat.S_ISLNK(mode):
            raise SystemFaultError(f"the deployment package holds an unsafe name: {member.filename!r}")


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / member.filename
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    if (member.external_attr >> 16) & stat.S_IXUSR:
        target.chmod(0o755)
