"""The Compose service `rekognition` in a real container: it answers, and it can do nothing else.

Needs a Docker Engine with Compose (`scripts/test-compose` sees to it).
"""

from __future__ import annotations

import http.client
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from darkroom.rekognition.authoring import add_fixture
from darkroom.settings import PROJECT_ROOT
from tests.compose.conftest import docker
from tests.integration.conftest import free_port
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_rekognition import RekognitionClient

pytestmark = pytest.mark.timeout(600)

IMAGES = PROJECT_ROOT / "fixtures" / "images"


@dataclass(frozen=True, slots=True)
class Service:
    """The running service: where it answers, and its container."""

    port: int
    container: str

    def client(self) -> RekognitionClient:
        return boto3.client(
            "rekognition",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.container))[0]
        return found


@contextmanager
def compose(
    image: str, name: str, *files: Path, service: str = "rekognition", **variables: str
) -> Iterator[Service]:
    """`docker compose up --wait` of one service of the project's own file, and `down` at the end."""
    port = int(variables.get("DARKROOM_REKOGNITION_AWS_PORT") or free_port())
    environment = {
        "DARKROOM_IMAGE": image,
        "DARKROOM_REKOGNITION_PORT": str(port),
        "AWS_ENDPOINT_URL_S3": "",
        **variables,
    }
    project = [
        "compose",
        "-p",
        name,
        "-f",
        "docker-compose.yml",
        *(word for file in files for word in ("-f", str(file))),
    ]
    try:
        docker(*project, "up", "--wait", "--no-build", service, environment=environment)
        container = docker(*project, "ps", "-q", service, environment=environment).strip()
        yield Service(port, container)
    finally:
        docker(*project, "down", "--volumes", "--timeout", "5", environment=environment)


@pytest.fixture(scope="module")
def service(image: str) -> Iterator[Service]:
    """As the file says, with nothing added."""
    with compose(image, "darkroom-test") as service:
        yield service


def test_it_answers_boto3_with_the_projects_fixtures(service: Service) -> None:
    answer = service.client().detect_labels(Image={"Bytes": (IMAGES / "cat-chelsea.png").read_bytes()})
    assert "Cat" in {label["Name"] for label in answer["Labels"]}
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-detail"] == "fixture cat-chelsea.yaml"


def test_it_is_published_on_loopback_only_and_may_do_nothing(service: Service) -> None:
    found = service.inspect()
    (binding,) = found["HostConfig"]["PortBindings"]["4567/tcp"]
    assert binding == {"HostIp": "127.0.0.1", "HostPort": str(service.port)}
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["Privileged"] is False
    assert all(mount["RW"] is False for mount in found["Mounts"])
    assert docker("exec", service.container, "id", "-u").strip() == "10001"
    assert found["State"]["Health"]["Status"] == "healthy"


def test_a_foreign_host_name_is_refused(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("POST", "/", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()


def test_without_an_s3_endpoint_an_object_is_an_error_and_no_call_to_aws(service: Service) -> None:
    with pytest.raises(ClientError, match="InternalServerError"):
        service.client().detect_labels(Image={"S3Object": {"Bucket": "bucket", "Name": "cat-chelsea.png"}})


def test_the_image_holds_nothing_but_the_project_and_what_it_needs(image: str) -> None:
    listing = docker("run", "--rm", image, "ls", "-A", "/app")
    assert set(listing.split()) == {"LICENSE", "README.md", "darkroom", "pyproject.toml"}
    assert docker("run", "--rm", image, "darkroom", "--version").startswith("darkroom, version")


def test_objects_come_from_the_endpoint_and_fixtures_are_noticed_without_a_restart(
    image: str, tmp_path: Path
) -> None:
    objects, fixtures = tmp_path / "objects", tmp_path / "fixtures"
    (objects / "bucket").mkdir(parents=True)
    (fixtures / "authored").mkdir(parents=True)
    for folder in (tmp_path, objects, fixtures):
        folder.chmod(0o755)
    photograph = objects / "bucket" / "mine.jpg"
    photograph.write_bytes(pictures.jpeg(900))
    override = tmp_path / "override.yml"
    override.write_text(
        json.dumps(
            {
                "services": {
                    "rekognition": {"volumes": [f"{fixtures}:/fixtures:ro"], "depends_on": ["s3"]},
                    # GET /bucket/key is all that is asked of it
                    "s3": {
                        "image": image,
                        "command": ["python", "-m", "http.server", "9000", "--directory", "/objects"],
                        "volumes": [f"{objects}:/objects:ro"],
                    },
                }
            }
        )
    )
    with compose(image, "darkroom-test-s3", override, AWS_ENDPOINT_URL_S3="http://s3:9000") as service:
        mine: Any = {"S3Object": {"Bucket": "bucket", "Name": "mine.jpg"}}
        invented = service.client().detect_labels(Image=mine)
        assert invented["ResponseMetadata"]["HTTPHeaders"]["x-darkroom-source"] == "synthetic"
        add_fixture(photograph, fixtures, labels={"Bicycle": 96.5})
        time.sleep(1.2)
        described = service.client().detect_labels(Image=mine)["Labels"]
        assert [label["Name"] for label in described] == ["Bicycle", "Transportation", "Vehicle"]
