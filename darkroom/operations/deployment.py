"""Deploying the template to the local engine, with the local parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.engine.keys import write_private
from darkroom.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from pathlib import Path

    import boto3

    from darkroom.settings import Settings
    from darkroom.stack import Leftovers, StackEvent, Template
    from darkroom.stack.package import Dependencies


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stack after a deployment."""

    bucket: str
    table: str
    changes: tuple[str, ...]
    """What was done, a sentence each; empty when nothing had changed."""
    overrides: tuple[str, ...] = ()
    """Parameters that the user set for this deployment, as `NAME=VALUE`."""
    api: str = ""
    """Id of the REST API that serves the page; empty where the template has none."""
    user_pool: str = ""
    """Id of the user pool; empty where nobody signs in."""


class LocalDeployment:
    """template.yaml with the parameters of environments/local.toml and those that the user set for now."""

    def __init__(
        self,
        settings: Settings,
        overrides: Sequence[str] = (),
        *,
        leftovers: Leftovers | None = None,
        dependencies: Dependencies | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            settings: of the environment.
            overrides: `NAME=VALUE` parameters of the template.
            leftovers: what to do with buckets and tables that outlived an earlier stack; they are adopted by default.
            dependencies: libraries to pack with the code; None where the functions' interpreter holds them.
            on_change: called when the engine begins to change something.
        """
        self._settings = settings
        self._overrides = _parsed(overrides)
        self._leftovers = leftovers
        self._dependencies = dependencies
        self._on_change = on_change

    def parameters(self) -> Mapping[str, str]:
        """What differs from the template's defaults.

        Raises:
            UsageError: the environment file cannot be read.
        """
        from darkroom.stack import load_environment

        environment = load_environment(self._settings.project / "environments" / "local.toml")
        return {**environment.parameters, **self._overrides}

    def template(self) -> Template:
        """The project's template.

        Raises:
            UsageError: it is no template.
        """
        from darkroom.stack import Template

        return Template.parse((self._settings.project / "template.yaml").read_text(), name="template.yaml")

    def _addresses(self, known: Container[str]) -> dict[str, str]:
        """The parameters that say under which addresses a browser on this machine finds page and bucket."""
        settings = self._settings
        addresses = {
            "PageOrigin": settings.page_origin,
            "StorageUrl": f"http://127.0.0.1:{settings.port}",
            "SignInUrl": settings.page_origin,
        }
        return {name: value for name, value in addresses.items() if name in known}

    def deploy(self, session: boto3.Session, report: Callable[[str], None]) -> Deployed:
        """Make the local stack what template, parameters and code say.

        Raises:
            UsageError: a parameter is unknown or has a value that the template does not allow.
            DeployError: CloudFormation refused; resource and reason are named.
        """
        from darkroom.stack import Leftovers, StackOutputs, deploy

        def tell(event: StackEvent) -> None:
            self._on_change()
            report(f"deploying: {event.logical_id} {event.status}")

        settings = self._settings
        template = self.template()
        report("checking the stack")
        deployment = deploy(
            session,
            stack_name=settings.stack,
            template=template,
            parameters={**self._addresses(template.parameters), **self.parameters()},
            code_root=settings.project / "lambda",
            page_root=settings.project / "web",
            artefact_bucket=f"{settings.stack}-artefacts",
            dependencies=self._dependencies,
            # objects outlive a crash of the engine that its tables do not: the new stack takes them in
            leftovers=self._leftovers or Leftovers.ADOPT,
            on_event=tell,
        )
        outputs = StackOutputs.from_mapping(deployment.outputs)
        overrides = tuple(f"{name}={value}" for name, value in self._overrides.items())
        return Deployed(
            outputs.bucket, outputs.table, deployment.actions, overrides, outputs.api, outputs.user_pool
        )


def remember(deployed: Deployed, path: Path) -> None:
    """Note the names of the stack, so that commands need not ask CloudFormation for them, and what was set."""
    content = {
        "bucket": deployed.bucket,
        "table": deployed.table,
        "overrides": deployed.overrides,
        "api": deployed.api,
        "user_pool": deployed.user_pool,
        "sign_in": bool(deployed.user_pool),
    }
    write_private(path, json.dumps(content) + "\n")


def remembered(path: Path) -> Deployed:
    """The names noted by the last `up`.

    Raises:
        NotRunningError: there was none.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise NotRunningError("No stack was deployed yet.", hint="Run `make up`.") from None
    return Deployed(
        found["bucket"],
        found["table"],
        (),
        tuple(found.get("overrides", ())),
        found.get("api", ""),
        found.get("user_pool", ""),
    )


def _parsed(overrides: Sequence[str]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator or not name:
            raise UsageError(
                f"--set {override} is not NAME=VALUE.", hint="For example: --set MinConfidence=60"
            )
        parsed[name] = value
    return parsed
