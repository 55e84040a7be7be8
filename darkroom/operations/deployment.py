"""Deploying the template to the local engine, with the local parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.engine.base import Source
from darkroom.engine.keys import write_private
from darkroom.errors import NotRunningError, UsageError
from darkroom.stack.plan import CODE_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    import boto3

    from darkroom.settings import Settings
    from darkroom.stack import Leftovers, StackEvent, Template
    from darkroom.stack.environments import Environment as StackEnvironment
    from darkroom.stack.own_function import OwnFunction
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
    page_origin: str = ""
    """Origin of the pages that the bucket lets in; `*` for all."""
    user_pool: str = ""
    """Id of the user pool; empty where nobody signs in."""
    preset: str = ""
    """The preset that was chosen for it, by name or file."""
    own_function: bool = False
    """Whether somebody's own Lambda stands in the tagger's place."""


class LocalDeployment:
    """template.yaml with the parameters of environments/local.toml, of a preset, and of the user's for now."""

    def __init__(
        self,
        settings: Settings,
        overrides: Sequence[str] = (),
        *,
        preset: str = "",
        leftovers: Leftovers | None = None,
        dependencies: Dependencies | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            settings: of the environment.
            overrides: `NAME=VALUE` parameters of the template.
            preset: a file of environments/ by its name, or any such file by its path; empty for none.
            leftovers: what to do with buckets and tables that outlived an earlier stack; they are adopted by default.
            dependencies: libraries to pack with the code; None where the functions' interpreter holds them.
            on_change: called when the engine begins to change something.
        """
        self._settings = settings
        self._overrides = _parsed(overrides)
        self._preset = _remembered_name(preset)
        self._leftovers = leftovers
        self._dependencies = dependencies
        self._on_change = on_change

    def parameters(self) -> Mapping[str, str]:
        """What differs from the template's defaults.

        Raises:
            UsageError: the environment file cannot be read.
        """
        from darkroom.stack import load_environment

        local = load_environment(self._settings.project / "environments" / "local.toml")
        preset = self._chosen()
        return {**local.parameters, **(preset.parameters if preset else {}), **self._overrides}

    def given(self) -> dict[str, str]:
        """What the deployment is given: `parameters`, and the addresses of this environment."""
        return {**self._addresses(self.template().parameters), **self.parameters()}

    def values(self) -> dict[str, str]:
        """Every parameter of the template but those that the deployment sets itself."""
        template = self.template()
        given = {**dict.fromkeys(CODE_PARAMETERS, ""), **self.parameters()}
        return {name: it for name, it in template.complete(given).items() if name not in CODE_PARAMETERS}

    def source(self) -> Source:
        """What the parts beside the engine work on.

        Raises:
            UsageError: the preset cannot be read.
        """
        settings = self._settings
        bucket = self.parameters().get("BucketName") or f"{settings.stack}-{settings.account}"
        own = self._own()
        if own is None:
            return Source(bucket, settings.project / "lambda", settings.project / "web")
        return Source(bucket, own.code, requirements=own.requirements)

    def _own(self) -> OwnFunction | None:
        preset = self._chosen()
        return preset.function if preset else None

    def _chosen(self) -> StackEnvironment | None:
        return load_preset(self._settings.project, self._preset) if self._preset else None

    def template(self) -> Template:
        """The project's template.

        Raises:
            UsageError: it is no template.
        """
        from darkroom.stack import Template
        from darkroom.stack.own_function import with_own_function

        template = Template.parse(
            (self._settings.project / "template.yaml").read_text(), name="template.yaml"
        )
        own = self._own()
        return with_own_function(template, own) if own else template

    def _own_libraries(self, source: Source) -> Dependencies | None:
        if source.requirements is None:
            return None
        return own_libraries(
            source.requirements,
            python=self._settings.project / ".venv-functions" / "bin" / "python",
            home=self._settings.home,
        )

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
        source = self.source()
        parameters = self.given()
        report("checking the stack")
        deployment = deploy(
            session,
            stack_name=settings.stack,
            template=template,
            parameters=parameters,
            code_root=source.code,
            page_root=source.page,
            artefact_bucket=f"{settings.stack}-artefacts",
            dependencies=self._own_libraries(source) or self._dependencies,
            # objects outlive a crash of the engine that its tables do not: the new stack takes them in
            leftovers=self._leftovers or Leftovers.ADOPT,
            on_event=tell,
        )
        outputs = StackOutputs.from_mapping(deployment.outputs)
        overrides = tuple(f"{name}={value}" for name, value in self._overrides.items())
        return Deployed(
            outputs.bucket,
            outputs.table,
            deployment.actions,
            overrides,
            outputs.api,
            user_pool=outputs.user_pool,
            page_origin=parameters.get("PageOrigin", ""),
            preset=self._preset,
            own_function=self._own() is not None,
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
        "page_origin": deployed.page_origin,
        "preset": deployed.preset,
        "own_function": deployed.own_function,
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
        user_pool=found.get("user_pool", ""),
        page_origin=found.get("page_origin", ""),
        preset=found.get("preset", ""),
        own_function=found.get("own_function", False),
    )


def _is_path(preset: str) -> bool:
    return "/" in preset or preset.endswith(".toml")


def _remembered_name(preset: str) -> str:
    """A preset as another process finds it, too: the recovery works in another folder."""
    return str(Path(preset).expanduser().absolute()) if _is_path(preset) else preset


def load_preset(project: Path, preset: str) -> StackEnvironment:
    """An environment file for a local engine, by its name in environments/ or by its path.

    Raises:
        UsageError: it is missing (the message lists the others), wrong, or one of AWS.
    """
    from darkroom.stack import load_environment

    path = Path(preset) if _is_path(preset) else project / "environments" / f"{preset}.toml"
    found = load_environment(path)
    if found.aws is not None:
        raise UsageError(
            f"{path} is an environment on AWS, and no preset for a local one.",
            hint=f"`make plan ENV={preset}` shows what a deployment there would do.",
        )
    return found


def own_libraries(requirements: Path, *, python: Path, home: Path) -> Dependencies:
    """The libraries of somebody's own Lambda for the interpreter that runs it here."""
    from darkroom.stack.package import Architecture, Dependencies

    return Dependencies(requirements, Architecture.X86_64, "", home / "libraries", interpreter=python)


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
