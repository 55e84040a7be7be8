"""Clients that this project does not bring: the AWS CLI and the JavaScript SDK v3, installed for the test."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "fixtures" / "images"

SCRIPT = """
import { readFileSync } from "node:fs";
import {
  RekognitionClient, DetectLabelsCommand, DetectFacesCommand, DetectTextCommand, RecognizeCelebritiesCommand,
  DetectModerationLabelsCommand, CompareFacesCommand, GetCelebrityInfoCommand,
} from "@aws-sdk/client-rekognition";
const [endpoint, images] = process.argv.slice(2);
const client = new RekognitionClient({
  endpoint, region: "us-east-1", maxAttempts: 1, credentials: { accessKeyId: "AKID", secretAccessKey: "secret" },
});
const image = (name) => ({ Bytes: readFileSync(`${images}/${name}`) });
const out = {};
const cat = await client.send(new DetectLabelsCommand({ Image: image("cat-chelsea.png"), MinConfidence: 70 }));
out.labels = cat.Labels.map((label) => label.Name);
out.confidence = cat.Labels[3].Confidence;
const astronaut = image("astronaut-eileen-collins.png");
const faces = await client.send(new DetectFacesCommand({ Image: astronaut, Attributes: ["ALL"] }));
out.smile = faces.FaceDetails[0].Smile.Value;
const people = await client.send(new RecognizeCelebritiesCommand({ Image: astronaut }));
out.name = (await client.send(new GetCelebrityInfoCommand({ Id: people.CelebrityFaces[0].Id }))).Name;
out.text = (await client.send(new DetectTextCommand({ Image: image("shop-sign.png") }))).TextDetections[0].DetectedText;
const wine = await client.send(new DetectModerationLabelsCommand({ Image: image("still-life-with-wine.png") }));
out.moderation = wine.ModerationLabels[0].Name;
const match = await client.send(new CompareFacesCommand({ SourceImage: astronaut, TargetImage: astronaut }));
out.similarity = match.FaceMatches[0].Similarity;
const refused = async (command) => {
  try { await client.send(command); return "no error"; } catch (error) { return `${error.name}: ${error.message}`; }
};
out.format = await refused(new DetectLabelsCommand({ Image: { Bytes: Buffer.from("no picture") } }));
out.large = await refused(new DetectLabelsCommand({ Image: { Bytes: Buffer.alloc(6000000) } }));
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The server as a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "darkroom.rekognition",
            "--port",
            str(port),
            "--fixtures",
            "fixtures/rekognition",
        ],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(500):
        try:
            opener.open(f"{address}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)
    yield address
    process.terminate()
    assert process.wait(5) == 0


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The AWS CLI in an environment of its own."""
    folder = tmp_path_factory.mktemp("cli")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", "awscli"], check=True, timeout=300)
    return folder / "bin" / "aws"


@pytest.mark.timeout(400)
def test_the_aws_cli_gets_answers_and_refusals(aws: Path, endpoint: str, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(aws), "rekognition", "--endpoint-url", endpoint, "--output", "json", *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def image(name: str, option: str = "--image") -> tuple[str, str]:
        return f"{option}-bytes", f"fileb://{IMAGES / name}"

    def answer(*arguments: str) -> Any:
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    labels = answer(
        "detect-labels", *image("cat-chelsea.png"), "--min-confidence", "80", "--max-labels", "10"
    )
    assert [label["Name"] for label in labels["Labels"]] == ["Animal", "Mammal", "Pet"]
    properties = answer("detect-labels", *image("coffee.png"), "--features", "IMAGE_PROPERTIES")
    assert properties["ImageProperties"]["DominantColors"]
    faces = answer("detect-faces", *image("astronaut-eileen-collins.png"), "--attributes", "ALL")
    assert faces["FaceDetails"][0]["Gender"]["Value"] == "Female"
    people = answer("recognize-celebrities", *image("astronaut-eileen-collins.png"))
    identity = people["CelebrityFaces"][0]["Id"]
    assert answer("get-celebrity-info", "--id", identity)["Name"] == "Eileen Collins"
    assert answer("detect-text", *image("shop-sign.png"))["TextDetections"][0]["DetectedText"] == "DARKROOM"
    wine = answer("detect-moderation-labels", *image("still-life-with-wine.png"))
    assert wine["ModerationLabels"][0]["Name"] == "Alcoholic Beverages"
    worker = answer("detect-protective-equipment", *image("astronaut-eileen-collins.png"))
    assert len(worker["Persons"]) == 1
    both = (
        *image("astronaut-eileen-collins.png", "--source-image"),
        *image("astronaut-eileen-collins.png", "--target-image"),
    )
    assert answer("compare-faces", *both)["FaceMatches"][0]["Similarity"] == 100.0
    text = tmp_path / "text.png"
    text.write_text("no picture")
    refused = run("detect-labels", "--image-bytes", f"fileb://{text}")
    assert refused.returncode != 0
    assert "InvalidImageFormatException" in refused.stderr
    assert "Request has invalid image format" in refused.stderr
    missing = run("detect-labels", "--image", "S3Object={Bucket=bucket}")
    assert "Request has invalid S3 object." in missing.stderr
    assert "UnsupportedOperationException" in run("list-collections").stderr


@pytest.mark.timeout(400)
def test_the_javascript_sdk_gets_answers_and_refusals(endpoint: str, tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm is not None, "This test needs Node.js with npm on the PATH."
    assert node is not None, "This test needs Node.js on the PATH."
    install = [
        npm,
        "install",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(tmp_path),
        "@aws-sdk/client-rekognition@3",
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    script = tmp_path / "client.mjs"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [node, str(script), endpoint, str(IMAGES)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "labels": ["Animal", "Mammal", "Pet", "Cat"],
        "confidence": 71.19999694824219,
        "smile": True,
        "name": "Eileen Collins",
        "text": "DARKROOM",
        "moderation": "Alcoholic Beverages",
        "similarity": 100,
        "format": "InvalidImageFormatException: Request has invalid image format",
        "large": "ValidationException: 1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=6000000 "
        "cap=6000000]' at 'image.bytes' failed to satisfy constraint: Member must have length less than or equal to "
        "5242880",
    }
