"""A local Rekognition over HTTP with a stand-in for AWS behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from darkroom.rekognition import Rekognition, Switch
from darkroom.rekognition.control import set_mode, show_mode, show_report
from darkroom.rekognition.server import Guard, make_app
from tests.support.serving import serving
from tests.support.stand_in_aws import KEY, SECRET, StandIn, stand_in_aws

from .helpers import BUCKET, MemorySource, write_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_rekognition.client import RekognitionClient

LOCAL_KEY = "AKIALOCALENVIRONMENT"
CREDENTIALS = {"access_key_id": KEY, "secret_access_key": SECRET}


@dataclass
class World:
    """Both sides of the wire.

    Attributes:
        aws: the stand-in.
        folder: everything that the local side writes lies below it.
        endpoint: of the local Rekognition.
        source: its objects.
    """

    aws: StandIn
    folder: Path
    endpoint: str = ""
    source: MemorySource = field(default_factory=MemorySource)
    _clients: dict[int, RekognitionClient] = field(default_factory=dict)

    @property
    def recorded(self) -> Path:
        return self.folder / "fixtures" / "recorded"

    def files(self) -> list[Path]:
        """Every recording."""
        return sorted(self.recorded.rglob("*.json"))

    def use(self, mode: str, *, credentials: dict[str, Any] | None = CREDENTIALS, **choices: Any) -> Any:
        """Switch over HTTP."""
        document = {"mode": mode, "endpoint": self.aws.endpoint, **choices}
        if credentials is not None:
            document["credentials"] = credentials
        return set_mode(self.endpoint, document)

    def status(self) -> Any:
        return show_mode(self.endpoint)

    def report(self) -> Any:
        return show_report(self.endpoint)["verified"]

    def client(self, attempts: int = 1) -> RekognitionClient:
        """A client with local keys."""
        if attempts not in self._clients:
            self._clients[attempts] = boto3.client(
                "rekognition",
                endpoint_url=self.endpoint,
                region_name="us-east-1",
                aws_access_key_id=LOCAL_KEY,
                aws_secret_access_key="local-secret",
                config=Config(
                    retries={"total_max_attempts": attempts, "mode": "standard"}, max_pool_connections=32
                ),
            )
        return self._clients[attempts]


def switch_of(world: World) -> Switch:
    """As a server that was just started has it."""
    return Switch(
        recorded=world.recorded,
        ledger=world.folder / "ledger.sqlite3",
        is_local_key=lambda key: key == LOCAL_KEY,
        state=world.folder / "mode.json",
    )


def serve(world: World) -> Iterator[World]:
    """The local side, started over what lies in the folder."""
    rekognition = Rekognition(
        fixtures=world.folder / "fixtures", source=world.source, switch=switch_of(world)
    )
    with serving(make_app(rekognition, Guard())) as endpoint:
        world.endpoint = endpoint
        yield world
    rekognition.close()


def make_world(tmp_path: Path, source: MemorySource) -> Iterator[World]:
    fixtures = tmp_path / "aws"
    fixtures.mkdir()
    with stand_in_aws(fixtures) as aws:
        world = World(aws, tmp_path / "local", source=source)
        (world.folder / "fixtures").mkdir(parents=True)
        yield from serve(world)


def aws_answers(tmp_path: Path, sha256: str, content: str) -> None:
    """What AWS says is in a picture."""
    write_fixture(tmp_path / "aws", sha256[:12], f"image: {{sha256: {sha256}}}\n{content}")


def s3(key: str) -> Any:
    return {"S3Object": {"Bucket": BUCKET, "Name": key}}


def headers(answer: Any) -> dict[str, str]:
    return dict(answer["ResponseMetadata"]["HTTPHeaders"])
