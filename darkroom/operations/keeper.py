"""``python -m darkroom.operations.keeper``: the supervised process that keeps functions and code folder together."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.engine.keeper import EngineMark, Keeper, run_recovery
from darkroom.engine.keys import Keys
from darkroom.engine.lambda_api import LambdaApi
from darkroom.engine.layout import Layout
from darkroom.operations.deployment import own_libraries
from darkroom.operations.reload import Reloader, ReloadState
from darkroom.stack import package
from darkroom.sync.watch import Watcher, WatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from darkroom.sync.model import Hint

log = logging.getLogger("darkroom.keeper")
EXIT_CANNOT_START = 4


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="darkroom.operations.keeper", description="Hot reload and recovery."
    )
    parser.add_argument("--home", type=Path, required=True, help="the state folder")
    parser.add_argument("--run", type=Path, required=True, help="the folder of the sockets")
    parser.add_argument("--code", type=Path, required=True, help="the folder of the functions' code")
    parser.add_argument("--page", type=Path, help="the folder of the page's files")
    parser.add_argument("--requirements", type=Path, help="libraries that go into the package")
    parser.add_argument("--python", type=Path, required=True, help="the functions' interpreter")
    parser.add_argument("--stack", required=True, help="name of the stack")
    parser.add_argument("--region", required=True)
    return parser.parse_args(given)


class FolderWatch:
    """Calls `changed` when something that belongs to the code changes; without file events it looks by itself."""

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._watcher: Watcher | None = None
        self._said = False
        self._seen: dict[str, tuple[int, int]] = {}
        self._make()

    def check(self) -> None:
        if self._watcher is not None and self._watcher.healthy and self._folder.exists():
            return
        self.stop()
        self._make()
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            self._changed()

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None

    def _make(self) -> None:
        try:
            self._watcher = Watcher(str(self._folder), self._hint)
        except (WatchError, FileNotFoundError) as error:
            if not self._said:
                log.warning("%s gives no file events (%s): it is looked at each second", self._folder, error)
            self._said = True
            self._seen = self._seen or self._look()

    def _hint(self, _: Hint, path: str) -> None:
        if not is_noise(path):
            self._changed()

    def _look(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder).as_posix()
            if not is_noise(name) and path.is_file():
                stat = path.stat()
                found[name] = (stat.st_mtime_ns, stat.st_size)
        return found


class FolderWatches:
    """The same for several folders; those that are not there are left out."""

    def __init__(self, folders: Sequence[Path], changed: Callable[[], None]) -> None:
        self._watches = [FolderWatch(folder, changed) for folder in folders if folder.is_dir()]

    def check(self) -> None:
        for watch in self._watches:
            watch.check()

    def stop(self) -> None:
        for watch in self._watches:
            watch.stop()


def is_noise(path: str) -> bool:
    """Whether a path, relative to the code folder, never belongs to a package: compiled files, editors' own files."""
    parts = path.split("/")
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return hidden or path.endswith((".pyc", ".pyo", "~"))


def stamp(path: Path) -> int:
    """Changes with each deployment: `up` writes this file at its end."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def main(given: Sequence[str] | None = None) -> int:
    """Run until SIGTERM; returns the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    options = arguments(sys.argv[1:] if given is None else given)
    layout = Layout(home=options.home, run=options.run)
    keys = Keys.read(layout.instance)
    if keys is None:
        log.error("%s is missing: run `make up`", layout.instance)
        return EXIT_CANNOT_START
    api = LambdaApi(layout, root_key=keys.root_key, region=options.region, stack=options.stack)
    libraries = options.requirements and own_libraries(
        options.requirements, python=options.python, home=options.home
    )
    reloader = Reloader(
        options.code,
        api,
        python=options.python,
        status=layout.reload_status,
        build=lambda: package.build(options.code, page_root=options.page, dependencies=libraries),
    )
    mark = EngineMark(layout.engine_socket)
    recovery = [sys.executable, "-m", "darkroom.operations.recovery"]

    def reload() -> bool:
        done = reloader.reload()
        if done is None:
            return True
        if done.problem is not None:
            log.warning("not reloaded: %s", done.problem)
        elif done.functions:
            log.info("%s: new code after %d ms", ", ".join(done.functions), done.duration_ms)
        return done.state is not ReloadState.WAITING

    keeper = Keeper(
        reload=reload,
        engine_restarted=mark.is_another,
        recover=lambda: run_recovery(recovery, mark, stopped=lambda: keeper.stopped),
        deployed=lambda: stamp(layout.stack),
    )

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        keeper.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    folders = [folder for folder in (options.code, options.page) if folder]
    watch = FolderWatches(folders, keeper.changed)
    keeper.run(watch)
    watch.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
