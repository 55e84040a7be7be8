"""The `labels` section of a fixture: ``{Cat: 71.2}``, or with more to say
``{Cat: {confidence: 71.2, boxes: [[0.1, 0.2, 0.5, 0.6]], parents: [...], aliases: [...], category: ...}}``.

Everything that is not written comes from the taxonomy. A box is ``[left, top, width, height]`` or
``{box: [...], confidence: 93.9}``: an instance's confidence may differ from its label's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.rekognition.labels import Label, complete, wire_label
from darkroom.rekognition.taxonomy import LabelEntry, taxonomy
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from darkroom.rekognition.reading import Reader

_MEMBERS = ("confidence", "boxes", "parents", "aliases", "category")


def read_labels(reader: Reader, value: object) -> list[Label]:
    """The section as completed wire labels."""
    written: dict[str, Label] = {}
    for name, inner in reader.mapping(value, "labels").items():
        where = f"labels.{name}"
        details = inner if isinstance(inner, dict) else {"confidence": inner}
        label = _read_label(reader, name, reader.mapping(details, where, known=_MEMBERS), where)
        if label["Name"] in written:
            reader.problem(where, f"{label['Name']!r} is already there under another name")
        written[label["Name"]] = label
    for label in written.values():
        _remark_on_ancestors(reader, label, written)
    return complete(written.values())


def _read_label(reader: Reader, name: str, details: dict[str, Any], where: str) -> Label:
    confidence = reader.percent(reader.member(details, "confidence", where), f"{where}.confidence")
    entry = _entry(reader, name, details, where)
    instances = []
    if "boxes" in details:
        for place, item in reader.entries(details["boxes"], f"{where}.boxes"):
            instances.append(_instance(reader, item, confidence, place))
    instances.sort(key=lambda instance: -float(instance["Confidence"]))
    return wire_label(entry, confidence, instances)


def _entry(reader: Reader, name: str, details: dict[str, Any], where: str) -> LabelEntry:
    known = taxonomy()
    canonical = known.canonical(name)
    base = known.labels[canonical] if canonical else LabelEntry(name=name)
    if canonical and canonical != name:
        reader.remark(where, f"the service calls this label {canonical!r}; it is answered so")
    if not canonical and not {"parents", "category"} <= details.keys():
        similar = known.similar(name)
        hint = f" (similar: {', '.join(similar)})" if similar else ""
        reader.remark(where, f"not in the taxonomy{hint}: give `parents` and `category`")
    parents = base.parents
    if "parents" in details:
        parents = tuple(sorted(reader.texts(details["parents"], f"{where}.parents")))
    aliases = base.aliases
    if "aliases" in details:
        aliases = tuple(reader.texts(details["aliases"], f"{where}.aliases"))
    category = base.category
    if "category" in details:
        category = reader.text(details["category"], f"{where}.category")
    return LabelEntry(name=base.name, parents=parents, aliases=aliases, category=category)


def _instance(reader: Reader, item: object, confidence: float, where: str) -> dict[str, Any]:
    own = confidence
    if isinstance(item, dict):
        details = reader.mapping(item, where, known=("box", "confidence"))
        own = reader.percent(details.get("confidence", confidence), f"{where}.confidence")
        item = reader.member(details, "box", where)
    box = {side: float32(share) for side, share in reader.box(item, where).items()}
    return {"BoundingBox": box, "Confidence": float32(own)}


def _remark_on_ancestors(reader: Reader, label: Label, written: dict[str, Label]) -> None:
    for parent in label["Parents"]:
        ancestor = written.get(parent["Name"])
        if ancestor and ancestor["Confidence"] < label["Confidence"]:
            reader.remark(
                f"labels.{ancestor['Name']}",
                f"is below its descendant {label['Name']!r}; it is answered with {label['Confidence']:.4g}",
            )
