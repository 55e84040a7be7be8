"""Records as the API shows them: a short form for lists, and the whole record for one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.api_addresses import SHOWN_TYPES
from pipeline.api_ids import id_of
from pipeline.api_models import Failure, NamedConfidence, Picture, PictureDetail
from pipeline.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.api_addresses import Addresses
    from pipeline.catalogue import Catalogue, Entry
    from pipeline.records import Record

_SHOWN_LABELS = 8
_SHOWN_NAMES = 5


class Pictures:
    """Makes what the API shows of records.

    Args:
        catalogue: where they are read.
        addresses: signs where their pictures can be seen.
    """

    def __init__(self, catalogue: Catalogue, addresses: Addresses) -> None:
        self._catalogue = catalogue
        self._addresses = addresses

    def of_entries(self, entries: Sequence[Entry]) -> list[Picture]:
        """The images of a page, in its order; what was deleted meanwhile is left out."""
        records = {each["ImageID"]: each for each in self.records([entry.image_id for entry in entries])}
        return [
            self.picture(records[entry.image_id], entry) for entry in entries if entry.image_id in records
        ]

    def records(self, keys: Sequence[str]) -> list[Record]:
        """The records of some object keys; those that have none are left out."""
        return self._catalogue.records(keys) if keys else []

    def picture(self, record: Record, entry: Entry | None = None) -> Picture:
        """The short form, with what a search found."""
        found = entry is not None and entry.name is not None and entry.confidence is not None
        match = NamedConfidence(name=entry.name, confidence=entry.confidence) if entry and found else None  # type: ignore[arg-type]
        return Picture.model_construct(**self._short(record), match=match)

    def detail(self, record: Record) -> PictureDetail:
        """One image with its whole record."""
        return PictureDetail.model_construct(
            **self._short(record), match=None, picture=self._shown(record), record=record
        )

    def _short(self, record: Record) -> dict[str, Any]:
        labels = sorted(record.get("Labels", ()), key=lambda label: -label["Confidence"])
        failed = "ErrorCode" in record
        return {
            "id": id_of(record["ImageID"]),
            "key": record["ImageID"],
            "file_name": record.get("FileName", record["ImageID"].rsplit("/", 1)[-1]),
            "status": Status(record["Status"]),
            "uploaded_at": record.get("UploadedAt", ""),
            "tagged_at": record.get("TaggedAt"),
            "etag": record.get("ETag"),
            "width": record.get("Width"),
            "height": record.get("Height"),
            "size_bytes": record.get("Bytes"),
            "source": record.get("Source"),
            "labels": [
                NamedConfidence.model_construct(name=label["Name"], confidence=label["Confidence"])
                for label in labels[:_SHOWN_LABELS]
            ],
            "label_count": len(record.get("LabelNames", labels)),
            "face_count": len(record.get("Faces", ())),
            "celebrities": [each["Name"] for each in record.get("Celebrities", ())][:_SHOWN_NAMES],
            "moderation": [each["Name"] for each in record.get("Moderation", ())][:_SHOWN_NAMES],
            "failure": Failure(code=record["ErrorCode"], message=record.get("ErrorMessage", ""))
            if failed
            else None,
            "thumbnail": self._thumbnail(record),
        }

    def _thumbnail(self, record: Record) -> str | None:
        preview = record.get("PreviewKey")
        if preview:
            return self._addresses.picture(preview, content_type="image/jpeg", file_name=record["FileName"])
        return self._original(record)

    def _shown(self, record: Record) -> str | None:
        """The original where a browser shows it, else the preview."""
        return self._original(record) or self._thumbnail(record)

    def _original(self, record: Record) -> str | None:
        content_type = record.get("ContentType", "")
        if content_type not in SHOWN_TYPES:
            return None
        return self._addresses.picture(
            record["ImageID"], content_type=content_type, file_name=record.get("FileName", "picture")
        )
