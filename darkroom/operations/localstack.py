"""Deploying to LocalStack, with what its CloudFormation leaves out.

    refuse unknown types ─▶ would an update be ignored? ─▶ no: deploy
                                      └─▶ yes: keep the uploads ─▶ delete the stack ─▶ deploy ─▶ bring the uploads back
    after it: retry rules where LocalStack looks for them, and a pause in which its old event poller ends

The sync is stopped meanwhile: an event that reaches a function within two seconds of its update waits for the
function's time-out and a minute more.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import platformdirs
from botocore.exceptions import ClientError

from darkroom.engine.venvs import template_runtime
from darkroom.errors import DeployError, UsageError
from darkroom.operations.deployment import LocalDeployment
from darkroom.operations.localstack_changes import Ignored, ignored_changes, refuse_unsupported, refuse_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import boto3

    from darkroom.engine.base import Source
    from darkroom.operations.deployment import Deployed
    from darkroom.settings import Settings
    from darkroom.stack import Template
    from darkroom.stack.package import Dependencies

_POLLER_S = 2.2
"""LocalStack's event poller waits two seconds for messages, and forgets for long what arrives while it ends."""
_CODE = ("CodeBucket", "CodeKey", "CodeHash", "Release")
_NAMED = 6
_DELETE_ATTEMPTS = 5


class LocalStackDeployment:
    """template.yaml on LocalStack, with the libraries in the package as on AWS.

    Args:
        settings: of the environment.
        overrides: `NAME=VALUE` parameters of the template.
        preset: a preset's name or file; empty for none.
        pause_sync: called before a function changes.
        libraries: folder of libraries that were installed before; the user's cache folder by default.
    """

    def __init__(
        self,
        settings: Settings,
        overrides: Sequence[str] = (),
        *,
        preset: str = "",
        pause_sync: Callable[[], None] = lambda: None,
        libraries: Path | None = None,
    ) -> None:
        from darkroom.stack import Leftovers

        self._settings = settings
        self._pause_sync = pause_sync
        self._changing = False
        self._local = LocalDeployment(
            settings,
            overrides,
            preset=preset,
            leftovers=Leftovers.DROP,
            dependencies=dependencies_of(settings.project, libraries=libraries),
            on_change=self._begin,
        )

    def parameters(self) -> Mapping[str, str]:
        """What differs from the template's defaults."""
        return self._local.parameters()

    def source(self) -> Source:
        """What the parts beside the engine work on.

        Raises:
            UsageError: the preset wants what runs on the embedded engine only.
        """
        source = self._local.source()
        if source.code != self._settings.project / "lambda":
            raise UsageError(
                "Your own Lambda runs on the embedded engine only.",
                hint="Run `make up ENGINE=embedded PRESET=…`.",
            )
        return source

    def deploy(self, session: boto3.Session, report: Callable[[str], None]) -> Deployed:
        """Make the stack what template, parameters and code say.

        Raises:
            UsageError: a parameter is unknown or has a value that the template does not allow.
            DeployError: LocalStack cannot make a resource, or CloudFormation refused.
        """
        template = self._local.template()
        given = self._local.given()
        values = template.complete({**dict.fromkeys(_CODE, ""), **given})
        refuse_values(template, given)
        refuse_unsupported(template, values)
        uploads = _Uploads(session, stack=self._settings.stack)
        ignored = self._ignored(session, template, values)
        actions: list[str] = []
        if ignored.real:
            names = ", ".join(ignored.real[:_NAMED]) + (" …" if len(ignored.real) > _NAMED else "")
            report(f"LocalStack would ignore the change of {names}: the stack is made anew, uploads are kept")
            self._begin()
            bucket = self._bucket(session)
            uploads.keep(bucket)
            self._delete(session, uploads, bucket)
            actions.append(f"made the stack anew, because LocalStack ignores changes of {names}")
        elif ignored.permissions:
            actions.append(
                f"left {', '.join(ignored.permissions)} as before: LocalStack enforces no permissions"
            )
        deployed = self._local.deploy(session, report)
        _copy_invoke_rules(session, stack=self._settings.stack)
        if self._changing:
            time.sleep(_POLLER_S)
        if restored := uploads.restore(deployed.bucket):
            actions.append(f"brought {restored} uploads back; they are analysed again")
        return replace(deployed, changes=(*actions, *deployed.changes))

    def _begin(self) -> None:
        if not self._changing:
            self._changing = True
            self._pause_sync()

    def _ignored(self, session: boto3.Session, template: Template, values: Mapping[str, str]) -> Ignored:
        """What an update of the deployed stack would leave as it is."""
        from darkroom.stack import Template
        from darkroom.stack.api_deployment import with_fresh_deployments

        client = session.client("cloudformation")
        try:
            stack = client.describe_stacks(StackName=self._settings.stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return Ignored((), ())
            raise
        if not stack["StackStatus"].endswith("_COMPLETE") or stack["StackStatus"].startswith(
            ("DELETE", "ROLLBACK")
        ):
            return Ignored((), ())
        body: Any = client.get_template(StackName=self._settings.stack)["TemplateBody"]
        before = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
        deployed = Template.parse(body if isinstance(body, str) else str(body), name="the deployed template")
        return ignored_changes((deployed, before), (with_fresh_deployments(template, values), values))

    def _bucket(self, session: boto3.Session) -> str:
        from darkroom.stack import read_outputs

        return read_outputs(session, self._settings.stack).bucket

    def _delete(self, session: boto3.Session, uploads: _Uploads, bucket: str) -> None:
        """Delete the stack; functions that are under way may fill its bucket again meanwhile."""
        from darkroom.stack.changes import Stacks

        stacks = Stacks(session, self._settings.stack, lambda _: None, 300)
        for left in reversed(range(_DELETE_ATTEMPTS)):
            uploads.empty(bucket)
            if stacks.describe() is None:
                return
            try:
                stacks.delete()
                return
            except DeployError:
                if not left:
                    raise
                time.sleep(1)


def dependencies_of(project: Path, *, libraries: Path | None = None) -> Dependencies:
    """What goes into the package beside the code, for the template's runtime."""
    from darkroom.stack.package import Architecture, Dependencies

    return Dependencies(
        project / "lambda" / "requirements.txt",
        Architecture.X86_64,
        template_runtime(project / "template.yaml").removeprefix("python"),
        libraries or platformdirs.user_cache_path("darkroom") / "libraries",
    )


def _copy_invoke_rules(session: boto3.Session, *, stack: str) -> None:
    """Retries, age and dead-letter queue of an alias, on $LATEST as well: LocalStack looks for them nowhere else."""
    client = session.client("lambda")
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = function["FunctionName"]
            if not name.startswith(f"{stack}-"):
                continue
            found = client.list_function_event_invoke_configs(FunctionName=name)
            for rules in found.get("FunctionEventInvokeConfigs", []):
                wanted: Any = {
                    key: rules[key]
                    for key in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
                    if key in rules
                }
                client.put_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST", **wanted)


class _Uploads:
    """What lies under uploads/, put aside while the stack is made anew; a broken off `up` brings it back next time."""

    def __init__(self, session: boto3.Session, *, stack: str) -> None:
        self._s3 = session.client("s3")
        self._aside = f"{stack}-kept-uploads"

    def keep(self, bucket: str) -> None:
        """Copy them into a bucket of their own."""
        self._s3.create_bucket(Bucket=self._aside)
        for key in self._keys(bucket, "uploads/"):
            self._s3.copy_object(Bucket=self._aside, Key=key, CopySource={"Bucket": bucket, "Key": key})
        # nothing that is deleted now is news to a function
        self._s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})

    def empty(self, bucket: str) -> None:
        """Delete everything in a bucket; nothing where there is none."""
        try:
            for key in self._keys(bucket, ""):
                self._s3.delete_object(Bucket=bucket, Key=key)
        except self._s3.exceptions.NoSuchBucket:
            return

    def restore(self, bucket: str) -> int:
        """Copy them back, where there are any; returns how many."""
        try:
            keys = list(self._keys(self._aside, ""))
        except self._s3.exceptions.NoSuchBucket:
            return 0
        for key in keys:
            self._s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": self._aside, "Key": key})
        for key in keys:
            self._s3.delete_object(Bucket=self._aside, Key=key)
        self._s3.delete_bucket(Bucket=self._aside)
        return len(keys)

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            yield from (item["Key"] for item in page.get("Contents", []))
