"""`darkroom record`, `darkroom rekognition verify` and `recordings`, against a stand-in for AWS."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from darkroom.cli import cli
from darkroom.errors import DarkroomError
from darkroom.rekognition.linting import lint
from darkroom.rekognition.spending import Ledger
from darkroom.settings import PROJECT_ROOT
from tests.support import pictures
from tests.support.stand_in_aws import ACCOUNT, KEY, SECRET, SECRETS, StandIn, stand_in_aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Desk:
    """A developer's project with photographs, and AWS."""

    aws: StandIn
    folder: Path

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def recorded(self) -> Path:
        return self.folder / "project" / "fixtures" / "rekognition" / "recorded"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger.sqlite3")

    def files(self) -> list[Path]:
        return sorted(path for path in self.recorded.rglob("*") if path.is_file())

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_CONFIG_FILE": str(self.folder / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "aws-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "DARKROOM_HOME": str(self.folder / "home"),
            "DARKROOM_LEDGER": str(self.ledger.path),
            "DARKROOM_PROJECT": str(self.folder / "project"),
        }

    def run(self, *arguments: str | Path, **environment: str | None) -> Result:
        return CliRunner().invoke(cli, [*map(str, arguments)], env={**self.environment, **environment})

    def record(self, *arguments: str | Path, **environment: str | None) -> Result:
        aws = ("--aws-endpoint-url", self.aws.endpoint, "--rate", "50")
        return self.run("record", *arguments, *aws, **environment)

    def verify(self, *arguments: str | Path) -> Result:
        return self.run(
            "rekognition", "verify", *arguments, "--aws-endpoint-url", self.aws.endpoint, "--rate", "50"
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in list(os.environ):
        if name.startswith(("AWS_", "DARKROOM_")):
            monkeypatch.delenv(name)
    (tmp_path / "photos" / "deeper").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(pictures.jpeg(800 + number))
    (tmp_path / "photos" / "deeper" / "again.jpg").write_bytes(pictures.jpeg(800))
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    (tmp_path / "photos" / ".DS_Store").write_text("hidden")
    (tmp_path / "project" / "fixtures" / "rekognition").mkdir(parents=True)
    with stand_in_aws(PROJECT_ROOT / "fixtures" / "rekognition") as aws:
        yield Desk(aws, tmp_path)


def error_of(result: Result) -> DarkroomError:
    assert isinstance(result.exception, DarkroomError), result.output
    return result.exception


def test_a_folder_is_recorded_and_a_second_run_asks_nothing(desk: Desk) -> None:
    done = desk.record(desk.photos, "--operations", "DetectLabels,detecttext")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert f"Real AWS: account {ACCOUNT}, role Developer, region us-east-1" in lines[0]
    assert "3 pictures: 6 calls to ask" in done.output
    assert "at most $0.006 (prices of " in done.output
    assert "left out: " in done.output
    assert "notes.txt: not a whole PNG or JPEG" in done.output
    assert "6 recorded." in done.output
    assert f"6 paid calls, $0.006 in {desk.ledger.spent().month}." in done.output
    assert len(desk.files()) == 6
    assert lint(desk.recorded.parent)[1:] == []
    again = desk.record(desk.photos, "--operations", "DetectLabels,DetectText")
    assert "3 pictures: 0 calls to ask; 6 recorded already" in again.output
    assert len(desk.aws.calls) == 6
    refreshed = desk.record(desk.photos / "1.jpg", "--refresh")
    assert "1 recorded." in refreshed.output
    assert len(desk.aws.calls) == 7


def test_a_dry_run_needs_no_credentials_and_asks_nothing(desk: Desk) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    done = desk.record(desk.photos, "--image-properties", "--dry-run", **nobody)
    assert done.exit_code == 0, done.output
    assert "3 pictures: 3 calls would be asked" in done.output
    assert "at most $0.00525" in done.output
    as_json = desk.record(desk.photos, "--dry-run", "--json", **nobody)
    assert json.loads(as_json.stdout)["at_most_micros"] == 3000
    assert desk.aws.seen == []
    assert desk.files() == []
    without = desk.record(desk.photos, **nobody)
    assert "No AWS credentials were found" in error_of(without).message


def test_the_budget_stops_a_run_and_the_next_one_goes_on(desk: Desk) -> None:
    done = desk.record(desk.photos, "--budget", "0.002")
    assert "The budget of" not in done.output, "what stopped the run is said once, by the error"
    stopped = error_of(done)
    assert stopped.exit_code == 9
    assert stopped.message.startswith("1 of 3 are not recorded. The budget of $0.002")
    assert len(desk.aws.calls) == len(desk.files()) == 2
    assert error_of(desk.record(desk.photos, "--budget", "0.002")).exit_code == 9
    assert len(desk.aws.calls) == 2
    counted = error_of(desk.record(desk.photos, "--max-calls", "2"))
    assert "--max-calls allows 2" in counted.message
    assert desk.record(desk.photos, "--budget", "none").exit_code == 0
    assert len(desk.aws.calls) == len(desk.files()) == 3


def test_what_the_sdk_retries_is_retried_and_what_still_fails_is_told(desk: Desk) -> None:
    desk.aws.throttle(count=2)
    done = desk.record(desk.photos / "0.jpg")
    assert done.exit_code == 0, done.output
    assert desk.ledger.spent().calls == 1
    desk.aws.error = (400, "ResourceNotReadyException", "not yet")
    failed = desk.record(desk.photos)
    assert error_of(failed).message == "2 of 2 could not be recorded."
    assert "ResourceNotReadyException: not yet" in failed.output
    assert desk.ledger.spent().calls == 1
    assert len(desk.files()) == 1


def test_a_run_that_is_killed_leaves_whole_files_and_goes_on_where_it_stopped(desk: Desk) -> None:
    for number in range(20):
        (desk.photos / f"more-{number}.jpg").write_bytes(pictures.jpeg(900 + number))
    desk.aws.delay_s = 0.2
    command = [sys.executable, "-m", "darkroom.cli", "record", str(desk.photos), "--rate", "50"]
    command += ["--aws-endpoint-url", desk.aws.endpoint]
    process = subprocess.Popen(
        command, env={**os.environ, **desk.environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 40
    while len(desk.aws.calls) < 6:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    whole = [path for path in desk.files() if path.suffix == ".json"]
    assert 1 <= len(whole) < 23
    for path in whole:
        assert json.loads(path.read_text())["response"]["Labels"]
    spent = desk.ledger.spent().calls
    assert spent >= len(whole)
    desk.aws.delay_s = 0
    done = desk.record(desk.photos)
    assert done.exit_code == 0, done.output
    assert f"{len(whole)} recorded already" in done.output
    assert desk.ledger.spent().calls == spent + 23 - len(whole)


def test_ctrl_c_keeps_what_was_answered(desk: Desk) -> None:
    for number in range(20):
        (desk.photos / f"more-{number}.jpg").write_bytes(pictures.jpeg(900 + number))
    desk.aws.delay_s = 0.2
    command = [sys.executable, "-m", "darkroom.cli", "record", str(desk.photos), "--rate", "50"]
    command += ["--aws-endpoint-url", desk.aws.endpoint]
    process = subprocess.Popen(
        command,
        env={**os.environ, **desk.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 40
    while len(desk.aws.calls) < 4:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 130, output
    assert "the same command goes on from there" in output
    assert "Traceback" not in output
    assert len(desk.files()) == len(desk.aws.calls) == desk.ledger.spent().calls


def test_details_of_faces_are_recorded_only_on_request(desk: Desk) -> None:
    refused = error_of(desk.record(desk.photos, "--operations", "DetectFaces"))
    assert refused.exit_code == 2
    assert "--with-faces" in refused.hint
    assert desk.aws.seen == []
    assert desk.record(desk.photos, "--operations", "DetectFaces", "--with-faces", "--widest").exit_code == 0
    documents = [json.loads(path.read_text()) for path in desk.files()]
    assert [document["parameters"] for document in documents] == [{"Attributes": ["ALL"]}] * 3


def test_the_widest_answer_serves_every_narrower_request(desk: Desk) -> None:
    assert desk.record(desk.photos, "--widest").exit_code == 0
    assert all(json.loads(path.read_text())["parameters"]["MinConfidence"] == 0 for path in desk.files())
    done = desk.record(desk.photos, "--min-confidence", "70")
    assert "0 calls to ask; 3 recorded already" in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("no/such/folder",), "There is no file or folder no/such/folder"),
        (
            ("photos", "--operations", "CompareFaces"),
            "CompareFaces cannot be asked about pictures one by one",
        ),
        (("photos", "--aws-profile", "nobody"), "nobody"),
    ],
)
def test_a_mistake_is_one_sentence(desk: Desk, arguments: tuple[str, ...], sentence: str) -> None:
    (desk.folder / "aws-config").write_text("")
    words = [str(desk.photos) if word == "photos" else word for word in arguments]
    assert sentence in error_of(desk.record(*words)).message


def test_a_picture_that_is_too_large_is_left_out_and_named(desk: Desk) -> None:
    (desk.photos / "large.jpg").write_bytes(pictures.noisy_jpeg(1, size_bytes=9_000_000))
    done = desk.record(desk.photos / "large.jpg")
    assert "--downscale sends a smaller copy" in done.output
    assert desk.aws.calls == []
    assert desk.record(desk.photos / "large.jpg", "--downscale").exit_code == 0
    (file,) = desk.files()
    assert json.loads(file.read_text())["downscaled"] is True


def test_a_shell_that_points_to_the_local_environment_is_seen_through(desk: Desk) -> None:
    home = desk.folder / "home"
    home.mkdir()
    (home / "credentials").write_text(
        "[darkroom]\naws_access_key_id = AKIALOCALENVIRONMENT\naws_secret_access_key = x\n"
    )
    (home / "keyring.json").write_text(json.dumps({"AKIALOCALENVIRONMENT": {}}))
    own = desk.folder / "own-home" / ".aws"
    own.mkdir(parents=True)
    (own / "credentials").write_text(f"[dev]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    (own / "config").write_text("[profile dev]\nregion = eu-west-1\n")
    pointed: dict[str, str | None] = {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_PROFILE": "darkroom",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        "HOME": str(own.parent),
    }
    done = desk.record(desk.photos / "0.jpg", "--aws-profile", "dev", **pointed)
    assert done.exit_code == 0, done.output
    assert desk.aws.regions == {"eu-west-1"}
    assert json.loads(desk.files()[0].read_text())["region"] == "eu-west-1"
    assert "AKIALOCALENVIRONMENT" not in "".join(desk.aws.seen)
    local = desk.record(
        desk.photos / "0.jpg", AWS_ACCESS_KEY_ID="AKIALOCALENVIRONMENT", AWS_SECRET_ACCESS_KEY="x"
    )
    assert "keys of the local environment" in error_of(local).message


def test_verify_tells_differences_by_its_exit_code(desk: Desk) -> None:
    assert error_of(desk.verify(desk.photos)).message == "None of these pictures is recorded."
    desk.record(desk.photos, "--min-confidence", "1", "--operations", "DetectLabels,DetectModerationLabels")
    same = desk.verify(desk.photos, "--operations", "DetectLabels")
    assert same.exit_code == 0, same.output
    assert "3 the same, 0 differ, 0 not recorded." in same.output

    def drift(_: str, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "LabelModelVersion": "9.0"} if "Labels" in answer else answer

    desk.aws.drift = drift
    before = [path.read_bytes() for path in desk.files()]
    differs = desk.verify(desk.photos)
    assert error_of(differs).exit_code == 8
    assert "LabelModelVersion: 3.0 recorded, 9.0 real" in differs.output
    assert "3 the same, 3 differ, 0 not recorded." in differs.output
    assert [path.read_bytes() for path in desk.files()] == before
    dry = desk.verify(desk.photos, "--dry-run")
    assert "6 calls would be asked" in dry.output
    assert dry.exit_code == 0


def test_recordings_are_listed_shown_and_pruned(desk: Desk) -> None:
    desk.record(desk.photos, "--operations", "DetectLabels,DetectText")
    sha256 = hashlib.sha256(pictures.jpeg(801)).hexdigest()
    listed = desk.run("rekognition", "recordings", "list", "--images", desk.photos)
    assert listed.exit_code == 0
    assert "1.jpg" in listed.stdout
    assert "6 recordings in" in listed.stderr
    as_json = json.loads(desk.run("rekognition", "recordings", "list", "--json").stdout)
    assert {entry["operation"] for entry in as_json} == {"DetectLabels", "DetectText"}
    for name in (desk.photos / "1.jpg", sha256[:8]):
        shown = json.loads(desk.run("rekognition", "recordings", "show", name).stdout)
        assert [found["image"]["sha256"] for found in shown] == [sha256, sha256]
    assert error_of(desk.run("rekognition", "recordings", "show", "beef" * 8)).exit_code == 6
    assert error_of(desk.run("rekognition", "recordings", "prune")).exit_code == 2
    prune = ("rekognition", "recordings", "prune", "--operation", "DetectText")
    assert "3 recordings would be deleted" in desk.run(*prune, "--dry-run").stderr
    assert len(desk.files()) == 6
    assert "3 recordings are deleted" in desk.run(*prune, "--yes").stderr
    (desk.photos / "1.jpg").unlink()
    desk.run("rekognition", "recordings", "prune", "--not-in", desk.photos, "--yes")
    assert len(desk.files()) == 2
    assert sha256 not in str(desk.files())


def test_old_and_unreadable_recordings_are_told(desk: Desk) -> None:
    desk.record(desk.photos)
    old, broken, _ = desk.files()
    document = json.loads(old.read_text())
    old.write_text(json.dumps({**document, "recorded": "2024-01-01"}))
    broken.write_text("<<<<<<< HEAD\n" + broken.read_text())
    listed = desk.run("rekognition", "recordings", "list")
    assert "1 older than 180 days" in listed.stderr
    assert "not a recording" in error_of(listed).message
    findings = [str(finding) for finding in lint(desk.recorded.parent)]
    assert any("days old: the service may answer otherwise" in line for line in findings)
    pruned = desk.run("rekognition", "recordings", "prune", "--unreadable", "--yes")
    assert "1 recordings are deleted" in pruned.stderr
    assert "2024-01-01" in desk.run("rekognition", "recordings", "list").stdout
    assert len(desk.files()) == 2


def test_nothing_that_is_written_or_printed_holds_a_secret(desk: Desk) -> None:
    printed = desk.record(desk.photos, "--operations", "DetectLabels,DetectText,RecognizeCelebrities").output
    printed += desk.verify(desk.photos).output
    files = [
        path for path in desk.folder.rglob("*") if path.is_file() and not path.is_relative_to(desk.photos)
    ]
    written = b"".join(path.read_bytes() for path in files)
    assert len(files) >= 9
    for secret in (*SECRETS, "arn:aws", ACCOUNT):
        assert secret.encode() not in written
    for secret in SECRETS:
        assert secret not in printed
    for picture in desk.photos.glob("*.jpg"):
        assert picture.read_bytes()[:200] not in written
        assert picture.name.encode() not in written
