"""Rekognition in a container against a stand-in for AWS: keys and recording only for those who ask for them."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from darkroom.rekognition.control import set_mode, show_mode
from darkroom.settings import PROJECT_ROOT
from tests.compose.conftest import docker
from tests.compose.test_rekognition_container import compose
from tests.integration.conftest import free_port
from tests.support import pictures
from tests.support.stand_in_aws import ACCOUNT, KEY, SECRET

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)

CREDENTIALS = {"access_key_id": KEY, "secret_access_key": SECRET}


@pytest.fixture
def aws(tmp_path: Path, image: str) -> Path:
    """A Compose file that adds the stand-in, and the folders that it and Rekognition use."""
    for name in ("fixtures/authored", "fixtures/recorded", "ledger", "dot-aws"):
        (tmp_path / name).mkdir(parents=True)
    override = tmp_path / "aws.yml"
    stand_in = {
        "image": image,
        "command": ["python", "-m", "tests.support.stand_in_aws", "0.0.0.0", "9000", "/fixtures"],  # noqa: S104
        "volumes": [
            f"{PROJECT_ROOT}/tests:/app/tests:ro",
            f"{PROJECT_ROOT}/fixtures/rekognition:/fixtures:ro",
        ],
    }
    override.write_text(
        json.dumps(
            {
                "services": {
                    "aws": stand_in,
                    "rekognition": {"depends_on": ["aws"]},
                    "rekognition-aws": {"depends_on": ["aws"]},
                }
            }
        )
    )
    return override


def ask(service: Any, seed: int = 950) -> Any:
    return service.client().detect_labels(Image={"Bytes": pictures.jpeg(seed)})


def switch(service: Any, mode: str) -> None:
    document = {"mode": mode, "endpoint": "http://aws:9000", "credentials": CREDENTIALS}
    set_mode(f"http://127.0.0.1:{service.port}", document)


def test_as_it_stands_the_container_can_neither_record_nor_pay(aws: Path, image: str) -> None:
    with compose(image, "darkroom-test-aws", aws) as service:
        switch(service, "proxy")
        with pytest.raises(
            ClientError, match=r"BudgetExceededException.*rekognition-spending.sqlite3 cannot be"
        ):
            ask(service)


def test_with_recording_switched_on_answers_and_spending_are_written_to_folders_of_yours(
    aws: Path,
    image: str,
) -> None:
    folder = aws.parent
    variables = {
        "DARKROOM_FIXTURES": str(folder / "fixtures"),
        "DARKROOM_LEDGER_FOLDER": str(folder / "ledger"),
        "DARKROOM_RECORDING": "rw",
        "DARKROOM_UID": str(os.getuid()),
        "DARKROOM_GID": str(os.getgid()),
    }
    with compose(image, "darkroom-test-aws", aws, **variables) as service:
        switch(service, "record-missing")
        assert ask(service)["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-source"] == "aws"
        assert ask(service)["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-source"] == "recorded"
        environment = docker("exec", service.container, "cat", "/proc/1/environ")
        assert SECRET not in environment
    (file,) = (folder / "fixtures" / "recorded").rglob("*.json")
    assert json.loads(file.read_text())["response"]["Labels"]
    with sqlite3.connect(folder / "ledger" / "rekognition-spending.sqlite3") as database:
        assert database.execute("SELECT calls FROM spent").fetchall() == [(1,)]


def test_the_profile_aws_proxies_with_the_keys_of_the_mounted_folder(aws: Path, image: str) -> None:
    folder = aws.parent
    keys = f"[dev]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    (folder / "dot-aws" / "credentials").write_text(keys)
    variables = {
        "AWS_PROFILE": "dev",
        "DARKROOM_AWS_ENDPOINT_URL": "http://aws:9000",
        "DARKROOM_AWS_FOLDER": str(folder / "dot-aws"),
        "DARKROOM_FIXTURES": str(folder / "fixtures"),
        "DARKROOM_LEDGER_FOLDER": str(folder / "ledger"),
        "DARKROOM_REKOGNITION_AWS_PORT": str(free_port()),
        "DARKROOM_UID": str(os.getuid()),
        "DARKROOM_GID": str(os.getgid()),
    }
    with compose(image, "darkroom-test-aws", aws, service="rekognition-aws", **variables) as service:
        answer = ask(service)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-source"] == "aws"
        status = show_mode(f"http://127.0.0.1:{service.port}")
        assert status["identity"] == {"account": ACCOUNT, "who": "role Developer"}
        assert status["spent"]["calls"] == 1
    assert not list((folder / "fixtures" / "recorded").rglob("*.json"))
