"""A Docker Engine, and our image built on it.

Where the official base image cannot be pulled, DARKROOM_BASE_IMAGE names another (see scripts/docker-engine); where pip
needs a certificate bundle of its own (PIP_CERT), the build gets it as a secret.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from darkroom.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = os.environ.get("DARKROOM_IMAGE", "darkroom:test-compose")


def docker(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        ["docker", *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"docker {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


@pytest.fixture(scope="session")
def image() -> str:
    """Our image, built from this checkout."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.fail('No Docker Engine answers. On Debian: eval "$(scripts/docker-engine base)"')
    options = ["--tag", IMAGE]
    if base := os.environ.get("DARKROOM_BASE_IMAGE"):
        options += ["--build-arg", f"BASE={base}"]
    if bundle := os.environ.get("PIP_CERT"):
        options += ["--secret", f"id=ca,src={bundle}"]
    docker("build", *options, ".", environment={"DOCKER_BUILDKIT": "1"})
    return IMAGE
