"""``python -m darkroom.operations.localstack_keeper``: keeps code folder and LocalStack together, on the host.

Saved code is deployed; after a restart of LocalStack, which forgets everything, the stack is. The sync finds the empty
bucket by itself and brings the folder back.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.engine.keeper import Keeper
from darkroom.engine.localstack import LocalStackEngine
from darkroom.engine.localstack.api import LambdaApi
from darkroom.errors import DarkroomError
from darkroom.operations.deployment import Deployed, remember, remembered
from darkroom.operations.keeper import FolderWatches, stamp
from darkroom.operations.localstack import LocalStackDeployment, dependencies_of
from darkroom.operations.recovery import exclusive
from darkroom.operations.reload import Reloader, ReloadState
from darkroom.settings import load
from darkroom.stack import package

if TYPE_CHECKING:
    from types import FrameType

    from darkroom.settings import Settings

log = logging.getLogger("darkroom.keeper")


class Restarts:
    """Whether LocalStack is another run than the one that the stack was deployed to."""

    def __init__(self, engine: LocalStackEngine) -> None:
        self._engine = engine
        self._run = engine.run_id()

    def is_another(self) -> bool:
        """False while it does not answer, because nothing can be done then."""
        now = self._engine.run_id()
        if not self._run:
            self._run = now
        return bool(now) and now != self._run

    def note(self) -> None:
        self._run = self._engine.run_id()


def recover(settings: Settings, engine: LocalStackEngine) -> bool:
    """Deploy again as the last `up` did; False when it did not work."""
    log.warning("LocalStack has been restarted and has forgotten everything: the stack is deployed again")
    path = engine.layout.stack
    before = remembered(path) if path.exists() else Deployed("", "", ())
    deployment = LocalStackDeployment(
        settings, before.overrides, preset=before.preset, pause_sync=engine.pause_sync
    )
    try:
        with exclusive(engine.layout.home):
            deployed = deployment.deploy(engine.session(), lambda line: log.info("%s", line))
            remember(deployed, path)
    except DarkroomError as error:
        log.error("%s %s", error.message, error.hint)  # noqa: TRY400 - for a person, without a traceback
        return False
    finally:
        engine.resume_sync()
    return True


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    settings = load()
    engine = LocalStackEngine(settings)
    api = LambdaApi(engine.session, stack=settings.stack, pause=engine.pause_sync, resume=engine.resume_sync)
    code, page = settings.project / "lambda", settings.project / "web"
    interpreter = (
        settings.project / ".venv-functions" / "bin" / "python"
    )  # there if the embedded engine was used
    reloader = Reloader(
        code,
        api,
        python=interpreter if interpreter.exists() else Path(sys.executable),
        status=engine.layout.reload_status,
        build=lambda: package.build(code, page_root=page, dependencies=dependencies_of(settings.project)),
    )
    restarts = Restarts(engine)

    def reload() -> bool:
        done = reloader.reload()
        if done is None:
            return True
        if done.problem is not None:
            log.warning("not reloaded: %s", done.problem)
        elif done.functions:
            log.info("%s: new code after %d ms", ", ".join(done.functions), done.duration_ms)
        return done.state is not ReloadState.WAITING

    def recover_and_note() -> bool:
        if not recover(settings, engine):
            return False
        restarts.note()
        return True

    keeper = Keeper(
        reload=reload,
        engine_restarted=restarts.is_another,
        recover=recover_and_note,
        deployed=lambda: stamp(engine.layout.stack),
    )

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        keeper.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    watch = FolderWatches((code, page), keeper.changed)
    keeper.run(watch)
    watch.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
