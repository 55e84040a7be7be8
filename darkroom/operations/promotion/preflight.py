"""What must hold before CloudFormation is asked anything: each check with what was found and what to do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.errors import DarkroomError, UsageError
from darkroom.operations.promotion.access import account_of, target_of
from darkroom.stack import Template, package
from darkroom.stack.deploy import Release

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from darkroom.stack.environments import Environment

_BODY_BYTES = 51_200
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html (template in a request)"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        ok: whether it holds.
        found: what was found, a sentence.
        hint: what to do where it does not hold.
    """

    name: str
    ok: bool
    found: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Preflight:
    """Every check, and what they have made on the way.

    Attributes:
        checks: in the order in which they were made; one that fails ends the row.
        who: the caller's ARN; empty where the credentials did not pass.
        release: what would be deployed; None where it could not be built.
    """

    checks: tuple[Check, ...]
    who: str = ""
    release: Release | None = None

    def insist(self) -> tuple[str, Release]:
        """The caller and the release.

        Raises:
            UsageError: the first check that does not hold.
        """
        for check in self.checks:
            if not check.ok:
                raise UsageError(f"Preflight: {check.name}: {check.found}", hint=check.hint)
        if self.release is None:
            raise AssertionError("a release is built by the last check")
        return self.who, self.release


def preflight(
    environment: Environment,
    *,
    project: Path,
    open_session: Callable[[], boto3.Session],
    report: Callable[[str], None],
) -> tuple[Preflight, boto3.Session | None]:
    """Check everything; returns what was found and the session, if there is one.

    Args:
        environment: where to.
        project: the checkout.
        open_session: opens the session, with `access.open_session`.
        report: told each step.
    """
    checks: list[Check] = []
    session: boto3.Session | None = None
    who, release = "", None
    try:
        report("checking credentials and account")
        session = open_session()
        who = account_of(session, environment)
        checks.append(Check("account", True, f"{who} of account {target_of(environment).account_id}"))
        checks.append(_region(session, environment))
        report("checking the template")
        checks.append(_lint(project / "template.yaml", target_of(environment).region))
        report("building the package for Lambda")
        release, check = _package(project, environment)
        checks.append(check)
    except DarkroomError as error:
        checks.append(Check(_NAMES[len(checks)], False, error.message, error.hint))
    return Preflight(tuple(checks), who, release), session


_NAMES = ("account", "region", "template", "package")


def _region(session: boto3.Session, environment: Environment) -> Check:
    """From the SDK's own list of endpoints, so that it is known without a paid call."""
    region = target_of(environment).region
    partition = session.get_partition_for_region(region)
    offered = session.get_available_regions("rekognition", partition_name=partition)
    if region in offered:
        return Check("region", True, f"{region} offers Rekognition")
    return Check(
        "region",
        False,
        f"{region} does not offer Rekognition.",
        f"Choose one of {', '.join(offered)} under aws.region.",
    )


def _lint(path: Path, region: str) -> Check:
    body = path.read_bytes()
    if len(body) > _BODY_BYTES:
        return Check(
            "template",
            False,
            f"{path.name} has {len(body)} bytes; CloudFormation takes {_BODY_BYTES}.",
            "Shorten it.",
        )
    program = Path(sys.executable).with_name("cfn-lint")
    if not program.exists():
        return Check("template", False, "cfn-lint is not installed.", "`make lint` installs it.")
    command = [
        str(program),
        "--regions",
        region,
        "--non-zero-exit-code",
        "error",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Check(
            "template", False, done.stdout.strip() or done.stderr.strip(), "`make lint` shows the same."
        )
    return Check("template", True, f"cfn-lint finds nothing for {region}; {len(body)} of {_BODY_BYTES} bytes")


def _package(project: Path, environment: Environment) -> tuple[Release, Check]:
    """The release, and what its package weighs.

    A stand-in's functions take their libraries from the local functions' environment: the package for Lambda's
    platform is built all the same, and what is deployed is the code alone.
    """
    template = Template.load(project / "template.yaml")
    code_root, page_root = project / "lambda", project / "web"
    full = package.build(code_root, page_root=page_root, dependencies=_dependencies(project, template))
    code = full if environment.stand_in is None else package.build(code_root, page_root=page_root)
    release = Release(template, environment.parameters, code, environment.tags)
    found = f"{len(full.content) / 1e6:.1f} MB of {package.MAX_UNPACKED_BYTES / 1e6:.0f} MB, {full.file_count} files"
    return release, Check("package", True, found)


def _dependencies(project: Path, template: Template) -> package.Dependencies:
    """The functions' libraries, for the platform that the template names.

    Raises:
        UsageError: its functions differ in platform, so that one package cannot fit them all.
    """
    functions = [it.properties for it in template.resources.values() if it.type == "AWS::Lambda::Function"]
    platforms = {(str(it.get("Runtime")), *it.get("Architectures", ["x86_64"])) for it in functions}
    if len(platforms) != 1:
        raise UsageError(f"template.yaml has functions of different platforms: {sorted(platforms)}.")
    ((runtime, architecture),) = platforms
    return package.Dependencies(
        requirements=project / "lambda" / "requirements.txt",
        architecture=package.Architecture(architecture),
        python=runtime.removeprefix("python"),
        cache=project / "build" / "libraries",
    )
