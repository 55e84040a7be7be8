"""The command that brings a folder to a deployed environment's bucket, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.cli import console
from darkroom.cli.running import deployed_promotion, env_option

if TYPE_CHECKING:
    from darkroom.sync.store import S3Store


@click.command("sync")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--yes", is_flag=True, help="Do not ask: each new picture costs Rekognition's price.")
@env_option
def sync_command(folder: Path | None, yes: bool, env_name: str) -> None:
    """Upload what a folder has and the bucket of a deployed environment lacks, once; by default the inbox.

    Here the running environment does that by itself. Exits with 5 when some files could not be uploaded.
    """
    from botocore.config import Config

    from darkroom.errors import DeployError, UsageError
    from darkroom.settings import load
    from darkroom.sync.once import sync_once
    from darkroom.sync.store import S3Store

    settings = load()
    if not env_name:
        raise UsageError(
            "The running environment keeps the folder in its bucket by itself.",
            hint="With --env NAME a folder goes to a deployed environment.",
        )
    promotion = deployed_promotion(env_name)
    target = promotion.stack()
    chosen = folder or settings.inbox
    bucket = target.outputs.bucket
    if not yes:
        click.confirm(f"Upload what {chosen} has and s3://{bucket}/uploads/ lacks?", abort=True, err=True)

    def connect() -> S3Store:
        session = promotion.session()
        return S3Store(session.client("s3", config=Config(retries={"total_max_attempts": 1})), bucket)

    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = settings.home / f"sync-{promotion.target.account_id}-{bucket}.sqlite"
    done = sync_once(chosen, bucket, journal=journal, connect=connect)
    there = done.already_there + done.unchanged
    console.stdout.print(f"{done.uploaded} uploaded, {there} there already, {len(done.failed)} failed.")
    for it in (*done.left_out, *done.failed):
        console.stderr.print(f"  {console.printable(it.path)}: {it.reason}", markup=False, soft_wrap=True)
    if done.failed:
        raise DeployError(
            f"{len(done.failed)} files could not be uploaded.", hint="Run the same command again."
        )
