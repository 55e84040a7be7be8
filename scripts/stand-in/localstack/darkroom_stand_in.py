"""Plugins of the stand-in image: DynamoDB by moto, and runtime images that are on the machine already.

LocalStack loads this module at its start, so that everything else is imported when it is needed.
"""

from __future__ import annotations

import threading
from typing import Any

from localstack.services.lambda_.hooks import prepare_docker_executor
from localstack.services.plugins import Service, aws_provider


def _by_moto(api: Any) -> Service:
    from localstack.aws.forwarder import ForwardingFallbackDispatcher
    from localstack.services.moto import dispatch_to_moto

    # moto judges a condition and then writes, without a lock between the two; LocalStack calls it from many threads
    one_at_a_time = threading.Lock()

    def forward(context: Any, _request: Any) -> Any:
        with one_at_a_time:
            return dispatch_to_moto(context)

    return Service.for_provider(
        api(), dispatch_table_factory=lambda provider: ForwardingFallbackDispatcher(provider, forward)
    )


@aws_provider(api="dynamodb", name="stand_in")
def dynamodb() -> Service:
    """DynamoDB Local is no free software and no package of any registry."""
    from localstack.aws.api.dynamodb import DynamodbApi

    return _by_moto(DynamodbApi)


@aws_provider(api="dynamodbstreams", name="stand_in")
def dynamodbstreams() -> Service:
    """Streams of the tables above."""
    from localstack.aws.api.dynamodbstreams import DynamodbstreamsApi

    return _by_moto(DynamodbstreamsApi)


@prepare_docker_executor()
def local_images(function_version: Any) -> None:
    """Take the runtime's image from the machine: LocalStack asks the registry for it even when it is there."""
    from localstack.services.lambda_.invocation import docker_runtime_executor as executor

    config = function_version.config
    image = executor.resolver.get_image_for_runtime(config.runtime)
    executor.PULLED_IMAGES.add((image, executor.docker_platform(config.architectures[0])))
