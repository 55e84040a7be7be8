"""People who may sign in to the page: users of the stack's pool, made by whoever runs it and by nobody else."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    import boto3

_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the pool."""

    email: str
    status: str
    """Cognito's word: CONFIRMED, FORCE_CHANGE_PASSWORD and so on."""


class People:
    """The users of one pool.

    Args:
        session: access to the account or the engine.
        pool: its id; empty where the stack has none.

    Raises:
        NotFoundError: nobody signs in to this stack.
    """

    def __init__(self, session: boto3.Session, *, pool: str) -> None:
        if not pool:
            raise NotFoundError(
                "Nobody signs in to this stack: it was deployed with SignIn=off.",
                hint="Deploy it with SignIn=on; here: darkroom up --set SignIn=on.",
            )
        self._client: Any = session.client("cognito-idp")
        self._pool = pool

    def add(self, email: str, *, password: str | None = None) -> str:
        """Add somebody, with a password that holds. Nothing is sent to anybody.

        Args:
            email: the address that they sign in with.
            password: of theirs; one is made without it.

        Returns:
            The password.

        Raises:
            UsageError: there is such a user, or the address or the password is refused.
        """
        chosen = password or new_password()
        try:
            self._client.admin_create_user(
                UserPoolId=self._pool,
                Username=email,
                MessageAction="SUPPRESS",
                TemporaryPassword=chosen,  # refused before there is a user, if it does not fit the rules
                UserAttributes=[
                    {"Name": "email", "Value": email},
                    {"Name": "email_verified", "Value": "true"},
                ],
            )
            self._client.admin_set_user_password(
                UserPoolId=self._pool, Username=email, Password=chosen, Permanent=True
            )
        except ClientError as error:
            raise _as_users_error(error, email) from error
        return chosen

    def invite(self, email: str) -> None:
        """Have Cognito send an e-mail with a password for the first time.

        Raises:
            UsageError: there is such a user, or the address is refused.
        """
        try:
            self._client.admin_create_user(
                UserPoolId=self._pool,
                Username=email,
                DesiredDeliveryMediums=["EMAIL"],
                UserAttributes=[
                    {"Name": "email", "Value": email},
                    {"Name": "email_verified", "Value": "true"},
                ],
            )
        except ClientError as error:
            raise _as_users_error(error, email) from error

    def all(self) -> list[Person]:
        """Everybody, by their address."""
        pages = self._client.get_paginator("list_users").paginate(UserPoolId=self._pool)
        return sorted(
            (_person(user) for page in pages for user in page["Users"]), key=lambda person: person.email
        )

    def remove(self, email: str) -> None:
        """Remove somebody; what they are shown already stays until their token ends, within an hour.

        Raises:
            NotFoundError: there is no such user.
        """
        try:
            self._client.admin_user_global_sign_out(UserPoolId=self._pool, Username=email)
            self._client.admin_delete_user(UserPoolId=self._pool, Username=email)
        except ClientError as error:
            if error.response["Error"]["Code"] != "UserNotFoundException":
                raise
            raise NotFoundError(
                f"There is no user {email}.", hint="`darkroom user ls` lists who there is."
            ) from None


def new_password() -> str:
    """A password that fits the pool's rules: lower case, upper case and a digit are in it."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    letters = [secrets.choice(kind) for kind in kinds]
    letters += [secrets.choice("".join(kinds)) for _ in range(_LENGTH - len(kinds))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)


def _person(user: Any) -> Person:
    attributes = {each["Name"]: each["Value"] for each in user.get("Attributes", ())}
    return Person(attributes.get("email", user["Username"]), user.get("UserStatus", ""))


def _as_users_error(error: ClientError, email: str) -> Exception:
    said = error.response["Error"]
    if said["Code"] == "UsernameExistsException":
        return UsageError(f"There is a user {email} already.", hint="`darkroom user remove` removes them.")
    if said["Code"] in {"InvalidParameterException", "InvalidPasswordException"}:
        return UsageError(f"Cognito refuses this: {said.get('Message', said['Code'])}")
    return error
