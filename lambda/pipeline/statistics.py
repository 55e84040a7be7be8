"""The Lambda function `statistics`: changes of the images table come in, the counters follow.

The stream tells only whose record changed (KEYS_ONLY): a batch of a hundred stays small, however large records are.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from botocore.config import Config

from pipeline.counting import Counting
from pipeline.settings import StatisticsSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

_STEADY = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=2,
    read_timeout=10,
    parameter_validation=False,  # see tagger.py
)
logger = Logger(serialize_stacktrace=False)


def build_counting(environment: Mapping[str, str]) -> Counting:
    """The counting of this worker.

    Raises:
        ConfigurationError: an environment variable is missing or wrong.
    """
    settings = StatisticsSettings.from_environment(environment)
    # Workers that run at the same time add to different parts of a counter, as far as there are parts.
    worker = environment.get("AWS_LAMBDA_LOG_STREAM_NAME", "").encode()
    return Counting(
        boto3.Session(region_name=settings.region).client("dynamodb", config=_STEADY),
        images_table=settings.table_name,
        statistics_table=settings.statistics_table,
        slot=zlib.crc32(worker) % settings.shards,
    )


_counting = build_counting(os.environ)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001 - for the decorator
    """Count the images of a batch as what their records say now.

    Returns:
        How many images the batch named, and how many of them were counted anew.

    Raises:
        Exception: not all could be counted; Lambda sends the batch again, which changes nothing that is counted.
    """
    image_ids = {record["dynamodb"]["Keys"]["ImageID"]["S"] for record in event["Records"]}
    counted = _counting.count(image_ids)
    logger.info("counted", extra={"images": len(image_ids), "changed": counted})
    return {"images": len(image_ids), "changed": counted}
