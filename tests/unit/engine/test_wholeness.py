"""Objects that are shorter on disk than they should be are put aside; everything else stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from darkroom.engine.wholeness import put_aside

if TYPE_CHECKING:
    from pathlib import Path


def keep(folder: Path, name: str, content: bytes, description: object) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.with_name(path.name + ".meta.json").write_text(
        description if isinstance(description, str) else json.dumps(description)
    )


def test_a_file_that_was_cut_short_is_put_aside_with_its_description(tmp_path: Path) -> None:
    objects, aside = tmp_path / "objects", tmp_path / "aside"
    keep(objects, "0/b/uploads/whole.jpg", b"12345", {"size": 5, "etag": '"x"'})
    keep(objects, "0/b/uploads/empty.jpg", b"", {"size": 0})
    keep(objects, "0/b/uploads/cut.jpg", b"12", {"size": 5})
    keep(objects, "0/b/uploads/deep/er/gone.jpg", b"", {"size": 300_000})
    assert put_aside(objects, aside) == ["0/b/uploads/cut.jpg", "0/b/uploads/deep/er/gone.jpg"]
    left = {path.name for path in objects.rglob("*") if path.is_file()}
    assert left == {"whole.jpg", "whole.jpg.meta.json", "empty.jpg", "empty.jpg.meta.json"}
    assert (aside / "0/b/uploads/cut.jpg").read_bytes() == b"12"
    assert (aside / "0/b/uploads/cut.jpg.meta.json").exists()
    assert put_aside(objects, aside) == []


def test_what_tells_no_size_is_left_to_the_engine(tmp_path: Path) -> None:
    keep(tmp_path, "marker.jpg", b"old", {"is_delete_marker": True, "size": 0})
    keep(tmp_path, "half.jpg", b"abc", '{"size": 4')
    keep(tmp_path, "list.jpg", b"abc", [])
    (tmp_path / "lone.jpg").write_bytes(b"abc")
    (tmp_path / "photo.meta.json").write_bytes(b"{}")
    assert put_aside(tmp_path, tmp_path / "aside") == []


def test_no_objects_yet_is_nothing_to_do(tmp_path: Path) -> None:
    assert put_aside(tmp_path / "objects", tmp_path / "aside") == []
