"""The local Rekognition by itself: DetectLabels by S3Object and by Bytes, beside moto's server.

    python -m bench.rekognition [--seconds 5]

Every call brings a picture that the server has not seen before (300 KB JPEG, 1600 x 1067), so nothing is answered
from memory. Latency is what one boto3 client sees, call after call; the sustained rate is what two processes with
four connections each get through without boto3's own cost. S3 is a small file server of this script. moto's server
ignores the picture: it answers the same label to everything and reads no object, so it bounds what HTTP itself costs.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
from aiohttp import web
from botocore.config import Config
from PIL import Image

from bench.measure import Report, console, machine, percentile
from tests.integration.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PICTURE_BYTES = 300_000
_BUCKET = "bench-bucket"
_KEYS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def photograph() -> bytes:
    """A JPEG of about 300 KB."""
    with Image.open(ROOT / "fixtures" / "images" / "coffee.png") as original:
        large = original.convert("RGB").resize((1600, 1067))
    noisy = Image.blend(large, Image.effect_noise((1600, 1067), 60).convert("RGB"), 0.15)
    quality = 95
    while True:
        stream = io.BytesIO()
        noisy.save(stream, format="JPEG", quality=quality)
        if len(stream.getvalue()) <= PICTURE_BYTES:
            return stream.getvalue()
        quality -= 2


def numbered(picture: bytes, number: int) -> bytes:
    """The same picture with other bytes: a comment with a number behind the start marker."""
    return picture[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + picture[2:]


def serve_objects(picture: bytes, port: int) -> None:
    """GET /bucket/<number> answers the numbered picture, as S3 would."""

    async def get(request: web.Request) -> web.Response:
        data = numbered(picture, int(request.match_info["number"]))
        return web.Response(body=data, headers={"ETag": '"x"', "Content-Type": "image/jpeg"})

    app = web.Application()
    app.router.add_get("/{bucket}/{number}", get)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda _text: None)


@dataclass(frozen=True, slots=True)
class Result:
    """One row: milliseconds as one client sees them, and calls per second of all."""

    name: str
    p50_ms: float
    p95_ms: float
    sustained: float
    memory_mb: float

    def __str__(self) -> str:
        """As the report shows it."""
        return f"p50 {self.p50_ms:.1f} ms, p95 {self.p95_ms:.1f} ms, {self.sustained:.0f}/s, {self.memory_mb:.0f} MB"


def latency(call: Callable[[int], Any], seconds: float) -> tuple[float, float]:
    """p50 and p95 in milliseconds of calls one after the other."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        call(len(times))
        times.append((time.perf_counter() - started) * 1000)
    times = times[min(20, len(times) // 4) :]
    return statistics.median(times), percentile(times, 95)


def load(port: int, picture: bytes | None, first: int, seconds: float, results: Any) -> None:
    """Four connections that ask as fast as they are answered; `picture` None means by S3Object."""
    counts = [0] * 4

    def connection(slot: int) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port)
        headers = {
            "X-Amz-Target": "RekognitionService.DetectLabels",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/rekognition/aws4_request",
        }
        end = time.perf_counter() + seconds
        number = first + slot * 1_000_000
        while time.perf_counter() < end:
            number += 1
            client.request("POST", "/", body=_body(picture, number), headers=headers)
            response = client.getresponse()
            response.read()
            if response.status != 200:
                message = f"the server answers {response.status}"
                raise RuntimeError(message)
            counts[slot] += 1

    threads = [threading.Thread(target=connection, args=(slot,)) for slot in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(sum(counts))


def _body(picture: bytes | None, number: int) -> bytes:
    if picture is None:
        image: dict[str, Any] = {"S3Object": {"Bucket": _BUCKET, "Name": str(number)}}
    else:
        image = {"Bytes": base64.b64encode(numbered(picture, number)).decode()}
    return json.dumps({"Image": image, "MinConfidence": 70, "MaxLabels": 10}).encode()


def sustained(port: int, picture: bytes | None, seconds: float) -> float:
    """Calls per second of two processes together."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=load, args=(port, picture, number * 10_000_000 + 5_000_000, seconds, results))
        for number in range(2)
    ]
    for process in processes:
        process.start()
    total = sum(results.get(timeout=seconds + 60) for _ in processes)
    for process in processes:
        process.join()
    return float(total) / seconds


def measure(name: str, port: int, pid: int, picture: bytes, *, by_bytes: bool, seconds: float) -> Result:
    """One row."""
    client = boto3.client(
        "rekognition",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",  # noqa: S106 -- no secret
        config=Config(retries={"total_max_attempts": 1}),
    )

    def call(number: int) -> None:
        image: Any = {"S3Object": {"Bucket": _BUCKET, "Name": str(number)}}
        if by_bytes:
            image = {"Bytes": numbered(picture, number)}
        client.detect_labels(Image=image, MinConfidence=70, MaxLabels=10)

    p50_ms, p95_ms = latency(call, seconds)
    rate = sustained(port, picture if by_bytes else None, seconds)
    memory_mb = psutil.Process(pid).memory_info().rss / 1e6
    return Result(f"{name}, {'Bytes' if by_bytes else 'S3Object'}", p50_ms, p95_ms, rate, memory_mb)


def wait_for(port: int) -> None:
    for _ in range(3000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    message = f"nothing listens on port {port}"
    raise RuntimeError(message)


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """A server while the block runs; its process id."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def compare(report: Report, seconds: float = 5) -> None:
    """Add a row for each of ours and moto's server, by S3Object and by Bytes.

    Args:
        report: gets the rows.
        seconds: for each measurement; there are eight.
    """
    picture = photograph()
    objects, ours, theirs = free_port(), free_port(), free_port()
    environment = {**os.environ, **_KEYS, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{objects}"}
    s3 = multiprocessing.get_context("spawn").Process(
        target=serve_objects, args=(picture, objects), daemon=True
    )
    s3.start()
    own = [sys.executable, "-m", "darkroom.rekognition", "--port", str(ours)]
    moto = [sys.executable, "-m", "moto.server", "-p", str(theirs)]
    try:
        wait_for(objects)
        for name, port, command in (
            ("our Rekognition", ours, [*own, "--fixtures", "fixtures/rekognition", "--quiet"]),
            ("moto server", theirs, moto),
        ):
            with running(command, port, environment) as pid:
                for by_bytes in (False, True):
                    row = measure(name, port, pid, picture, by_bytes=by_bytes, seconds=seconds)
                    bar = "p50 ≤ 8 ms, ≥ 300/s" if name.startswith("our") and not by_bytes else "beside"
                    report.add(f"DetectLabels, {row.name}", bar, str(row))
    finally:
        s3.terminate()
        s3.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.rekognition", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement (default 5)")
    options = parser.parse_args()
    console.print(
        f"[bold]{machine()}[/]; a new JPEG of {PICTURE_BYTES // 1000} KB, 1600 x 1067, for each call"
    )
    report = Report()
    compare(report, options.seconds)
    report.print()


if __name__ == "__main__":
    main()
