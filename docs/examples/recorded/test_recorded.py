"""An application is tested with what the real service once said, offline: docs/recording.md tells how."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

HERE = Path(__file__).parent
PHOTOS = sorted((HERE / "photos").iterdir())


@pytest.fixture(scope="session")
def rekognition() -> Iterator[Any]:
    """A boto3 client of a local Rekognition that knows recordings and nothing else."""
    command = [sys.executable, "-m", "darkroom.rekognition", "--port", "0", "--mode", "replay"]
    command += ["--fixtures", "answers"]
    with subprocess.Popen(command, cwd=HERE, stderr=subprocess.PIPE, text=True, env=os.environ) as server:
        assert server.stderr is not None
        line = server.stderr.readline()  # … INFO {"ready": "http://127.0.0.1:43210", …}
        endpoint = json.loads(line[line.index("{") :])["ready"]
        yield boto3.client(
            "rekognition",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        server.terminate()
        server.stderr.read()


@pytest.mark.parametrize("photo", PHOTOS, ids=[photo.name for photo in PHOTOS])
def test_every_photo_has_labels_that_are_real(rekognition: Any, photo: Path) -> None:
    answer = rekognition.detect_labels(Image={"Bytes": photo.read_bytes()}, MinConfidence=70, MaxLabels=10)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-source"] == "recorded"
    assert answer["Labels"]


def test_what_was_not_recorded_is_an_error_and_not_an_invention(rekognition: Any) -> None:
    with pytest.raises(rekognition.exceptions.ClientError, match="RecordingNotFoundException"):
        rekognition.detect_text(Image={"Bytes": PHOTOS[0].read_bytes()})
