"""Commands about modes and recordings: where answers come from, what is recorded, whether it is still true."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darkroom.cli import console
from darkroom.cli.faults import reached
from darkroom.cli.real_options import (
    aws_options,
    choices_of,
    fixtures_option,
    mode_lines,
    operations_of,
    recording_options,
    show_identity,
    show_plan,
    spent_line,
    tolerance_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.rekognition.recordings import Recording, RecordingStore

_MODES = ("stub", "replay", "record-missing", "refresh", "proxy", "verify")
_ABBREVIATED = 12


@click.command("mode")
@click.argument("mode", required=False, type=click.Choice(_MODES))
@recording_options
@tolerance_option
@aws_options
@click.option(
    "--endpoint",
    metavar="URL",
    help="A server that stands alone, for example http://127.0.0.1:4567; by default the environment that is up.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the mode and what was spent as JSON.")
def mode_command(
    mode: str | None,
    aws_profile: str | None,
    aws_region: str | None,
    endpoint: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Show where answers come from, or switch it while the environment runs.

    stub: fixtures and inventions; replay: recordings only; record-missing: what is not recorded is asked of real AWS;
    refresh: everything is asked and recorded; proxy: everything is asked, nothing recorded; verify: everything is asked
    and compared. It holds until `down`. Keys of AWS stay in memory, so they are given again after a restart.
    """
    from darkroom.operations import real_rekognition as real
    from darkroom.rekognition.control import show_mode
    from darkroom.rekognition.modes import Mode
    from darkroom.settings import load

    if mode is None:
        with reached(endpoint) as control:
            status = show_mode(control.endpoint, token=control.token)
    else:
        settings = load()
        choices = choices_of(Mode(mode), options, settings)
        with reached(endpoint) as control:
            access = real.find_access(settings, aws_profile) if choices.mode.asks_aws else None
            choices = real.in_region(choices, aws_region, access, settings)
            status = real.switch_mode(control, choices, access)
    if as_json:
        console.print_json(status)
    else:
        for line in mode_lines(status):
            click.echo(line)


@click.command("verify")
@click.argument("names", nargs=-1, metavar="[FOLDER|FILE|KEY]...")
@click.option(
    "--operations", multiple=True, metavar="NAMES", help="Only these; by default all that is recorded."
)
@tolerance_option
@aws_options
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 50),
    default=5.0,
    show_default=True,
    help="Calls that begin in a second.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be asked, and what it would cost.")
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@fixtures_option
@click.option("--endpoint", metavar="URL", help="Without names: a server that stands alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparisons as JSON.")
def verify_command(
    names: tuple[str, ...],
    operations: tuple[str, ...],
    aws_profile: str | None,
    aws_region: str | None,
    rate: float,
    fixtures: Path | None,
    dry_run: bool,
    yes: bool,
    endpoint: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask real AWS again about pictures, and report how it differs from what is recorded.

    Without names, reports what the running environment has met in the mode verify. Exits with 8 where something differs
    and 9 where something could not be compared.
    """
    if not names:
        from darkroom.rekognition.control import show_report

        with reached(endpoint) as control:
            _report(show_report(control.endpoint, token=control.token)["verified"], as_json=as_json)
        return
    from darkroom.cli.record import asked, confirm_spending
    from darkroom.errors import IncompleteError
    from darkroom.operations import real_rekognition as real
    from darkroom.operations.environment import Environment
    from darkroom.rekognition.modes import Mode
    from darkroom.rekognition.recorder import ON_ONE_PICTURE, Outcome, Run, plan_verifying
    from darkroom.settings import load

    environment = Environment(load())
    settings = environment.settings
    wanted = operations_of(operations, ON_ONE_PICTURE)
    choices = choices_of(Mode.VERIFY, options, settings)
    pictures = list(real.pictures_of(names, environment))
    access = None if dry_run else real.find_access(settings, aws_profile)
    choices = real.in_region(choices, aws_region, access, settings)
    upstream = real.real_aws(settings, choices, access) if access else None
    if upstream is not None:
        show_identity(real.identity_of(upstream), choices)
    live = real.live_of(settings, choices, upstream, fixtures)
    plan = plan_verifying(pictures, wanted, live)
    if not as_json:
        show_plan(plan, choices, real.ledger_of(settings).spent(), would=dry_run)
    if dry_run:
        return
    if not plan.questions:
        raise IncompleteError("None of these pictures is recorded.", hint="Record them: `darkroom record`.")
    confirm_spending(yes=yes)
    run = asked(Run, live, plan, rate)
    if not as_json:
        click.echo(f"{spent_line(real.ledger_of(settings).spent())}.")
    failed = [answered for answered in run.answers if answered.outcome is Outcome.FAILED]
    _report([found.document() for found in live.report], as_json=as_json, is_partial=bool(failed))
    if failed or run.stopped:
        raise IncompleteError(
            f"{len(plan.questions) - len(live.report)} of {len(plan.questions)} could not be compared: "
            f"{run.stopped or failed[0].said}"
        )


def _report(verified: list[dict[str, Any]], *, as_json: bool, is_partial: bool = False) -> None:
    from darkroom.errors import DifferenceError, IncompleteError

    differing = [found for found in verified if found["verdict"] == "differs"]
    missing = [found for found in verified if found["verdict"] == "not recorded"]
    if as_json:
        console.print_json(verified)
    else:
        for found in (*differing, *missing):
            click.echo(f"{console.printable(found['interaction'])}: {found['verdict']}")
            for line in found["differences"]:
                click.echo(f"  {console.printable(line)}")
        same = len(verified) - len(differing) - len(missing)
        click.echo(f"{same} the same, {len(differing)} differ, {len(missing)} not recorded.")
    if differing:
        raise DifferenceError(
            f"Real AWS differs from {len(differing)} recordings.",
            hint="`darkroom record --refresh` renews them; --tolerance says how far a confidence may move.",
        )
    if not verified and not is_partial:
        raise IncompleteError(
            "Nothing was compared.", hint="Switch first: `darkroom rekognition mode verify`, then ask."
        )


@click.group("recordings", invoke_without_command=True)
@click.pass_context
def recordings_command(ctx: click.Context) -> None:
    """List, show and prune what was recorded of real AWS."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_command)


_images_option = click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The pictures, so that their names can be told; recordings hold none.",
)


@recordings_command.command("list")
@fixtures_option
@_images_option
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_command(fixtures: Path | None = None, images: Path | None = None, as_json: bool = False) -> None:
    """List what is recorded: operation, picture, day, model, and what is old. Exits with 2 where one is unreadable."""
    from darkroom.rekognition.recordings import OLD_AFTER_DAYS, today

    store = _store(fixtures)
    recordings, broken = _read_all(store)
    names = _names(images)
    if as_json:
        console.print_json([_listed(recording, names) for recording in recordings])
    else:
        _print_list(recordings, names)
        old = sum(recording.is_old(today()) for recording in recordings)
        note = (
            f"; {old} older than {OLD_AFTER_DAYS} days: `darkroom rekognition verify` compares" if old else ""
        )
        click.echo(f"{len(recordings)} recordings in {console.short_path(store.folder)}{note}", err=True)
    _complain_about(broken)


@recordings_command.command("show")
@click.argument("name", metavar="FILE|HASH|IMAGE")
@fixtures_option
def show_command(name: str, fixtures: Path | None) -> None:
    """Print recordings: of a FILE, or of a picture by its file or the beginning of its SHA-256."""
    import hashlib

    from darkroom.errors import NotFoundError

    store = _store(fixtures)
    recordings, broken = _read_all(store)
    path = Path(name)
    wanted = name.lower()
    if path.is_file() and path.suffix != ".json":
        wanted = hashlib.sha256(path.read_bytes()).hexdigest()
    found = [
        recording
        for recording in recordings
        if recording.path.name == path.name
        or (len(wanted) >= 4 and any(part.startswith(wanted) for part in recording.key.lower().split("-")))
    ]
    if not found:
        _complain_about(broken)
        raise NotFoundError(
            f"Nothing is recorded for {name}.", hint="`darkroom rekognition recordings` lists what is."
        )
    console.print_json([recording.document() for recording in found])


@recordings_command.command("prune")
@click.option("--older-than", metavar="DAYS", type=click.IntRange(min=0), help="Those recorded longer ago.")
@click.option("--operation", metavar="NAME", help="Those of one operation.")
@click.option(
    "--not-in",
    "kept",
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Those of pictures that are not in this folder.",
)
@click.option("--unreadable", is_flag=True, help="Those that cannot be read.")
@fixtures_option
@click.option("--dry-run", is_flag=True, help="Only say which.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune_command(
    older_than: int | None,
    operation: str | None,
    kept: Path | None,
    unreadable: bool,
    fixtures: Path | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete recordings: those to which every option that is given applies."""
    from darkroom.errors import UsageError
    from darkroom.rekognition.recordings import today

    if older_than is None and operation is None and kept is None and not unreadable:
        raise UsageError(
            "Say which: --older-than, --operation, --not-in or --unreadable.",
            hint="--dry-run shows which they are, and deletes none.",
        )
    store = _store(fixtures)
    recordings, broken = _read_all(store)
    hashes = None if kept is None else set(_names(kept))
    since = None if older_than is None else today() - timedelta(days=older_than)
    chosen = [
        recording.path
        for recording in recordings
        if not unreadable
        and (since is None or (recording.recorded is not None and recording.recorded < since))
        and (operation is None or recording.operation.lower() == operation.lower())
        and (hashes is None or hashes.isdisjoint(recording.key.split("-")))
    ]
    chosen += [path for path, _ in broken] if unreadable else []
    for path in chosen:
        click.echo(console.short_path(path))
    if dry_run or not chosen:
        click.echo(f"{len(chosen)} recordings would be deleted.", err=True)
        return
    if not yes:
        click.confirm(f"Delete {len(chosen)} recordings?", abort=True, err=True)
    for path in chosen:
        store.remove(path)
    click.echo(f"{len(chosen)} recordings are deleted.", err=True)


def _store(fixtures: Path | None) -> RecordingStore:
    from darkroom.operations.real_rekognition import store_of
    from darkroom.settings import load

    return store_of(load(), fixtures)


def _read_all(store: RecordingStore) -> tuple[list[Recording], list[tuple[Path, str]]]:
    """Every recording that can be read, and (path, why) of the others."""
    from darkroom.rekognition import FixtureError

    recordings, broken = [], []
    for path in store.paths():
        try:
            recordings.append(store.read(path))
        except FixtureError as error:
            broken.append((path, "; ".join(error.problems)))
    return recordings, broken


def _complain_about(broken: list[tuple[Path, str]]) -> None:
    from darkroom.errors import UsageError

    if broken:
        raise UsageError(
            "\n".join(f"{console.short_path(path)}: {why}" for path, why in broken),
            hint="Take them from git again, record anew, or delete them with `recordings prune --unreadable`.",
        )


def _names(images: Path | None) -> dict[str, str]:
    """The names of pictures by their SHA-256."""
    import hashlib

    files = sorted(images.rglob("*")) if images else []
    return {
        hashlib.sha256(path.read_bytes()).hexdigest(): str(path.relative_to(images or path))
        for path in files
        if path.is_file()
    }


def _listed(recording: Recording, names: Mapping[str, str]) -> dict[str, Any]:
    from darkroom.rekognition.recordings import today

    document = recording.document()
    return {
        "file": str(recording.path),
        "operation": recording.operation,
        "picture": recording.key,
        "name": _name(recording, names) or None,
        "parameters": document["parameters"],
        "recorded": document["recorded"],
        "is_old": recording.is_old(today()),
        "region": recording.region,
        "model_version": recording.model_version,
        "outcome": recording.error.code if recording.error else "answer",
    }


def _name(recording: Recording, names: Mapping[str, str]) -> str:
    return " → ".join(names.get(part, "") for part in recording.key.split("-")).strip(" →")


def _print_list(recordings: list[Recording], names: Mapping[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from darkroom.rekognition.recordings import today

    if not recordings:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("picture", "operation", "answer", "recorded", "model"):
        table.add_column(column, overflow="fold")
    for recording in recordings:
        day = recording.recorded.isoformat() if recording.recorded else "unknown"
        answer = f"{recording.error.code}" if recording.error else _size_of_answer(recording)
        key = " → ".join(part[:_ABBREVIATED] for part in recording.key.split("-"))
        table.add_row(
            Text(console.printable(_name(recording, names) or key)),
            recording.operation,
            Text(answer, style="red" if recording.error else ""),
            Text(day, style="yellow" if recording.is_old(today()) else "dim"),
            Text(recording.model_version, style="dim"),
        )
    console.stdout.print(table)


def _size_of_answer(recording: Recording) -> str:
    lists = [len(value) for value in recording.response.values() if isinstance(value, list)]
    return f"{lists[0]} found" if lists else "1 found"
