"""Where answers may come from, and everything else that is chosen while the service runs.

stub             recordings, fixtures, rules, inventions; no network
replay           recordings only; what is not recorded is an error; no network
record-missing   recordings; what is missing is asked of real AWS and recorded
refresh          real AWS, always; recorded over what was there
proxy            real AWS, always; nothing is recorded
verify           real AWS, always; compared with what is recorded
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_BUDGET_DOLLARS = 1.0
DEFAULT_TOLERANCE = 1.0
_MICROS = 1_000_000
_MOST = 1_000_000


class Mode(Enum):
    """Where answers may come from: see the module."""

    STUB = "stub"
    REPLAY = "replay"
    RECORD_MISSING = "record-missing"
    REFRESH = "refresh"
    PROXY = "proxy"
    VERIFY = "verify"

    @property
    def asks_aws(self) -> bool:
        """Whether real AWS may be asked, which costs money."""
        return self not in (Mode.STUB, Mode.REPLAY)

    @property
    def replays(self) -> bool:
        """Whether a recording answers where there is one."""
        return self in (Mode.STUB, Mode.REPLAY, Mode.RECORD_MISSING)

    @property
    def records(self) -> bool:
        """Whether real answers are recorded."""
        return self in (Mode.RECORD_MISSING, Mode.REFRESH)


@dataclass(frozen=True, slots=True)
class Choices:
    """What is chosen for one run of a mode. Holds no secret, so that it may be kept in a file.

    Attributes:
        mode: where answers may come from.
        region: the AWS region that is asked.
        endpoint: another address than the region's own; for tests, or a proxy of your company.
        widest: ask with the widest parameters and derive what was asked for.
        with_faces: record details of faces too.
        downscale: send a smaller copy of a picture that is too large for AWS to take as bytes.
        tolerance: by how many points a confidence may move before `verify` calls it a difference.
        budget_dollars: what may be spent in a calendar month (UTC); None sets no limit.
        max_calls: how many calls may be paid in a calendar month; None sets no limit.
    """

    mode: Mode = Mode.STUB
    region: str = "us-east-1"
    endpoint: str | None = None
    widest: bool = False
    with_faces: bool = False
    downscale: bool = False
    tolerance: float = DEFAULT_TOLERANCE
    budget_dollars: float | None = DEFAULT_BUDGET_DOLLARS
    max_calls: int | None = None

    @property
    def budget_micros(self) -> int | None:
        """The budget in millionths of a dollar."""
        return None if self.budget_dollars is None else round(self.budget_dollars * _MICROS)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        written = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**written, "mode": self.mode.value}


def budget_of(text: str) -> float | None:
    """Dollars as a person writes them: ``0.50``, or ``none`` for no limit.

    Raises:
        ValueError: it is neither.
    """
    if text.lower() == "none":
        return None
    dollars = float(text)
    if not 0 <= dollars <= _MOST:
        msg = f"a budget must be from 0 to {_MOST:,} dollars, or none"
        raise ValueError(msg)
    return dollars


def read_choices(document: object) -> Choices:
    """Choices as JSON has them; what is not there has its default.

    Raises:
        ValueError: with every problem, each naming its place.
    """
    reader = Reader()
    written = reader.mapping(document, "the mode", known=tuple(field.name for field in fields(Choices)))
    mode = reader.choice(written.get("mode", "stub"), "mode", [mode.value for mode in Mode])
    flags = {
        name: reader.flag(written.get(name, False), name) for name in ("widest", "with_faces", "downscale")
    }
    limits = {
        "budget_dollars": _limit(reader, written, "budget_dollars", DEFAULT_BUDGET_DOLLARS),
        "max_calls": _limit(reader, written, "max_calls", None),
    }
    region = reader.text(written.get("region", "us-east-1"), "region")
    endpoint = written.get("endpoint")
    if endpoint is not None and not reader.text(endpoint, "endpoint").startswith(("http://", "https://")):
        reader.problem("endpoint", f"must be an http or https address, not {endpoint!r}")
    tolerance = reader.number(written.get("tolerance", DEFAULT_TOLERANCE), "tolerance", low=0, high=100)
    if reader.problems:
        raise ValueError("; ".join(reader.problems))
    most = limits["max_calls"]
    return Choices(
        mode=Mode(mode),
        region=region,
        endpoint=endpoint,
        tolerance=tolerance,
        budget_dollars=limits["budget_dollars"],
        max_calls=None if most is None else int(most),
        **flags,
    )


def _limit(reader: Reader, written: Mapping[str, Any], name: str, default: float | None) -> float | None:
    value = written.get(name, default)
    return None if value is None else reader.number(value, name, low=0, high=_MOST)
