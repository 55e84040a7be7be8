"""The environment variables of the function, read once at start and checked together.

| variable         | meaning                                                          | default         |
|------------------|------------------------------------------------------------------|-----------------|
| `AWS_REGION`     | set by Lambda                                                    | none            |
| `TABLE_NAME`     | table of the image records                                       | none            |
| `INDEX_TABLE_NAME` | table of the postings                                          | none            |
| `INDEX_SHARDS`   | 1 to 64: shards over which the postings of one name are spread   | none            |
| `TRIGGER_PREFIX` | objects under it are analysed; empty: the whole bucket           | none            |
| `MIN_CONFIDENCE` | percent, 0 to 100                                                | none            |
| `MAX_LABELS`     | 1 to 1000                                                        | none            |
| `ANALYZERS`      | what is recognised, separated by commas                          | `labels`        |
| `EMOTION_CONFIDENCE` | percent; emotions of a face above it are recorded            | 75              |
| `CONVERT_IMAGES` | whether pictures that Rekognition does not take are converted     | `true`          |
| `MODERATION_CONFIDENCE` | percent; moderation labels from it on are recorded        | 50              |
| `ALERT_RULES`    | what somebody is told of: see alerts.py                          | none: nobody is |
| `ALERT_TOPIC`    | ARN of the topic for alerts; needed where there are rules        | none            |
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pipeline.alerts import Rule, parse_rules
from pipeline.errors import ConfigurationError
from pipeline.postings import MAX_SHARDS, Index, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA_PREFIX = "metadata/"
PREVIEW_PREFIX = "previews/"
WRITTEN_PREFIXES = (METADATA_PREFIX, PREVIEW_PREFIX)
"""What the functions write themselves, and therefore never analyse."""


class Analyzer(StrEnum):
    """What can be recognised in an image."""

    LABELS = "labels"
    FACES = "faces"
    CELEBRITIES = "celebrities"
    TEXT = "text"
    MODERATION = "moderation"
    PROPERTIES = "properties"


_ANALYZER_OF = {
    Kind.LABEL: Analyzer.LABELS,
    Kind.CELEBRITY: Analyzer.CELEBRITIES,
    Kind.MODERATION: Analyzer.MODERATION,
}
_FACE_SEARCH = ("collection", "search", "index")
"""Parts of the names by which people ask for what keeps faces of people."""
_NO_FACE_SEARCH = (
    "face collections and face search are not offered: they keep people's faces to recognise them again, which a "
    "tagger of pictures has no use for"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of the tagger."""

    region: str
    table_name: str
    trigger_prefix: str
    min_confidence: float
    max_labels: int
    analyzers: tuple[Analyzer, ...] = (Analyzer.LABELS,)
    emotion_confidence: float = 75.0
    moderation_confidence: float = 50.0
    convert_images: bool = True
    index: Index = field(kw_only=True)
    alert_rules: tuple[Rule, ...] = field(default=(), kw_only=True)
    alert_topic: str = field(default="", kw_only=True)

    @property
    def fingerprint(self) -> str:
        """A hash of what decides an analysis: with another one, an image counts as not analysed.

        A threshold counts only where its analyser is chosen: changing it for nothing would cost a second
        analysis of every image.
        """
        decisive: dict[str, object] = {"analyzers": sorted(self.analyzers), "convert": self.convert_images}
        if Analyzer.LABELS in self.analyzers:
            decisive |= {"min_confidence": self.min_confidence, "max_labels": self.max_labels}
        if Analyzer.FACES in self.analyzers:
            decisive["emotion_confidence"] = self.emotion_confidence
        if Analyzer.MODERATION in self.analyzers:
            decisive["moderation_confidence"] = self.moderation_confidence
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check the variables.

        Raises:
            ConfigurationError: naming every variable that is missing or wrong, not only the first.
        """
        reader = Reader(environment)
        settings = cls(
            region=reader.text("AWS_REGION"),
            table_name=reader.text("TABLE_NAME"),
            trigger_prefix=reader.prefix("TRIGGER_PREFIX"),
            min_confidence=reader.number("MIN_CONFIDENCE", low=0, high=100),
            max_labels=int(reader.number("MAX_LABELS", low=1, high=1000, whole=True)),
            analyzers=reader.analyzers("ANALYZERS"),
            emotion_confidence=reader.number("EMOTION_CONFIDENCE", low=0, high=100, default="75"),
            moderation_confidence=reader.number("MODERATION_CONFIDENCE", low=0, high=100, default="50"),
            index=Index(reader.text("INDEX_TABLE_NAME"), reader.shards("INDEX_SHARDS")),
            convert_images=reader.choice("CONVERT_IMAGES", {"true": True, "false": False}, default="true"),
        )
        alert_rules = reader.alert_rules("ALERT_RULES", settings.analyzers)
        if alert_rules:
            settings = replace(settings, alert_rules=alert_rules, alert_topic=reader.text("ALERT_TOPIC"))
        reader.check()
        return settings


_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True)
class StatisticsSettings:
    """The checked settings of the statistics function; `STATISTICS_TABLE_NAME` is its table."""

    region: str
    table_name: str
    statistics_table: str
    shards: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> StatisticsSettings:
        """Read and check the variables.

        Raises:
            ConfigurationError: naming every variable that is missing or wrong, not only the first.
        """
        reader = Reader(environment)
        settings = cls(
            region=reader.text("AWS_REGION"),
            table_name=reader.text("TABLE_NAME"),
            statistics_table=reader.text("STATISTICS_TABLE_NAME"),
            shards=reader.shards("INDEX_SHARDS"),
        )
        reader.check()
        return settings


class Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def check(self) -> None:
        """Raise what is wrong, all of it."""
        if self.problems:
            raise ConfigurationError("The function is not configured: " + "; ".join(self.problems) + ".")

    def shards(self, name: str) -> int:
        return int(self.number(name, low=1, high=MAX_SHARDS, whole=True))

    def text(self, name: str, *, default: str = "") -> str:
        value = self._environment.get(name, default).strip()
        if not value:
            self.problems.append(f"{name} is missing")
        return value

    def number(self, name: str, *, low: int, high: int, whole: bool = False, default: str = "") -> float:
        value = self.text(name, default=default)
        try:
            number = float(int(value)) if whole else float(value)
        except ValueError:
            number = float("nan")
        if low <= number <= high:
            return number
        if value:
            kind = "a whole number" if whole else "a number"
            self.problems.append(f"{name} must be {kind} from {low} to {high}, not {value!r}")
        return float(low)

    def choice(self, name: str, choices: Mapping[str, _Choice], *, default: str) -> _Choice:
        value = self.text(name, default=default)
        if value not in choices:
            self.problems.append(f"{name} must be {' or '.join(choices)}, not {value!r}")
            return choices[default]
        return choices[value]

    def prefix(self, name: str) -> str:
        prefix = self._environment.get(name)
        if prefix is None:
            self.problems.append(f"{name} is missing (empty means the whole bucket)")
            return ""
        if prefix.startswith(WRITTEN_PREFIXES):
            self.problems.append(f"{name} cannot be {prefix!r}, because the function writes there itself")
        return prefix

    def alert_rules(self, name: str, analyzers: tuple[Analyzer, ...]) -> tuple[Rule, ...]:
        """The rules; one that can never hold, because nothing looks for it, is a problem."""
        try:
            rules = parse_rules(self._environment.get(name, ""))
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return ()
        for rule in rules:
            if _ANALYZER_OF[rule.kind] not in analyzers:
                self.problems.append(f"{name}: {rule} needs {_ANALYZER_OF[rule.kind]} among ANALYZERS")
        return rules

    def analyzers(self, name: str) -> tuple[Analyzer, ...]:
        names = [part.strip() for part in self._environment.get(name, Analyzer.LABELS).split(",")]
        known = {analyzer.value for analyzer in Analyzer}
        wrong = [part for part in names if part not in known]
        if wrong:
            self.problems.append(
                f"{name} may hold {', '.join(analyzer.value for analyzer in Analyzer)}, "
                f"not {', '.join(map(repr, wrong))}"
            )
        if any(word in part.lower() for part in wrong for word in _FACE_SEARCH):
            self.problems.append(_NO_FACE_SEARCH)
        return tuple(analyzer for analyzer in Analyzer if analyzer.value in names)
