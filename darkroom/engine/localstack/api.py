"""What a reload asks of Lambda on LocalStack (`darkroom.operations.reload.Functions`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from darkroom.engine.lambda_api import DeployedFunction
from darkroom.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

_POLLER_S = 2.2
"""See `darkroom.operations.localstack`."""


class LambdaApi:
    """Functions of one stack.

    Args:
        session: makes a session.
        stack: its name; functions begin with it.
        pause: stops the sync while code changes.
        resume: starts it again.
    """

    def __init__(
        self,
        session: Callable[[], boto3.Session],
        *,
        stack: str,
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self._session = session
        self._prefix = f"{stack}-"
        self._pause = pause
        self._resume = resume

    def functions(self) -> list[DeployedFunction]:
        """The stack's functions.

        Raises:
            EngineError: LocalStack does not answer.
        """
        try:
            pages = list(self._client().get_paginator("list_functions").paginate())
        except (ClientError, BotoCoreError) as error:
            raise EngineError(f"LocalStack does not answer: {error}") from error
        return [
            DeployedFunction(each["FunctionName"], each.get("Handler", ""), each["CodeSha256"])
            for page in pages
            for each in page["Functions"]
            if each["FunctionName"].startswith(self._prefix)
        ]

    def try_code(self, functions: Sequence[str], package: bytes) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG002
        """Nothing: LocalStack can start no code beside what runs. What does not start fails when it is called."""
        return {}

    def update_code(self, function: str, package: bytes) -> None:
        """UpdateFunctionCode, and wait until it is done.

        Raises:
            EngineError: LocalStack refused or does not answer.
        """
        self._pause()
        client = self._client()
        try:
            client.update_function_code(FunctionName=function, ZipFile=package)
            client.get_waiter("function_updated_v2").wait(
                FunctionName=function, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )
        except (ClientError, BotoCoreError, WaiterError) as error:
            self._resume()
            raise EngineError(f"LocalStack did not take the code of {function}: {error}") from error

    def take_over(self, functions: Sequence[str]) -> None:  # noqa: ARG002
        """Let the old event pollers end, then let uploads through again."""
        time.sleep(_POLLER_S)
        self._resume()

    def _client(self) -> Any:
        return self._session().client("lambda", config=Config(retries={"total_max_attempts": 2}))
