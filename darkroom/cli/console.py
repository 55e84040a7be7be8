"""How the command line looks: one console for people on stderr, data on stdout."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

stdout = Console(highlight=False, soft_wrap=False)
stderr = Console(stderr=True, highlight=False)

_STATUS_STYLE = {"TAGGED": "green", "PARTIAL": "yellow", "FAILED": "red", "DELETED": "dim"}
_BAR = 24


def own_command() -> str:
    """How to call this tool from where the user stands."""
    return "darkroom" if shutil.which("darkroom") else ".venv/bin/darkroom"


def print_json(value: Any) -> None:
    """Data for programs: the same on a terminal and in a pipe."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_records(records: Sequence[dict[str, Any]]) -> None:
    """One row an image."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    table.add_column("image", overflow="fold", min_width=16)
    table.add_column("labels", overflow="fold")
    table.add_column("source", style="dim", no_wrap=True)
    table.add_column("tagged", style="dim", no_wrap=True)
    for record in records:
        table.add_row(
            Text(printable(record["ImageID"].removeprefix("uploads/"))),
            _labels(record),
            Text(record.get("Source") or ""),
            Text(when(record.get("TaggedAt") or "")),
        )
    stdout.print(table)


def when(timestamp: str) -> str:
    """A moment in local time, without the date when it is today's."""
    if not timestamp:
        return ""
    moment = datetime.fromisoformat(timestamp).astimezone()
    today = moment.date() == datetime.now().astimezone().date()
    return f"{moment:%H:%M:%S}" if today else f"{moment:%Y-%m-%d %H:%M}"


def _labels(record: dict[str, Any]) -> Text:
    if record["Status"] == "FAILED":
        return Text(f"FAILED {record.get('ErrorCode')}: {record.get('ErrorMessage')}", style="red")
    labels = record.get("Labels") or []
    shown = ", ".join(f"{label['Name']} {label['Confidence']:.0f}" for label in labels[:6])
    more = f" +{len(labels) - 6}" if len(labels) > 6 else ""
    return Text(shown or "no label reaches the threshold", style="" if shown else "dim") + Text(
        more, style="dim"
    )


def print_record(record: dict[str, Any]) -> None:
    """One image with all of it."""
    status = record["Status"]
    stdout.print(
        Text(printable(record["ImageID"]), style="bold"),
        Text(status, style=_STATUS_STYLE.get(status, "")),
        sep="  ",
    )
    facts = [
        f"{record['Width']} × {record['Height']}" if record.get("Width") else "",
        f"{record['Bytes']:,} bytes" if record.get("Bytes") is not None else "",
        record.get("ContentType") or "",
        f"tagged {record['TaggedAt']}" if record.get("TaggedAt") else "",
        f"in {record['DurationMs']} ms" if record.get("DurationMs") is not None else "",
        f"source {record['Source']}" if record.get("Source") else "",
    ]
    stdout.print(Text("  ".join(fact for fact in facts if fact), style="dim"))
    if record.get("ErrorCode"):
        stdout.print(Text(f"{record['ErrorCode']}: {record.get('ErrorMessage')}", style="red"))
    for label in record.get("Labels") or []:
        stdout.print(_label_line(label))


def _label_line(label: dict[str, Any]) -> Text:
    confidence = float(label["Confidence"])
    filled = round(confidence / 100 * _BAR)
    parents = ", ".join(_names(label.get("Parents")))
    categories = ", ".join(_names(label.get("Categories")))
    count = len(label.get("Instances") or [])
    notes = " · ".join(note for note in (parents, categories, f"{count} found" if count else "") if note)
    return Text.assemble(
        f"{label['Name']:<24.24} ",
        ("█" * filled, "cyan"),
        ("░" * (_BAR - filled), "dim"),
        f" {confidence:6.2f}  ",
        (notes, "dim"),
    )


def _names(items: Any) -> list[str]:
    return [item["Name"] if isinstance(item, dict) else str(item) for item in items or []]


def printable(text: str) -> str:
    """A key as a terminal may show it: control characters (also escape sequences) become visible."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def is_terminal() -> bool:
    return sys.stderr.isatty()


def short_path(path: Path) -> str:
    """A path relative to where the user stands, where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def outcome_line(outcome: dict[str, Any]) -> str:
    """One image, or one reload of code, as `tail` shows it."""
    if "image" not in outcome:
        what = outcome["message"] or ", ".join(outcome["functions"]) or "no function uses the change"
        return f"{when(outcome['time']):<10}{outcome['outcome']}  {printable(what)}"
    parts = [str(outcome["time"])[11:19], f"{outcome['outcome']:<9}", printable(outcome["image"])]
    if "labels" in outcome:
        parts.append(f"{outcome['labels']} labels")
    if "error_code" in outcome:
        parts.append(": ".join(filter(None, (outcome["error_code"], outcome.get("error_message")))))
    if "duration_ms" in outcome:
        parts.append(_times(outcome))
    if "source" in outcome:
        parts.append(f"({outcome['source']})")
    return "  ".join(parts)


def _times(outcome: dict[str, Any]) -> str:
    """How long an image took, and what of it: its way to the function, Rekognition."""
    parts = [
        f"waited {outcome['delay_ms']:.0f} ms" if "delay_ms" in outcome else "",
        f"Rekognition {outcome['rekognition_ms']:.0f} ms" if "rekognition_ms" in outcome else "",
        f"{outcome['rekognition_throttles']} × throttled" if outcome.get("rekognition_throttles") else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f"{outcome['duration_ms']:.0f} ms" + (f" ({said})" if said else "")
