"""The gateway's own errors, read by botocore: a part that restarts looks like a busy AWS, in every protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from aiohttp.test_utils import RawTestServer
from botocore.config import Config
from botocore.exceptions import ClientError

from darkroom.engine.gateway import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

CALLS: dict[str, Callable[[Any], object]] = {
    "sts": lambda client: client.assume_role(
        RoleArn="arn:aws:iam::000000000000:role/r", RoleSessionName="session"
    ),
    "cloudformation": lambda client: client.describe_stacks(StackName="s"),
    "iam": lambda client: client.list_users(),
    "s3": lambda client: client.list_objects_v2(Bucket="b"),
    "dynamodb": lambda client: client.list_tables(),
    "lambda": lambda client: client.get_function(FunctionName="f"),
}


@pytest.mark.parametrize("service", CALLS)
async def test_an_engine_that_is_away_is_a_service_that_is_unavailable(service: str) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        return answers.refusal(request, answers.unavailable("The engine"))

    async with RawTestServer(handle) as server:
        session: Any = boto3.Session("AKIDEXAMPLE", "example", region_name="us-east-1")
        client = session.client(
            service,
            endpoint_url=f"http://127.0.0.1:{server.port}",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(CALLS[service], client)
        client.close()
    error = refused.value.response
    assert error["Error"]["Code"] == "ServiceUnavailable"
    assert "The engine does not answer" in error["Error"]["Message"]
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 503
