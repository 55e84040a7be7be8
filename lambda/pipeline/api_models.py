"""What the API takes and gives, in its own words (camelCase); OpenAPI is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pipeline.catalogue import Kind  # noqa: TC001 (pydantic reads it at run time)
from pipeline.records import Status  # noqa: TC001

Text = Annotated[str, Field(min_length=1, max_length=1024)]
ImageId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{2,1400}$")]


class Model(BaseModel):
    """The base: names are camelCase outside; what is not known is refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class WantedFile(Model):
    """A file that a browser wants to upload."""

    name: Text = Field(description="Its name, or its path within a folder")
    type: str = Field(max_length=100, description="Its media type, as the browser says")
    size_bytes: int = Field(ge=0)


class WantedUploads(Model):
    """Files to upload at once."""

    files: Annotated[list[WantedFile], Field(min_length=1, max_length=100)]


class Upload(Model):
    """Where one file goes: POST `fields` and then the file, as `file`, to `url`; or why it is not taken."""

    name: str
    id: str | None = None
    key: str | None = None
    url: str | None = None
    fields: dict[str, str] | None = None
    refusal: str | None = Field(default=None, description="Why this file is not taken; the others are")


class Uploads(Model):
    """In the order asked for; the forms hold for five minutes."""

    uploads: list[Upload]
    expires_in_seconds: int


class NamedConfidence(Model):
    """Something seen, with its confidence in percent."""

    name: str
    confidence: float


class Failure(Model):
    """Why an image was not analysed."""

    code: str
    message: str


class Picture(Model):
    """An image in a list."""

    id: str
    key: str
    file_name: str
    status: Status
    uploaded_at: str
    tagged_at: str | None = None
    etag: str | None = None
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None
    source: str | None = Field(default=None, description="aws, recorded, authored or synthetic")
    labels: list[NamedConfidence] = Field(description="The most certain ones")
    label_count: int
    face_count: int
    celebrities: list[str]
    moderation: list[str]
    failure: Failure | None = None
    thumbnail: str | None = Field(default=None, description="Presigned address, for a quarter of an hour")
    match: NamedConfidence | None = Field(default=None, description="In a search: what was found")


class Pictures(Model):
    """A page of a list or search, newest upload first."""

    images: list[Picture]
    cursor: str | None = Field(default=None, description="For the next page; null at the end")


class WantedPictures(Model):
    """Ids of images."""

    ids: Annotated[list[ImageId], Field(min_length=1, max_length=100)]


class PictureDetail(Picture):
    """An image with its whole record, as the table holds it."""

    picture: str | None = Field(
        default=None, description="Presigned address of something that a browser can show"
    )
    record: dict[str, Any]


class Suggestion(Model):
    """A name to search for."""

    kind: Kind
    name: str
    count: int


class Suggestions(Model):
    """The most frequent first."""

    suggestions: list[Suggestion]


class Count(Model):
    """How many images."""

    name: str
    images: int


class Counts(Model):
    """Numbers for charts; the most frequent names of each kind."""

    images: int
    labels: list[Count]
    categories: list[Count]
    celebrities: list[Count]
    moderation: list[Count]
    days: list[Count] = Field(description="By day of the upload (UTC), in their order")
    statuses: list[Count]
    bands: list[Count] = Field(description="Labels by the least confidence of their band, in percent")


class Alert(Model):
    """Something was found that somebody wanted to know of."""

    id: str | None = Field(default=None, description="Of the image")
    key: str | None = None
    file_name: str | None = None
    record: dict[str, Any] = Field(description="The alert as it is stored")


class Alerts(Model):
    """A page of alerts, newest first."""

    alerts: list[Alert]
    cursor: str | None = None


class Accepted(Model):
    """What was asked for will be done in a moment."""

    id: str
    accepted: Literal[True] = True


class Health(Model):
    """The API answers."""

    status: Literal["ok"] = "ok"
