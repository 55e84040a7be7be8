"""The keys whose signatures the gateway can check.

The engine hands keys out and tells nobody their secrets again, so the gateway notes them as they pass: role
sessions from AssumeRole, new user keys from CreateAccessKey. They are kept in a private file, because the engine
and its clients may outlive the gateway.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring

from darkroom.engine.gateway.sigv4 import Secret
from darkroom.engine.keys import write_private

if TYPE_CHECKING:
    from pathlib import Path

_READ = ("AssumeRole", "CreateAccessKey", "DeleteAccessKey", "UpdateAccessKey")


class Keyring(Mapping[str, Secret]):
    """Known keys by their access key id; a mapping that grows by what it `learn`s."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._secrets: dict[str, Secret] = {}
        if path.exists():
            stored = json.loads(path.read_text())
            self._secrets = {key: Secret(**fields) for key, fields in stored.items()}

    def __getitem__(self, key: str) -> Secret:
        return self._secrets[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def add(self, key: str, secret: Secret) -> None:
        """Know a key, and forget those that have expired."""
        now = time.time()
        kept = {
            known: value for known, value in self._secrets.items() if not value.expires or value.expires > now
        }
        self._secrets = {**kept, key: secret}
        self._write()

    def remove(self, key: str) -> None:
        """Know a key no longer."""
        if key in self._secrets:
            self._secrets = {known: value for known, value in self._secrets.items() if known != key}
            self._write()

    @staticmethod
    def concerns(request: str) -> bool:
        """Whether a query request hands out keys or takes them away, so that its answer is worth reading."""
        return any(f"Action={action}" in request for action in _READ)

    def learn(self, *, request: str, answer: bytes, account: str) -> None:
        """Follow a call that succeeded: note the keys that it handed out, forget those that it took away.

        A key that was switched off is forgotten too: whoever switches it on again makes a new one for Rekognition
        and Invoke, since nobody tells its secret again.

        Args:
            request: its parameters, in the form of a query.
            answer: the XML answer.
            account: the environment's account.
        """
        parameters = {name: values[0] for name, values in parse_qs(request).items()}
        if parameters.get("Action") in {"DeleteAccessKey", "UpdateAccessKey"}:
            if parameters.get("Status") != "Active":
                self.remove(parameters.get("AccessKeyId", ""))
            return
        try:
            root = fromstring(answer)
        except ParseError:
            return

        def text(name: str) -> str:
            return root.findtext(f".//{{*}}{name}") or ""

        key, secret = text("AccessKeyId"), text("SecretAccessKey")
        if not key or not secret:
            return
        if "RoleArn" in parameters:
            expires = datetime.fromisoformat(text("Expiration")).timestamp()
            self.add(key, Secret(secret, text("SessionToken"), parameters["RoleArn"], expires))
        elif user := text("UserName"):
            self.add(key, Secret(secret, "", f"arn:aws:iam::{account}:user/{user}"))

    def _write(self) -> None:
        write_private(self._path, json.dumps({name: asdict(value) for name, value in self._secrets.items()}))
