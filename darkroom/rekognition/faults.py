"""Faults on purpose: what a real account does to an application on a bad day.

A plan is a list of faults; the first that fires decides. Each says for which operations (all, if none are named),
how often (a `rate` from 0 to 1, or exactly the next `count` calls after `after` calls), and what happens:

* an error with the service's own code, status and words (see `KINDS`);
* `latency`: wait, then answer: fixed, uniform or log-normal milliseconds;
* `drop`: close the connection without an answer.

A token bucket (`tps`, `burst`) throttles like an account's rate limit. Everything is deterministic: the n-th call of
an operation meets the same fate for the same seed, whatever runs beside it.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.rekognition import errors
from darkroom.rekognition.errors import ServiceError
from darkroom.rekognition.model import SERVED
from darkroom.rekognition.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

_THROTTLED = "ProvisionedThroughputExceededException"

KINDS: dict[str, ServiceError] = {
    "throughput": ServiceError(_THROTTLED, "Provisioned Rate exceeded."),
    "s3-throughput": ServiceError(_THROTTLED, "S3 download limit exceeded."),
    "throttling": ServiceError("ThrottlingException", "Slow down; sudden increase in rate of requests."),
    "overload": ServiceError("ThrottlingException", "Service Unavailable", status=500),
    "internal": errors.internal_error(),
    "access-denied": errors.access_denied("<Operation>"),
    "invalid-format": errors.invalid_image_format(),
    "invalid-s3-object": errors.s3_object_unreadable(),
    "too-large": errors.image_too_many_bytes(),
    "invalid-parameters": errors.invalid_parameters(),
}
"""Named errors: code, status and message as the developer guide and captures give them."""

OTHER_KINDS = ("latency", "drop")
_FAULT_KEYS = ("kind", "operations", "rate", "count", "after", "latency_ms")
_PLAN_KEYS = ("seed", "faults", "tps", "burst")
_LATENCY_KEYS = ("fixed", "low", "high", "median", "p95")


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds to wait: fixed (`low` = `high`), uniform, or log-normal with a median and a 95th percentile."""

    low_ms: float = 0.0
    high_ms: float = 0.0
    median_ms: float = 0.0
    p95_ms: float = 0.0

    def pick(self, share: float) -> float:
        """The wait for a uniformly drawn `share` (0 to 1), in milliseconds."""
        if not self.median_ms:
            return self.low_ms + (self.high_ms - self.low_ms) * share
        normal = statistics.NormalDist()
        sigma = math.log(max(1.0, self.p95_ms / self.median_ms)) / normal.inv_cdf(0.95)
        return self.median_ms * math.exp(sigma * normal.inv_cdf(min(0.9999, max(0.0001, share))))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `count` of None means for ever; then `rate` decides."""

    kind: str
    operations: frozenset[str] = frozenset()
    rate: float = 1.0
    count: int | None = None
    after: int = 0
    latency: Latency = Latency()


@dataclass(frozen=True, slots=True)
class Plan:
    """All faults, the seed that decides about them, and the rate limit (0 is none)."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    tps: float = 0.0
    burst: float = 0.0


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one call: it waits, and then is answered, refused or dropped."""

    wait_ms: float = 0.0
    error: ServiceError | None = None
    drop: bool = False


def read_plan(document: object) -> Plan:
    """A plan as JSON has it.

    Raises:
        ValueError: with every problem, each naming its place.
    """
    reader = Reader()
    written = reader.mapping(document, "the plan", known=_PLAN_KEYS)
    faults = tuple(
        _read_fault(reader, item, where)
        for where, item in reader.entries(written.get("faults", []), "faults")
    )
    tps = reader.number(written.get("tps", 0), "tps", low=0, high=100_000)
    plan = Plan(
        faults=faults,
        seed=int(reader.number(written.get("seed", 0), "seed", low=0, high=2**53)),
        tps=tps,
        burst=reader.number(written.get("burst", max(1.0, tps)), "burst", low=1, high=100_000),
    )
    if reader.problems:
        raise ValueError("; ".join(reader.problems))
    return plan


def _read_fault(reader: Reader, item: object, where: str) -> Fault:
    written = reader.mapping(item, where, known=_FAULT_KEYS)
    kind = reader.choice(reader.member(written, "kind", where), f"{where}.kind", (*KINDS, *OTHER_KINDS))
    operations = reader.texts(written.get("operations", []), f"{where}.operations")
    for name in operations:
        reader.choice(name, f"{where}.operations", SERVED)
    count = written.get("count")
    return Fault(
        kind=kind,
        operations=frozenset(operations),
        rate=reader.number(written.get("rate", 1), f"{where}.rate", low=0, high=1),
        count=None if count is None else int(reader.number(count, f"{where}.count", low=0, high=2**31)),
        after=int(reader.number(written.get("after", 0), f"{where}.after", low=0, high=2**31)),
        latency=_read_latency(reader, written.get("latency_ms", 0), f"{where}.latency_ms"),
    )


def _read_latency(reader: Reader, value: object, where: str) -> Latency:
    written = reader.mapping(
        value if isinstance(value, dict) else {"fixed": value}, where, known=_LATENCY_KEYS
    )
    numbers = {
        name: reader.number(part, f"{where}.{name}", low=0, high=600_000) for name, part in written.items()
    }
    fixed = numbers.get("fixed", 0.0)
    median = numbers.get("median", 0.0)
    return Latency(
        low_ms=numbers.get("low", fixed),
        high_ms=numbers.get("high", numbers.get("low", fixed)),
        median_ms=median,
        p95_ms=numbers.get("p95", median),
    )


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as JSON, for showing."""
    return {
        "seed": plan.seed,
        "tps": plan.tps,
        "burst": plan.burst,
        "faults": [
            {
                "kind": fault.kind,
                "operations": sorted(fault.operations),
                "rate": fault.rate,
                "count": fault.count,
                "after": fault.after,
                "latency_ms": _latency_document(fault.latency),
            }
            for fault in plan.faults
        ],
    }


def _latency_document(latency: Latency) -> dict[str, float]:
    if latency.median_ms:
        return {"median": latency.median_ms, "p95": latency.p95_ms}
    return {"low": latency.low_ms, "high": latency.high_ms}


@dataclass(slots=True)
class FaultInjector:
    """Decides about each call. One per service; not for use from several threads.

    Args:
        clock: seconds, monotonic; for the token bucket.
    """

    clock: Callable[[], float]
    plan: Plan = field(default_factory=Plan, init=False)
    fired: Counter[str] = field(default_factory=Counter, init=False)
    _calls: Counter[tuple[int, str]] = field(default_factory=Counter, init=False)
    _used: Counter[int] = field(default_factory=Counter, init=False)
    _tokens: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)

    def use(self, plan: Plan) -> None:
        """Start a plan from its beginning; an empty one ends all faults."""
        self.plan = plan
        for counter in (self.fired, self._calls, self._used):
            counter.clear()
        self._tokens.clear()

    def fate(self, operation: str) -> Fate:
        """What happens to the next call of an operation."""
        plan = self.plan
        if plan.tps and not self._take_token(operation):
            self.fired["tps"] += 1
            return Fate(error=KINDS["throughput"])
        wait_ms = 0.0
        for number, fault in enumerate(plan.faults):
            share = self._fires(number, fault, operation)
            if share is None:
                continue
            self.fired[fault.kind] += 1
            wait_ms += fault.latency.pick(share)
            if fault.kind != "latency":
                error = KINDS.get(fault.kind)
                if fault.kind == "access-denied":
                    error = errors.access_denied(operation)
                return Fate(wait_ms=wait_ms, error=error, drop=fault.kind == "drop")
        return Fate(wait_ms=wait_ms)

    def _fires(self, number: int, fault: Fault, operation: str) -> float | None:
        """A number from 0 to 1 for this call if the fault fires, else None."""
        if fault.operations and operation not in fault.operations:
            return None
        call = self._calls[number, operation]
        self._calls[number, operation] += 1
        if call < fault.after or (fault.count is not None and self._used[number] >= fault.count):
            return None
        digest = hashlib.blake2b(
            f"{self.plan.seed} {number} {operation} {call}".encode(), digest_size=16
        ).digest()
        if int.from_bytes(digest[:8], "big") / 2**64 >= fault.rate:
            return None
        self._used[number] += 1
        return int.from_bytes(digest[8:], "big") / 2**64

    def _take_token(self, operation: str) -> bool:
        """Each operation has a bucket of its own, as quotas are per operation."""
        now = self.clock()
        tokens, since = self._tokens.get(operation, (self.plan.burst, now))
        tokens = min(self.plan.burst, tokens + (now - since) * self.plan.tps)
        taken = tokens >= 1
        self._tokens[operation] = (tokens - 1 if taken else tokens, now)
        return taken
