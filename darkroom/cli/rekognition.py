"""Commands about what is in a picture: writing answers, checking them, seeing them, serving them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darkroom.cli import console
from darkroom.cli.faults import faults_command
from darkroom.cli.rekognition_modes import mode_command, recordings_command, verify_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from darkroom.rekognition.completing import Completed

_FOUND_ERRORS = 2
_SURE = 95.0
"""The confidence of a label that is given without one."""

fixtures_option = click.option(
    "--fixtures",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder with authored/ and recorded/; by default the project's fixtures/rekognition.",
)


@click.group("rekognition")
def rekognition_command() -> None:
    """Decide what is in a picture: answers of the local Rekognition, and its faults."""


for _command in (faults_command, mode_command, recordings_command, verify_command):
    rekognition_command.add_command(_command)


class _Confidence(click.ParamType[tuple[str, float]]):
    """``Cat=71.2``, or ``Cat`` for one that is surely there."""

    name = "name=confidence"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        name, equals, percent = str(value).rpartition("=")
        if not equals:
            return str(value), _SURE
        try:
            return name, float(percent)
        except ValueError:
            self.fail(f"{value!r} must be like Cat=71.2", param, ctx)


@rekognition_command.command("add")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=_Confidence(),
    metavar="NAME=CONFIDENCE",
    help="A label, for example Cat=71.2; without a confidence 95. Ancestors and categories are completed.",
)
@click.option(
    "--face",
    "faces",
    multiple=True,
    metavar="WORDS",
    help='A face: "0.34,0.12,0.19,0.24 age=31-39 gender=Female smile emotion=HAPPY celebrity=Ada Lovelace".',
)
@click.option("--text", "texts", multiple=True, metavar="LINE", help="A line of text, from the top.")
@click.option(
    "--moderation",
    multiple=True,
    type=_Confidence(),
    metavar="NAME=CONFIDENCE",
    help="A moderation label, for example Smoking=92.1.",
)
@click.option("--replace", is_flag=True, help="Write over what describes the picture already.")
@fixtures_option
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def add(
    images: tuple[Path, ...],
    labels: tuple[tuple[str, float], ...],
    faces: tuple[str, ...],
    texts: tuple[str, ...],
    moderation: tuple[tuple[str, float], ...],
    replace: bool,
    fixtures: Path | None,
    as_json: bool,
) -> None:
    """Write down what is in pictures: the same for each IMAGE, in a file of its own.

    The file is found by the picture's content, so the answer follows the picture wherever it is copied. Without
    options an empty one is written, to be filled in.
    """
    from darkroom.errors import UsageError
    from darkroom.rekognition import FixtureError
    from darkroom.rekognition.authoring import add_fixture

    folder = _folder(fixtures)
    written: list[dict[str, Any]] = []
    refused: list[FixtureError] = []
    for image in images:
        try:
            path = add_fixture(
                image,
                folder,
                labels=dict(labels),
                faces=faces,
                text=texts,
                moderation=dict(moderation),
                replace=replace,
            )
        except FixtureError as error:
            refused.append(error)
            continue
        written.append(_written(image, path))
    if as_json:
        console.print_json(written)
    else:
        _print_written(written, is_empty=not (labels or faces or texts or moderation))
    if refused:
        kept = any("already describes" in problem for error in refused for problem in error.problems)
        raise UsageError(
            "\n".join(_short(error) for error in refused),
            hint="--replace writes over a description that is there." if kept else "",
        )


def _written(image: Path, path: Path) -> dict[str, Any]:
    from darkroom.rekognition.fixtures import read_fixture

    fixture = read_fixture(path)
    answers = fixture.answers
    moderation = answers["DetectModerationLabels"]["ModerationLabels"]
    text = [item for item in answers["DetectText"]["TextDetections"] if item["Type"] == "LINE"]
    return {
        "image": str(image),
        "fixture": str(path),
        "labels": _percents(answers["DetectLabels"]["Labels"]),
        "moderation": _percents(moderation),
        "text": [item["DetectedText"] for item in text],
        "faces": len(answers["DetectFaces"]["FaceDetails"]),
        "remarks": list(fixture.remarks),
    }


def _percents(labels: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {label["Name"]: label["Confidence"] for label in labels}


def _print_written(written: Sequence[Mapping[str, Any]], *, is_empty: bool) -> None:
    for item in written:
        path = console.short_path(Path(item["fixture"]))
        click.echo(f"{console.printable(item['image'])} → {path}: {console.printable(_summary(item))}")
    for remark in dict.fromkeys(remark for item in written for remark in item["remarks"]):
        console.stderr.print("Note:", style="yellow", end=" ")
        console.stderr.print(remark, markup=False, soft_wrap=True)
    if not written:
        return
    if is_empty:
        click.echo("Nothing is in them yet. Fill in labels, for example:  labels: {Cat: 71.2}")
    one = console.short_path(Path(written[0]["fixture"]))
    click.echo("What runs on this folder answers so within a second. To change an answer, edit its file.")
    click.echo(f"`{console.own_command()} rekognition complete {one}` shows the whole answers.")


def _summary(item: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{name} {percent:.4g}" for name, percent in item["labels"].items()) or "no labels"
    moderation = ", ".join(f"{name} {percent:.4g}" for name, percent in item["moderation"].items())
    parts = [
        labels,
        f"moderation {moderation}" if moderation else "",
        f"text {' / '.join(item['text'])}" if item["text"] else "",
        f"{item['faces']} face{'s' if item['faces'] > 1 else ''}" if item["faces"] else "",
    ]
    return "; ".join(part for part in parts if part)


@rekognition_command.command("lint")
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[FOLDER]")
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The pictures: their names, hashes and sizes are compared with the fixtures.",
)
@click.option("--strict", is_flag=True, help="Fail on remarks too, not only on errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def lint_command(path: Path | None, images: Path | None, strict: bool, as_json: bool) -> None:
    """Check fixtures: shapes, ranges, taxonomy. FOLDER holds authored/ and recorded/ (the project's by default).

    Exits with 2 when a fixture cannot be used.
    """
    from darkroom.errors import UsageError
    from darkroom.rekognition.linting import Severity, lint

    folder = _folder(path)
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder.", hint="Name the one that holds authored/ and recorded/."
        )
    findings = lint(folder, images)
    if as_json:
        console.print_json(
            [
                {
                    "path": str(finding.path),
                    "line": finding.line,
                    "severity": finding.severity.value,
                    "sentence": finding.sentence,
                }
                for finding in findings
            ]
        )
    else:
        for finding in findings:
            click.echo(console.printable(str(finding)))
        errors = sum(finding.severity is Severity.ERROR for finding in findings)
        click.echo(f"{errors} errors, {len(findings) - errors} remarks in {folder}", err=True)
    if any(strict or finding.severity is Severity.ERROR for finding in findings):
        raise click.exceptions.Exit(_FOUND_ERRORS)


@rekognition_command.command("complete")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE|IMAGE")
@click.option("--operation", "operations", multiple=True, help="Only this one, for example DetectLabels.")
@fixtures_option
@click.option("--json", "as_json", is_flag=True, help="Print the answers as the service would send them.")
def complete_command(path: Path, operations: tuple[str, ...], fixtures: Path | None, as_json: bool) -> None:
    """Show what is answered: for a fixture file, or for a picture.

    It is all that is known; a request gets the part that its MinConfidence, MaxLabels and filters leave.
    """
    from darkroom.errors import UsageError
    from darkroom.rekognition.completing import completed

    with _as_usage_errors():
        found = completed(path, _folder(fixtures))
    unknown = [name for name in operations if name not in found.answers]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)} is answered from no fixture.",
            hint=f"Choose from {', '.join(found.answers)}.",
        )
    answers = {name: found.answers[name] for name in operations or found.answers}
    if as_json:
        console.print_json(answers)
    else:
        _print_answers(answers, found)


def _print_answers(answers: Mapping[str, dict[str, Any]], found: Completed) -> None:
    for name, answer in answers.items():
        console.stdout.print(f"[bold]{name}[/]  [dim]{found.sources[name]}[/]", soft_wrap=True)
        for line in _LINES[name](answer) if name in _LINES else [str(answer)]:
            click.echo(f"  {console.printable(line)}")
    for remark in found.remarks:
        console.stderr.print(f"Note: {remark}", style="yellow", markup=False, soft_wrap=True)


def _label_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for label in answer["Labels"]:
        parents = ", ".join(parent["Name"] for parent in label.get("Parents", ()))
        categories = ", ".join(category["Name"] for category in label.get("Categories", ()))
        boxes = len(label.get("Instances", ()))
        notes = " · ".join(note for note in (parents, categories, f"{boxes} found" if boxes else "") if note)
        yield f"{label['Name']:<24} {label['Confidence']:6.2f}  {notes}".rstrip()


def _face_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for face in answer["FaceDetails"]:
        age, emotions = face["AgeRange"], face["Emotions"]
        mood = f", {emotions[0]['Type']} {emotions[0]['Confidence']:.0f}" if emotions else ""
        yield f"{face['Gender']['Value']}, {age['Low']}-{age['High']}{mood}  {_box(face['BoundingBox'])}"


def _celebrity_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for face in answer.get("CelebrityFaces", ()):
        yield f"{face['Name']} ({face['Id']})  {face['MatchConfidence']:.2f}"
    if others := len(answer.get("UnrecognizedFaces", ())):
        yield f"{others} not recognised"


def _text_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for item in answer["TextDetections"]:
        if item["Type"] == "LINE":
            yield f"{item['DetectedText']}  {item['Confidence']:.2f}"


def _moderation_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for label in answer["ModerationLabels"]:
        yield f"{label['Name']:<24} {label['Confidence']:6.2f}  {label['ParentName']}".rstrip()


def _person_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for person in answer["Persons"]:
        covers = [
            cover["Type"] for part in person["BodyParts"] for cover in part.get("EquipmentDetections", ())
        ]
        yield f"person {person['Id']}: {', '.join(covers) or 'nothing worn'}"


def _box(box: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {box[name]:.2f}" for name in ("Left", "Top", "Width", "Height"))


_LINES = {
    "DetectLabels": _label_lines,
    "DetectFaces": _face_lines,
    "RecognizeCelebrities": _celebrity_lines,
    "DetectText": _text_lines,
    "DetectModerationLabels": _moderation_lines,
    "DetectProtectiveEquipment": _person_lines,
}


@rekognition_command.command(
    "serve",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS]")
def serve_command(arguments: tuple[str, ...]) -> None:
    """Serve it by itself, as `python -m darkroom.rekognition` does; --help lists its options."""
    from darkroom.rekognition.__main__ import main

    given = list(arguments)
    if not any(argument.partition("=")[0] == "--fixtures" for argument in given):
        given += ["--fixtures", str(_folder(None))]
    raise click.exceptions.Exit(main(given))


def _folder(given: Path | None) -> Path:
    """The fixtures folder: the given one, or the project's."""
    if given is not None:
        return given
    from darkroom.operations.rekognition import fixtures_folder
    from darkroom.settings import load

    return fixtures_folder(load())


@contextmanager
def _as_usage_errors() -> Iterator[None]:
    """A fixture that cannot be used is a user's to mend."""
    from darkroom.errors import UsageError
    from darkroom.rekognition import FixtureError

    try:
        yield
    except FixtureError as error:
        raise UsageError(_short(error)) from None


def _short(error: Any) -> str:
    """The error with its file as seen from where the user stands."""
    return f"{console.short_path(error.path)}: {'; '.join(error.problems)}"
