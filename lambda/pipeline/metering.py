"""What is asked of Rekognition, as it is asked: calls, throttles, time and the estimated price.

Counted at the client by botocore's events, so that the client's own retries are counted too.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from types_boto3_rekognition import RekognitionClient

USD_PER_IMAGE = 0.001
"""Of each image operation for the first million images of a month in us-east-1; larger volumes cost less.
https://aws.amazon.com/rekognition/pricing/"""
USD_PER_IMAGE_PROPERTIES = 0.00075
"""Of DetectLabels' feature IMAGE_PROPERTIES, which is billed beside its labels."""

_THROTTLES = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException"})
_PRICE = "pipeline.price_usd"
"""Where the price of a call stands in botocore's context of it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked of Rekognition.

    Attributes:
        calls: requests that were sent, tries of the client included.
        throttles: those that were refused because of the account's rate.
        price_usd: list price of those that were answered; AWS does not bill refused ones.
        busy_ms: how long at least one call was under way.
    """

    calls: int = 0
    throttles: int = 0
    price_usd: float = 0.0
    busy_ms: float = 0.0


class Meter:
    """Counts one client's calls; threads may share it.

    Args:
        client: whose calls.
        clock_s: seconds that only grow.
    """

    def __init__(
        self, client: RekognitionClient, *, clock_s: Callable[[], float] = time.perf_counter
    ) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._usage = Usage()
        self._under_way = 0
        self._since_s = 0.0
        events: Any = client.meta.events
        events.register("before-parameter-build.rekognition", _note_price)
        events.register("before-call.rekognition", self._begins)
        events.register("response-received.rekognition", self._answered)
        events.register("after-call.rekognition", self._ends)
        events.register("after-call-error.rekognition", self._ends)

    def take(self) -> Usage:
        """What was counted since the last time."""
        with self._lock:
            usage, self._usage = self._usage, Usage()
        return usage

    def _begins(self, **_: Any) -> None:
        with self._lock:
            if not self._under_way:
                self._since_s = self._clock_s()
            self._under_way += 1

    def _answered(
        self,
        response_dict: Mapping[str, Any] | None,
        parsed_response: Any,
        context: Mapping[str, Any],
        **_: Any,
    ) -> None:
        """One try of a call has ended; without a response the connection failed."""
        status = response_dict["status_code"] if response_dict else 0
        code = (parsed_response or {}).get("Error", {}).get("Code", "")
        with self._lock:
            before = self._usage
            self._usage = Usage(
                before.calls + 1,
                before.throttles + (code in _THROTTLES),
                before.price_usd + (context.get(_PRICE, 0.0) if status == 200 else 0.0),
                before.busy_ms,
            )

    def _ends(self, **_: Any) -> None:
        with self._lock:
            self._under_way -= 1
            if self._under_way == 0:
                busy_ms = (self._clock_s() - self._since_s) * 1000
                before = self._usage
                self._usage = Usage(
                    before.calls, before.throttles, before.price_usd, before.busy_ms + busy_ms
                )


def _note_price(params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    context[_PRICE] = price_usd(model.name, params)


def price_usd(operation: str, parameters: Mapping[str, Any]) -> float:
    """List price of one answered call. Each operation on one image counts as an image of its own."""
    features = parameters.get("Features") if operation == "DetectLabels" else None
    if not features:
        return USD_PER_IMAGE
    prices = {"GENERAL_LABELS": USD_PER_IMAGE, "IMAGE_PROPERTIES": USD_PER_IMAGE_PROPERTIES}
    return sum(prices.get(feature, 0.0) for feature in features)
