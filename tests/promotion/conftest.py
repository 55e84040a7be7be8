"""A second engine with another account id and enforced IAM, in AWS's place.

Every request that a promotion sends is checked by botocore against the service's own model before it leaves; what the
answers may hold is checked here too, so that nothing is taken from the engine that AWS does not send.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.engine.embedded import EmbeddedEngine
from darkroom.operations.promotion.gates import GateName
from darkroom.operations.promotion.promote import Choices, Promoted, Promotion
from darkroom.settings import PROJECT_ROOT, Settings
from darkroom.stack import load_environment
from darkroom.stack.deploy import discard
from tests.integration.conftest import free_port, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from darkroom.stack import StackEvent
    from darkroom.stack.deploy import Prepared, Release

ACCOUNT = "222222222222"
STACK = "shop"
SKIP = Choices(skipped_gates=(GateName.SUITE,), reason="a test")


@dataclass
class Stage:
    """A checkout of its own, and an account to bring it to."""

    project: Path
    engine: EmbeddedEngine
    parameters: dict[str, Any] = field(default_factory=lambda: {"Alarms": "off"})
    events: list[StackEvent] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def environment_file(self) -> Path:
        return self.project / "environments" / "prod.toml"

    def promotion(self, **changed: Any) -> Promotion:
        """As the command line makes it."""
        lines = [
            "[aws]",
            f'account_id = "{changed.get("account", ACCOUNT)}"',
            'region = "us-east-1"',
            f'stack = "{STACK}"',
            "[stand_in]",
            f'endpoint_url = "{self.engine.endpoint}"',
            f'home = "{self.engine.layout.home}"',
            "[parameters]",
            *(f'{name} = "{value}"' for name, value in self.parameters.items()),
        ]
        self.environment_file.write_text("\n".join(lines) + "\n")
        return Promotion(
            load_environment(self.environment_file),
            self.project,
            self.project / "local-home",
            report=self.said.append,
            on_event=self.events.append,
        )

    def release(self) -> tuple[str, Release]:
        return self.promotion().preflight().insist()

    def deploy(self, choices: Choices = SKIP) -> Promoted:
        who, release = self.release()
        return self.promotion().deploy(release, who=who, choices=choices)

    def plan(self) -> Prepared:
        """What a deployment would do; it leaves nothing behind."""
        _, release = self.release()
        prepared = self.promotion().plan(release)
        discard(self.promotion().job(), prepared)
        return prepared

    def client(self, service: str) -> Any:
        session: Any = self.engine.session()
        return session.client(service)

    def status(self) -> str:
        return str(self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"])

    def deployed_parameters(self) -> dict[str, str]:
        stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        return {it["ParameterKey"]: it["ParameterValue"] for it in stack["Parameters"]}

    def code(self) -> str:
        """What the deployed alias answers with, as Lambda's hash of it."""
        return str(
            self.client("lambda").get_function_configuration(
                FunctionName=f"{STACK}-tagger", Qualifier="live"
            )["CodeSha256"]
        )

    def append_to_code(self, text: str) -> None:
        with (self.project / "lambda" / "pipeline" / "tagger.py").open("a") as file:
            file.write(text)


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The functions' libraries for Lambda's platform, installed once."""
    return tmp_path_factory.mktemp("libraries")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """An engine without a stack, for one module."""
    folder = tmp_path_factory.mktemp("aws")
    engine = EmbeddedEngine(
        Settings(
            home=folder / "home",
            inbox=folder / "inbox",
            port=free_port(),
            project=PROJECT_ROOT,
            account=ACCOUNT,
            stack=STACK,
        )
    )
    with contextlib.ExitStack() as stack:
        stack.callback(engine.stop)
        engine.start(quiet)
        yield engine


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, account: EmbeddedEngine, libraries: Path) -> Stage:
    """A copy of the checkout, for one module: its tests run one after the other, as a story."""
    project = tmp_path_factory.mktemp("checkout")
    for name in ("lambda", "environments"):
        shutil.copytree(PROJECT_ROOT / name, project / name)
    shutil.copy(PROJECT_ROOT / "template.yaml", project / "template.yaml")
    (project / "build").mkdir()
    (project / "build" / "libraries").symlink_to(libraries)
    return Stage(project, account)
