"""`darkroom rekognition …`: what a person types, reads, and what a CI job gets as exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from darkroom.cli import cli, main
from darkroom.cli.faults import faults_command, plan_of
from darkroom.cli.rekognition import rekognition_command
from darkroom.errors import DarkroomError
from darkroom.rekognition.faults import read_plan
from darkroom.settings import PROJECT_ROOT
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IMAGES = PROJECT_ROOT / "fixtures" / "images"
NO_OPTIONS: Mapping[str, Any] = {
    "operations": (),
    "throttle": None,
    "error_500": None,
    "drop": None,
    "others": (),
    "latency": None,
    "rate": None,
    "burst": None,
    "count": None,
    "after": None,
    "seed": 0,
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["rekognition", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three photographs of somebody."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(pictures.jpeg(700 + number))
    return folder


def test_add_describes_several_pictures_at_once_and_says_how_to_go_on(tmp_path: Path, photos: Path) -> None:
    done = run(
        "add", *sorted(photos.iterdir()), "--label", "Cat=71.2", "--label", "Sofa", "--fixtures", tmp_path
    )
    assert done.exit_code == 0
    assert done.stdout.count("Animal 71.2, Cat 71.2, Mammal 71.2, Pet 71.2") == 3
    assert "within a second" in done.stdout
    assert "rekognition complete" in done.stdout
    assert sorted(path.name for path in (tmp_path / "authored").iterdir()) == ["0.yaml", "1.yaml", "2.yaml"]


def test_add_repeats_every_section_in_words(tmp_path: Path, photos: Path) -> None:
    words = ("--text", "FOR SALE", "--face", "0,0,1,1 smile", "--moderation", "Drinking=81")
    done = run("add", photos / "0.jpg", *words, "--fixtures", tmp_path)
    said = done.stdout.splitlines()[0]
    assert said.endswith("; moderation Drinking 81, Alcohol Use 81, Alcohol 81; text FOR SALE; 1 face")


def test_add_writes_what_it_can_and_names_what_it_could_not(tmp_path: Path, photos: Path) -> None:
    assert run("add", photos / "0.jpg", "--label", "Cat=71", "--fixtures", tmp_path).exit_code == 0
    (photos / "notes.txt").write_text("no picture")
    done = run("add", *sorted(photos.iterdir()), "--label", "Dog=80", "--fixtures", tmp_path)
    assert isinstance(done.exception, DarkroomError)
    assert "already describes this picture" in done.exception.message
    assert "notes.txt: is not a whole PNG or JPEG" in done.exception.message
    assert "--replace" in done.exception.hint
    assert "Cat" in (tmp_path / "authored" / "0.yaml").read_text()
    assert "Dog" in (tmp_path / "authored" / "1.yaml").read_text()


def test_add_replaces_the_answer_of_the_same_picture_only(tmp_path: Path, photos: Path) -> None:
    run("add", photos / "0.jpg", "--label", "Cat=71", "--fixtures", tmp_path)
    other = tmp_path / "0.jpg"
    other.write_bytes(pictures.jpeg(799))
    run("add", photos / "0.jpg", other, "--label", "Dog=80", "--fixtures", tmp_path, "--replace")
    files = sorted((tmp_path / "authored").iterdir())
    assert len(files) == 2
    assert all("Dog: 80" in path.read_text() for path in files)


def test_add_without_options_writes_a_file_to_fill_in(tmp_path: Path, photos: Path) -> None:
    done = run("add", photos / "0.jpg", "--fixtures", tmp_path)
    assert "Nothing is in them yet" in done.stdout
    assert "labels: {}" in (tmp_path / "authored" / "0.yaml").read_text()


def test_add_tells_of_a_label_that_the_service_does_not_have(tmp_path: Path, photos: Path) -> None:
    done = run("add", photos / "0.jpg", "--label", "Kat=71", "--fixtures", tmp_path, "--json")
    (written,) = json.loads(done.stdout)
    assert written["labels"] == {"Kat": 71.0}
    assert "similar: Rat, Hat, Cat" in written["remarks"][0]


def test_a_wrong_confidence_is_a_wrong_option(tmp_path: Path, photos: Path) -> None:
    done = run("add", photos / "0.jpg", "--label", "Cat=much", "--fixtures", tmp_path)
    assert done.exit_code == 2
    assert "must be like Cat=71.2" in done.output


def test_lint_names_file_and_line_and_fails_a_ci_job(tmp_path: Path, photos: Path) -> None:
    run("add", photos / "0.jpg", "--label", "Cat=71", "--fixtures", tmp_path)
    assert run("lint", tmp_path).exit_code == 0
    path = tmp_path / "authored" / "0.yaml"
    path.write_text(path.read_text() + "faces:\n  - box: [0, 0, 1, 1]\n    age: old\n")
    done = run("lint", tmp_path)
    assert done.exit_code == 2
    line = path.read_text().splitlines().index("    age: old") + 1
    assert f"{path}:{line}: error: faces[0].age: must be like 31-39, not 'old'" in done.stdout
    (found,) = json.loads(run("lint", tmp_path, "--json").stdout)
    assert (found["line"], found["severity"]) == (line, "error")


def test_lint_fails_on_remarks_only_where_it_is_strict(tmp_path: Path, photos: Path) -> None:
    run("add", photos / "0.jpg", "--label", "Kat=71", "--fixtures", tmp_path)
    assert run("lint", tmp_path).exit_code == 0
    assert run("lint", tmp_path, "--strict").exit_code == 2


def test_the_process_ends_with_the_exit_code_of_lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "authored").mkdir()
    (tmp_path / "authored" / "a.yaml").write_text("image: {sha256: abc}\n")
    monkeypatch.setattr(sys, "argv", ["darkroom", "rekognition", "lint", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2


def test_complete_shows_the_answers_of_a_file_and_of_a_picture(tmp_path: Path) -> None:
    by_picture = run("complete", IMAGES / "cat-chelsea.png")
    assert "Tabby" in by_picture.stdout
    assert "fixture cat-chelsea.yaml" in by_picture.stdout
    fixture = PROJECT_ROOT / "fixtures" / "rekognition" / "authored" / "cat-chelsea.yaml"
    done = run("complete", fixture, "--operation", "DetectLabels", "--json")
    names = [label["Name"] for label in json.loads(done.stdout)["DetectLabels"]["Labels"]]
    assert names[:2] == ["Animal", "Mammal"]
    invented = tmp_path / "new.jpg"
    invented.write_bytes(pictures.jpeg(720))
    assert "synthetic" in run("complete", invented).stdout


def test_complete_shows_every_section_in_words() -> None:
    said = run("complete", IMAGES / "astronaut-eileen-collins.png").stdout
    assert "Female, 33-41" in said
    assert "Eileen Collins" in said
    assert "DARKROOM" in run("complete", IMAGES / "shop-sign.png").stdout
    assert "Alcohol" in run("complete", IMAGES / "still-life-with-wine.png").stdout


def test_complete_refuses_in_a_sentence(tmp_path: Path) -> None:
    for name, sentence in (("none.jpg", "cannot be read"), ("CREDITS", "the service would refuse it")):
        done = run("complete", IMAGES / name)
        assert isinstance(done.exception, DarkroomError)
        assert sentence in done.exception.message
    done = run("complete", IMAGES / "coffee.png", "--operation", "DetectDragons")
    assert isinstance(done.exception, DarkroomError)
    assert "DetectLabels" in done.exception.hint


def test_the_friendly_options_make_one_plan() -> None:
    words = (
        "--operation DetectLabels --throttle 30% --error-500 5% --drop 1% --fault access-denied=10% "
        "--latency 50..200ms --rate 5/s --burst 8 --count 10 --after 2 --seed 7"
    )
    set_command = faults_command.commands["set"]
    options = set_command.make_context("set", words.split()).params
    for name in ("plan", "endpoint", "as_json"):
        del options[name]
    plan = plan_of(**options)
    read_plan(plan)
    assert (plan["seed"], plan["tps"], plan["burst"]) == (7, 5.0, 8.0)
    assert [(fault["kind"], fault.get("rate")) for fault in plan["faults"]] == [
        ("latency", None),
        ("throughput", 0.3),
        ("internal", 0.05),
        ("drop", 0.01),
        ("access-denied", 0.1),
    ]
    assert plan["faults"][0]["latency_ms"] == {"low": 50.0, "high": 200.0}
    assert all(fault["operations"] == ["DetectLabels"] for fault in plan["faults"])
    assert all((fault["count"], fault["after"]) == (10, 2) for fault in plan["faults"])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("120ms", {"low": 120.0, "high": 120.0}),
        ("120", {"low": 120.0, "high": 120.0}),
        ("p50=80ms,p95=400ms", {"median": 80.0, "p95": 400.0}),
    ],
)
def test_latency_may_be_fixed_a_range_or_a_distribution(written: str, read: dict[str, float]) -> None:
    options = faults_command.commands["set"].make_context("set", ["--latency", written]).params
    plan = plan_of(**{**NO_OPTIONS, "latency": options["latency"]})
    assert plan["faults"][0]["latency_ms"] == read
    read_plan(plan)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--throttle", "130%"], "must be like 30%"),
        (["--latency", "soon"], "must be like 120ms"),
        (["--rate", "0/s"], "must be like 5/s"),
        (["--fault", "drop=x"], "must be like access-denied=10%"),
    ],
)
def test_a_value_that_cannot_be_read_is_answered_with_an_example(arguments: list[str], sentence: str) -> None:
    done = run("faults", "set", *arguments)
    assert done.exit_code == 2
    assert sentence in done.output


def test_a_plan_without_faults_is_not_sent(tmp_path: Path) -> None:
    done = run("faults", "set", "--seed", "3", "--endpoint", "http://127.0.0.1:9")
    assert isinstance(done.exception, DarkroomError)
    assert done.exception.message == "No fault is named."


def test_every_command_and_option_is_documented() -> None:
    text = "".join(
        (PROJECT_ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("rekognition", "recording")
    )
    commands = {**rekognition_command.commands, **faults_command.commands}
    words = {name: [*command.params] for name, command in commands.items()}
    assert [name for name in words if name not in text] == []
    options = {
        word for params in words.values() for param in params for word in param.opts if word[:2] == "--"
    }
    assert {option for option in options if option not in text} == set()


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from darkroom.cli import cli\n"
        "cli(['rekognition', 'faults', 'set', '--help'], standalone_mode=False)\n"
        "heavy = {'PIL', 'yaml', 'aiohttp', 'boto3', 'botocore', 'pydantic', 'darkroom.rekognition'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "--throttle" in done.stdout
