"""The pipeline with real Rekognition, played by a stand-in: modes switched while it runs, and nothing given away."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.test_rekognition import ONCE, client, own  # noqa: F401 -- `own` is a fixture
from tests.support import pictures
from tests.support.stand_in_aws import ACCOUNT, KEY, ROLE, SECRET, SECRETS, StandIn, stand_in_aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """It sees a zebra wherever the local fixtures see nothing in particular."""
    fixtures = tmp_path_factory.mktemp("aws")
    (fixtures / "authored").mkdir()
    for seed in range(600, 610):
        sha256 = hashlib.sha256(pictures.jpeg(seed)).hexdigest()
        content = f"image: {{sha256: {sha256}}}\nlabels: {{Zebra: 97.5}}\n"
        (fixtures / "authored" / f"{seed}.yaml").write_text(content)
    with stand_in_aws(fixtures) as aws:
        yield aws


def run(running: Running, aws: StandIn, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line in a developer's shell, which has real keys."""
    settings = running.environment.settings
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DARKROOM_"))},
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "DARKROOM_HOME": str(settings.home),
        "DARKROOM_INBOX": str(settings.inbox),
        "DARKROOM_PORT": str(settings.port),
        "DARKROOM_PROJECT": str(settings.project),
        "DARKROOM_LEDGER": str(settings.ledger),
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "darkroom.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def mode(running: Running, aws: StandIn, *arguments: str) -> str:
    done = run(running, aws, "rekognition", "mode", *arguments, "--aws-endpoint-url", aws.endpoint)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def real(own: Running, aws: StandIn) -> Iterator[Running]:  # noqa: F811
    """The environment in `stub` before and after."""
    mode(own, aws, "stub")
    yield own
    mode(own, aws, "stub")


def recorded(running: Running) -> list[Path]:
    return sorted((running.environment.settings.project / "fixtures/rekognition/recorded").rglob("*.json"))


def labels(record: Any) -> list[str]:
    return [label["Name"] for label in record["Labels"]]


def test_a_photograph_is_tagged_by_real_aws_recorded_and_then_replayed(real: Running, aws: StandIn) -> None:
    said = mode(real, aws, "record-missing", "--budget", "0.25")
    assert f"real AWS  account {ACCOUNT}, role Developer, region us-east-1" in said
    assert "budget $0.25" in said
    record = real.record(real.drop("zebra.jpg", pictures.jpeg(600)))
    assert "Zebra" in labels(record)
    assert record["Source"] == "aws"
    (file,) = recorded(real)
    assert json.loads(file.read_text())["image"]["sha256"] == hashlib.sha256(pictures.jpeg(600)).hexdigest()
    status = run(real, aws, "status").stdout
    assert "Rekognition record-missing" in status
    assert "1 calls, $0.001" in status
    mode(real, aws, "replay")
    asked = len(aws.calls)
    again = real.record(real.drop("the same.jpg", pictures.jpeg(600)))
    assert again["Source"] == "recorded"
    assert labels(again) == labels(record)
    assert len(aws.calls) == asked


def test_proxy_stores_nothing_and_no_local_key_reaches_aws(real: Running, aws: StandIn) -> None:
    before = recorded(real)
    mode(real, aws, "proxy")
    record = real.record(real.drop("proxied.jpg", pictures.jpeg(601)))
    assert (record["Source"], "Zebra" in labels(record)) == ("aws", True)
    assert recorded(real) == before
    keyring = json.loads(real.environment.layout.keyring.read_text())
    everything = "".join(aws.seen)
    assert keyring
    assert not any(key in everything or fields["secret"] in everything for key, fields in keyring.items())
    assert real.bucket not in everything


def test_real_keys_reach_no_file_of_the_environment(real: Running, aws: StandIn) -> None:
    mode(real, aws, "proxy")
    real.record(real.drop("private.jpg", pictures.jpeg(602)))
    layout = real.environment.layout
    for path in layout.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (*SECRETS, ROLE):
                assert secret.encode() not in content, path
    pids = [
        real.environment.engine.pid_of(part) for part in ("engine", "gateway", "runtime", "sync", "keeper")
    ]
    for pid in pids:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 -- of the kernel
            assert SECRET.encode() not in file.read()


def test_after_a_crash_of_the_gateway_nothing_is_invented_and_nothing_asked(
    real: Running, aws: StandIn
) -> None:
    mode(real, aws, "proxy")
    pid = real.environment.engine.pid_of("gateway")
    os.kill(pid, 9)
    real.environment.engine.wait_ready()
    image: Any = {"Bytes": pictures.jpeg(603)}
    asked = len(aws.seen)
    with pytest.raises(ClientError, match=r"RealAwsCredentialsException.*darkroom rekognition mode proxy"):
        client(real, ONCE).detect_labels(Image=image)
    assert len(aws.seen) == asked
    assert "no keys since the last restart" in run(real, aws, "status").stdout
    mode(real, aws, "proxy")
    assert client(real, ONCE).detect_labels(Image=image)["Labels"][0]["Name"] == "Animal"


def test_keys_of_the_bucket_are_recorded_and_verified(real: Running, aws: StandIn) -> None:
    real.record(real.drop("album/one.jpg", pictures.jpeg(604)))
    arguments = ("uploads/album/", "--aws-endpoint-url", aws.endpoint)
    done = run(real, aws, "record", *arguments)
    assert done.returncode == 0, done.stderr
    assert "1 recorded." in done.stdout
    verified = run(real, aws, "rekognition", "verify", *arguments)
    assert verified.returncode == 0, verified.stderr
    assert "1 the same" in verified.stdout
    missing = run(real, aws, "record", "uploads/nothing.jpg")
    assert missing.returncode == 6
    assert "no such key in the bucket" in missing.stderr


def test_what_verify_met_while_running_is_reported_with_an_exit_code(real: Running, aws: StandIn) -> None:
    done = run(real, aws, "rekognition", "verify")
    assert done.returncode == 9, "nothing was compared"
    mode(real, aws, "record-missing")
    image: Any = {"Bytes": pictures.jpeg(605)}
    client(real).detect_labels(Image=image)
    mode(real, aws, "verify")
    client(real).detect_labels(Image=image)
    assert run(real, aws, "rekognition", "verify").returncode == 0
    aws.drift = lambda _, answer: {**answer, "LabelModelVersion": "9.9"}
    client(real).detect_labels(Image=image)
    aws.drift = None
    differs = run(real, aws, "rekognition", "verify")
    assert differs.returncode == 8
    assert "LabelModelVersion: 3.0 recorded, 9.9 real" in differs.stdout


def test_up_switches_to_the_mode_that_is_set_and_down_forgets_it(real: Running, aws: StandIn) -> None:
    done = run(real, aws, "up", DARKROOM_REKOGNITION="replay")
    assert done.returncode == 0, done.stderr
    assert "mode is replay" in done.stderr
    assert json.loads(run(real, aws, "status", "--json").stdout)["rekognition"]["mode"] == "replay"
    assert run(real, aws, "up").returncode == 0
    assert json.loads(run(real, aws, "status", "--json").stdout)["rekognition"]["mode"] == "replay"
    assert run(real, aws, "down").returncode == 0
    assert run(real, aws, "up").returncode == 0
    assert json.loads(run(real, aws, "status", "--json").stdout)["rekognition"]["mode"] == "stub"
    wrong = run(real, aws, "up", DARKROOM_REKOGNITION="paid")
    assert wrong.returncode == 2
    assert "must be one of stub, replay" in wrong.stderr
