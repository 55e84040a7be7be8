"""The label taxonomies: DetectLabels v3.0 and DetectModerationLabels v7.0.

Labels come from two files. ``labels_measured.json`` holds what captured responses show;
``labels_inferred.txt`` adds common labels by analogy. A label's parents are *all* its ancestors in
alphabetical order, as in v3.0 responses (16 of 16); a label has one category, which may differ from its
parents'.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """One label: all its ancestors, its aliases, its category (None where no capture shows it)."""

    name: str
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    category: str | None = None
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Labels by name; `by_alias` leads from another word (case folded) to the label's name."""

    labels: dict[str, LabelEntry]
    by_alias: dict[str, str]

    def canonical(self, name: str) -> str | None:
        """The label that `name` means: itself, another spelling of case, or an alias; None where unknown."""
        return name if name in self.labels else self.by_alias.get(name.casefold())

    def similar(self, name: str) -> list[str]:
        """Up to three labels that a person may have meant."""
        return difflib.get_close_matches(name, self.labels, n=3, cutoff=0.6)


@cache
def taxonomy() -> Taxonomy:
    """Read both files once per process (about 2 ms)."""
    folder = resources.files(__package__) / "data"
    inferred = _read_inferred((folder / "labels_inferred.txt").read_text("utf-8"))
    labels = {entry.name: entry for entry in inferred}
    for name, raw in json.loads((folder / "labels_measured.json").read_text("utf-8")).items():
        fallback = labels.get(name)
        labels[name] = LabelEntry(
            name=name,
            parents=tuple(raw["parents"]),
            aliases=tuple(raw["aliases"]),
            category=raw["category"] or (fallback.category if fallback else _UNSEEN_CATEGORIES.get(name)),
            measured=True,
        )
    closed = {name: _with_all_ancestors(entry, labels) for name, entry in labels.items()}
    aliases = {name.casefold(): name for name in closed}
    for entry in closed.values():
        for alias in entry.aliases:
            aliases.setdefault(alias.casefold(), entry.name)
    return Taxonomy(labels=closed, by_alias=aliases)


_UNSEEN_CATEGORIES = {
    "Black Hair": "Beauty and Personal Care",
    "Car": "Vehicles and Automotive",
    "Selfie": "Hobbies and Interests",
}
"""Labels whose captured responses carry no category: v2.0 answers, or a wrapper that left it out."""


def _read_inferred(text: str) -> list[LabelEntry]:
    entries: list[LabelEntry] = []
    category = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            category = line.strip("[] ")
            continue
        definition, _, aliases = line.partition("=")
        name, _, parents = definition.partition("<")
        entries.append(
            LabelEntry(
                name=name.strip(), parents=_listed(parents), aliases=_listed(aliases), category=category
            )
        )
    return entries


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _with_all_ancestors(entry: LabelEntry, labels: dict[str, LabelEntry]) -> LabelEntry:
    """Measured entries are left as they were seen; the others get their parents' parents too."""
    if entry.measured:
        return entry
    ancestors: set[str] = set()
    waiting = list(entry.parents)
    while waiting:
        name = waiting.pop()
        if name not in ancestors:
            ancestors.add(name)
            waiting.extend(labels[name].parents if name in labels else ())
    ordered = tuple(sorted(ancestors))
    return LabelEntry(name=entry.name, parents=ordered, aliases=entry.aliases, category=entry.category)


MODERATION_TREE: dict[str, dict[str, dict[str, None]]] = {
    "Explicit": {
        "Explicit Nudity": dict.fromkeys(
            (
                "Exposed Male Genitalia",
                "Exposed Female Genitalia",
                "Exposed Buttocks or Anus",
                "Exposed Female Nipple",
            )
        ),
        "Explicit Sexual Activity": {},
        "Sex Toys": {},
    },
    "Non-Explicit Nudity of Intimate parts and Kissing": {
        "Non-Explicit Nudity": dict.fromkeys(
            (
                "Bare Back",
                "Exposed Male Nipple",
                "Partially Exposed Buttocks",
                "Partially Exposed Female Breast",
                "Implied Nudity",
            )
        ),
        "Obstructed Intimate Parts": dict.fromkeys(("Obstructed Female Nipple", "Obstructed Male Genitalia")),
        "Kissing on the Lips": {},
    },
    "Swimwear or Underwear": {"Female Swimwear or Underwear": {}, "Male Swimwear or Underwear": {}},
    "Violence": {
        "Weapons": {},
        "Graphic Violence": dict.fromkeys(
            ("Weapon Violence", "Physical Violence", "Self-Harm", "Blood & Gore", "Explosions and Blasts")
        ),
    },
    "Visually Disturbing": {
        "Death and Emaciation": dict.fromkeys(("Emaciated Bodies", "Corpses")),
        "Crashes": {"Air Crash": None},
    },
    "Drugs & Tobacco": {
        "Products": {"Pills": None},
        "Drugs & Tobacco Paraphernalia & Use": {"Smoking": None},
    },
    "Alcohol": {"Alcohol Use": {"Drinking": None}, "Alcoholic Beverages": {}},
    "Rude Gestures": {"Middle Finger": {}},
    "Gambling": {},
    "Hate Symbols": {"Nazi Party": {}, "White Supremacy": {}, "Extremist": {}},
}


@dataclass(frozen=True, slots=True)
class ModerationEntry:
    """One moderation label: its chain from itself up to the top, and its level (1 is the top)."""

    name: str
    chain: tuple[str, ...]

    @property
    def level(self) -> int:
        """1, 2 or 3, as TaxonomyLevel."""
        return len(self.chain)


@cache
def moderation_taxonomy() -> dict[str, ModerationEntry]:
    """The v7.0 moderation labels by name."""
    entries: dict[str, ModerationEntry] = {}
    for top, seconds in MODERATION_TREE.items():
        entries[top] = ModerationEntry(name=top, chain=(top,))
        for second, thirds in seconds.items():
            entries[second] = ModerationEntry(name=second, chain=(second, top))
            for third in thirds:
                entries[third] = ModerationEntry(name=third, chain=(third, second, top))
    return entries
