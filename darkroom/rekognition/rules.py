"""Rules: what is in every picture of a kind.

A fixture file with ``when`` instead of ``image`` answers for all pictures that fit, in the order of file names::

    when: {key: "uploads/invoices/*.png", width: 800.., shape: portrait}
    text: [INVOICE]

Every condition must hold: `bucket` and `key` (patterns with ``*`` and ``?``; a picture that came as bytes has
neither), `media` (image/jpeg or image/png), `width` and `height` (``640``, ``640..``, ``..1080``, ``640..1080``;
upright pixels), `shape` (landscape, portrait, square).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.rekognition.images import Picture
    from darkroom.rekognition.reading import Reader

_KEYS = ("bucket", "key", "media", "width", "height", "shape")
_RANGE = re.compile(r"(\d*)(\.\.)?(\d*)")


@dataclass(frozen=True, slots=True)
class Range:
    """A closed range of pixels; None where it is open."""

    low: int | None = None
    high: int | None = None

    def holds(self, value: int) -> bool:
        """Whether a number lies in the range."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Condition:
    """Which pictures a rule is for; None and open ranges fit everything."""

    bucket: re.Pattern[str] | None = None
    key: re.Pattern[str] | None = None
    media: str | None = None
    width: Range = Range()
    height: Range = Range()
    shape: str | None = None

    def fits(self, picture: Picture, *, bucket: str | None, key: str | None) -> bool:
        """Whether the rule is for this picture."""
        width, height = picture.upright_size
        return (
            _matches(self.bucket, bucket)
            and _matches(self.key, key)
            and self.media in (None, picture.format.value)
            and self.width.holds(width)
            and self.height.holds(height)
            and self.shape in (None, _shape(width, height))
        )


def read_condition(reader: Reader, value: object) -> Condition:
    """The `when` of a fixture file."""
    written = reader.mapping(value, "when", known=_KEYS)
    if not written:
        reader.problem("when", f"needs at least one of {', '.join(_KEYS)}")
    patterns = {
        name: re.compile(translate(reader.text(written[name], f"when.{name}")))
        for name in ("bucket", "key")
        if name in written
    }
    media = shape = None
    if "media" in written:
        media = reader.choice(written["media"], "when.media", ("image/jpeg", "image/png"))
    if "shape" in written:
        shape = reader.choice(written["shape"], "when.shape", ("landscape", "portrait", "square"))
    return Condition(
        bucket=patterns.get("bucket"),
        key=patterns.get("key"),
        media=media,
        width=_range(reader, written.get("width"), "when.width"),
        height=_range(reader, written.get("height"), "when.height"),
        shape=shape,
    )


def _range(reader: Reader, value: object, where: str) -> Range:
    if value is None:
        return Range()
    match = _RANGE.fullmatch(str(value))
    if match is None or not (match[1] or match[3]) or (not match[2] and match[3]):
        reader.problem(where, f"must be like 640, 640.., ..1080 or 640..1080, not {value!r}")
        return Range()
    low = int(match[1]) if match[1] else None
    if not match[2]:
        return Range(low, low)
    return Range(low, int(match[3]) if match[3] else None)


def _matches(pattern: re.Pattern[str] | None, text: str | None) -> bool:
    return pattern is None or (text is not None and pattern.match(text) is not None)


def _shape(width: int, height: int) -> str:
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"
