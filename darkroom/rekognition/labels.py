"""DetectLabels: completing what a person wrote, and narrowing what was found.

Shape of a found label: ``{"Name", "Confidence", "Instances", "Parents", "Aliases", "Categories"}``, as on
the wire.

Measured on six v3.0 responses: labels by confidence, highest first; ties by name; every ancestor of a label
is itself a label with at least its confidence (70 of 70); parents in alphabetical order; one category each.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.taxonomy import LabelEntry, taxonomy
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MODEL_VERSION = "3.0"
DEFAULT_MIN_CONFIDENCE = 55.0
MOST_LABELS = 1000

Label = dict[str, Any]


class MaxLabelsRule(Enum):
    """How MaxLabels chooses.

    MEASURED: labels that are nobody's parent come first, ancestors fill what is left. Both captures with a
    known MaxLabels show it (MaxLabels=3: Bonfire, Anime, Person, while Fire and Flame, tied with Bonfire,
    are gone). DOCUMENTED: the developer guide's plain "labels with the highest confidence".
    """

    MEASURED = "measured"
    DOCUMENTED = "documented"


def wire_label(entry: LabelEntry, confidence: float, instances: list[dict[str, Any]]) -> Label:
    """A label as the service writes it."""
    return {
        "Name": entry.name,
        "Confidence": float32(confidence),
        "Instances": instances,
        "Parents": [{"Name": name} for name in entry.parents],
        "Aliases": [{"Name": name} for name in entry.aliases],
        "Categories": [{"Name": entry.category}] if entry.category else [],
    }


def complete(labels: Iterable[Label]) -> list[Label]:
    """Add every ancestor that is missing, lift ancestors to their highest descendant, and sort."""
    by_name = {label["Name"]: dict(label) for label in labels}
    waiting = list(by_name.values())
    while waiting:
        label = waiting.pop()
        for parent in label["Parents"]:
            name = parent["Name"]
            ancestor = by_name.get(name)
            if ancestor is None:
                entry = taxonomy().labels.get(name, LabelEntry(name=name))
                by_name[name] = wire_label(entry, label["Confidence"], [])
                waiting.append(by_name[name])
            elif ancestor["Confidence"] < label["Confidence"]:
                ancestor["Confidence"] = label["Confidence"]
                waiting.append(ancestor)
    return sorted(by_name.values(), key=_order)


def _order(label: Label) -> tuple[float, str]:
    return (-label["Confidence"], label["Name"])


def narrow(
    found: list[Label], request: Mapping[str, Any], rule: MaxLabelsRule = MaxLabelsRule.MEASURED
) -> list[Label]:
    """The labels that a request asks for, in the order in which they were found.

    MinConfidence (inclusive, default 55), then Settings.GeneralLabels, then MaxLabels (0 gives none).
    """
    minimum = float32(request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE))
    kept = [label for label in found if label["Confidence"] >= minimum]
    settings = request.get("Settings", {}).get("GeneralLabels")
    if settings:
        kept = _filtered(kept, settings)
    most = min(request.get("MaxLabels", MOST_LABELS), MOST_LABELS)
    return kept if len(kept) <= most else _largest(kept, most, rule)


def _filtered(labels: list[Label], settings: Mapping[str, list[str]]) -> list[Label]:
    """Kept where the name or the category is included (if anything is), and neither is excluded.

    Exact names only; an unknown name is no error. The guide does not say what becomes of an included label's
    ancestors: here they go, because only what is named is included.
    """
    names_in = set(settings.get("LabelInclusionFilters", ()))
    names_out = set(settings.get("LabelExclusionFilters", ()))
    categories_in = set(settings.get("LabelCategoryInclusionFilters", ()))
    categories_out = set(settings.get("LabelCategoryExclusionFilters", ()))
    kept = []
    for label in labels:
        categories = {category["Name"] for category in label.get("Categories", ())}
        included = label["Name"] in names_in or not categories_in.isdisjoint(categories)
        excluded = label["Name"] in names_out or not categories_out.isdisjoint(categories)
        if (included or not (names_in or categories_in)) and not excluded:
            kept.append(label)
    return kept


def _largest(labels: list[Label], most: int, rule: MaxLabelsRule) -> list[Label]:
    ranked = sorted(labels, key=_order)
    if rule is MaxLabelsRule.MEASURED:
        ancestors = {parent["Name"] for label in labels for parent in label.get("Parents", ())}
        ranked.sort(key=lambda label: label["Name"] in ancestors)
    chosen = {label["Name"] for label in ranked[:most]}
    return [label for label in labels if label["Name"] in chosen]
