"""The keys of one environment: random, checked by the engine, readable by their owner only.

ministack checks no signature of root-like keys (``test``, twelve digits, the key that it is configured with), so
none of those may be used by anybody but us. Its configured key is random and never leaves this module's file and
the engine's environment; people and parts use the keys of an IAM user, whose signatures the engine verifies.
That user is made once, by a first short run of the engine whose clean stop saves it: so the keys outlive a crash.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from darkroom.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from darkroom.engine.internal import EngineSocket

PROFILE = "darkroom"
"""Name of the profile in the environment's own credentials file."""
USER = "darkroom"
"""Name of the IAM user whose keys people and parts use."""
_ADMINISTRATOR = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "Developer", "Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What the parts of one environment share.

    Attributes:
        root_key: the engine's configured access key: whoever names it is root, so it is a secret.
        token: part of the addresses on the gateway that only the engine and the runtime may know.
        access_key_id: of the IAM user.
        secret_access_key: of the IAM user.
    """

    root_key: str
    token: str
    access_key_id: str = ""
    secret_access_key: str = ""

    @classmethod
    def new(cls) -> Keys:
        # the prefix keeps it from ever looking like an IAM user's key to the gateway
        return cls(root_key="ROOT" + secrets.token_hex(24), token=secrets.token_urlsafe(24))

    @classmethod
    def read(cls, path: Path) -> Keys | None:
        """The keys in a file, or None where there is none.

        Raises:
            EngineError: the file is there and cannot be read as keys.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise EngineError(
                f"{path} cannot be read: {error}.", hint="Run `darkroom reset` to begin with new keys."
            ) from None

    def write(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")

    def write_credentials(self, path: Path) -> None:
        """The same in the form that every AWS SDK reads."""
        key, secret = self.access_key_id, self.secret_access_key
        write_private(path, f"[{PROFILE}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read, never half-written; it is on disk then.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the file is as it was.
    """
    part = path.with_name(path.name + f".{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk: a file that was replaced or removed stays so without power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_user(engine: EngineSocket) -> Mapping[str, str]:
    """Make the IAM user in a fresh engine.

    Returns:
        ``AccessKeyId`` and ``SecretAccessKey``.

    Raises:
        EngineError: the engine refused.
    """
    engine.query("iam", "CreateUser", UserName=USER)
    engine.query(
        "iam",
        "PutUserPolicy",
        UserName=USER,
        PolicyName="Developer",
        PolicyDocument=json.dumps(_ADMINISTRATOR),
    )
    answer = engine.query("iam", "CreateAccessKey", UserName=USER)
    found = {name: answer.findtext(f".//{{*}}{name}") or "" for name in ("AccessKeyId", "SecretAccessKey")}
    if not all(found.values()):
        raise EngineError("The engine made an IAM user without keys.", hint="See .darkroom/logs/engine.log.")
    return found
