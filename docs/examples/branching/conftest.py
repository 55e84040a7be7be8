"""A local Rekognition for these tests, with the answers in answers/."""

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


@pytest.fixture(scope="session")
def rekognition() -> Iterator[Any]:
    """A boto3 client. --strict: a picture that nobody has described is an error, not an invented answer."""
    command = [
        sys.executable,
        "-m",
        "darkroom.rekognition",
        "--port",
        "0",
        "--strict",
        "--fixtures",
        "answers",
    ]
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
