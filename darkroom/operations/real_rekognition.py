"""Real Rekognition from a developer's machine: whose credentials, which pictures, which mode of a running environment.

What is asked from the command line goes straight from it to AWS, and works without a running environment; what the
functions ask goes through the local Rekognition, which is given the keys in memory when somebody switches it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.engine import parts
from darkroom.engine.layout import layout_of
from darkroom.errors import NotFoundError, UsageError
from darkroom.operations.rekognition import Control, fixtures_folder
from darkroom.rekognition.control import set_mode
from darkroom.rekognition.credentials import Access, CredentialsError, check_is_aws_key, own_access
from darkroom.rekognition.live import Live
from darkroom.rekognition.recorder import Source
from darkroom.rekognition.recordings import RecordingStore
from darkroom.rekognition.spending import Ledger, Limits
from darkroom.rekognition.upstream import Identity, Upstream, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from darkroom.operations.environment import Environment
    from darkroom.rekognition.modes import Choices
    from darkroom.settings import Settings

_ATTEMPTS = 8
"""How often the SDK tries a call of a command that records: nobody else would try again."""
_HIDDEN = (".", "Thumbs.db")


def ledger_of(settings: Settings) -> Ledger:
    """Where money spent at AWS is written down."""
    return Ledger(parts.ledger_of(settings))


def store_of(settings: Settings, fixtures: Path | None = None) -> RecordingStore:
    """The recordings in a folder of fixtures, by default the project's."""
    return RecordingStore(folder=(fixtures or fixtures_folder(settings)) / "recorded")


def find_access(settings: Settings, profile: str | None) -> Access:
    """The developer's own credentials, which are none of a local environment's.

    Raises:
        UsageError: there are none, or they are local ones.
    """
    try:
        access = own_access(profile=profile, local_home=settings.home)
        check_is_aws_key(access.keys().access_key_id, _local_keys(settings))
    except CredentialsError as error:
        raise UsageError(str(error)) from None
    return access


def in_region(choices: Choices, region: str | None, access: Access | None, settings: Settings) -> Choices:
    """The choices with the region that is asked: the given one, the profile's, or the environment's."""
    return replace(choices, region=region or (access.region if access else None) or settings.region)


def real_aws(settings: Settings, choices: Choices, access: Access) -> Upstream:
    """Real AWS, for a command that asks it itself."""
    return Upstream(
        access=access,
        region=choices.region,
        endpoint=choices.endpoint,
        ledger=ledger_of(settings),
        limits=Limits(choices.budget_micros, choices.max_calls),
        attempts=_ATTEMPTS,
        is_local_key=_local_keys(settings),
    )


def identity_of(upstream: Upstream) -> Identity:
    """Who asks.

    Raises:
        UsageError: AWS refuses the credentials, or cannot be reached.
    """
    try:
        return upstream.identity()
    except (CredentialsError, UpstreamError) as error:
        raise UsageError(str(error)) from None


def live_of(settings: Settings, choices: Choices, upstream: Upstream | None, fixtures: Path | None) -> Live:
    """What answers for a command; without `upstream` it can plan only."""
    return Live(choices, store_of(settings, fixtures), upstream)


def switch_mode(control: Control, choices: Choices, access: Access | None) -> dict[str, Any]:
    """Switch a running Rekognition. The keys go to it in memory, over loopback.

    Returns:
        Its status: see `darkroom.rekognition.switch.Switch.status`.

    Raises:
        ControlError: it does not answer, or refuses.
    """
    document = choices.document()
    if access is not None:
        document["credentials"] = access.keys().document()
        document["proxies"] = dict(access.proxies)
        document["ca_bundle"] = access.ca_bundle
    return set_mode(control.endpoint, document, token=control.token)


def pictures_of(names: Sequence[str], environment: Environment) -> Iterator[Source]:
    """Files, folders with all below them, and keys or prefixes of the running environment's bucket.

    Raises:
        NotFoundError: a name is none of these.
        NotRunningError: a name is no file, and the environment, whose bucket may have it, is not up.
    """
    for name in names:
        path = Path(name)
        if path.is_dir():
            yield from (
                Source(str(file), file.read_bytes)
                for file in sorted(path.rglob("*"))
                if file.is_file() and not _is_hidden(file.relative_to(path))
            )
        elif path.is_file():
            yield Source(name, path.read_bytes)
        else:
            yield from _objects(name, environment)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(_HIDDEN) for part in path.parts)


def _objects(name: str, environment: Environment) -> Iterator[Source]:
    if not environment.engine.is_running():
        raise NotFoundError(
            f"There is no file or folder {name}.",
            hint="A key of the bucket is looked for only while the environment is up: `make up`.",
        )
    s3, bucket = environment.session().client("s3"), environment.target().outputs.bucket
    found = False
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=name):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            if (key == name or name.endswith("/")) and not key.endswith("/"):
                found = True
                yield Source(key, partial(_read, s3, bucket, key))
    if not found:
        raise NotFoundError(
            f"There is no file or folder {name}, and no such key in the bucket {bucket}.",
            hint="A folder of the bucket ends with a slash: uploads/",
        )


def _read(s3: Any, bucket: str, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def _local_keys(settings: Settings) -> Callable[[str], bool]:
    """Whether an access key was made by this environment."""
    layout = layout_of(settings)
    known: set[str] = set()
    for path in (layout.keyring, layout.instance):
        try:
            document = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        known |= {document["access_key_id"]} if "access_key_id" in document else set(document)
    return known.__contains__
