"""The routes under /api. Ids are opaque, lists go on by a cursor, errors are problem documents."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from pipeline.api_ids import id_of, key_of
from pipeline.api_models import (
    Accepted,
    Alert,
    Alerts,
    Count,
    Counts,
    Health,
    PictureDetail,
    Pictures,
    Suggestion,
    Suggestions,
    Uploads,
    WantedPictures,
    WantedUploads,
)
from pipeline.catalogue import Kind
from pipeline.records import Status  # noqa: TC001 (the resolver reads it at run time)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.event_handler import APIGatewayRestResolver

    from pipeline.api_actions import Actions
    from pipeline.api_pictures import Pictures as PictureMaker
    from pipeline.api_uploads import UploadForms
    from pipeline.catalogue import Catalogue
    from pipeline.records import Record

_COUNTED = 30
"""So many names of each kind are told: what a chart can show."""
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most")]
Cursor = Annotated[str | None, Query(max_length=2000, description="Of the page before")]
Percent = Annotated[float, Query(ge=0, le=100, alias="minConfidence", description="In percent")]
Name = Annotated[str, Query(min_length=1, max_length=256, description="The whole name, in any case")]
Beginning = Annotated[str, Query(max_length=256, alias="q", description="How the name begins")]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{2,1400}$")]


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes use."""

    catalogue: Catalogue
    pictures: PictureMaker
    uploads: UploadForms
    actions: Actions


def add_routes(app: APIGatewayRestResolver, services: Services) -> None:
    """Add all routes of the API."""
    _add_lists(app, services)
    _add_images(app, services)
    _add_numbers(app, services)

    @app.get("/api/health", summary="Whether the API answers")
    def health() -> Health:
        return Health()


def _add_lists(app: APIGatewayRestResolver, services: Services) -> None:
    @app.get("/api/images", summary="The images, newest upload first")
    def images(
        limit: Limit = 40, cursor: Cursor = None, status: Annotated[Status | None, Query()] = None
    ) -> Pictures:
        page = services.catalogue.newest(limit=limit, cursor=cursor, status=status)
        return Pictures.model_construct(images=services.pictures.of_entries(page.entries), cursor=page.cursor)

    @app.get("/api/search", summary="The images that show something, newest upload first")
    def search(
        name: Name,
        kind: Annotated[Kind, Query()] = Kind.LABEL,
        min_confidence: Percent = 0.0,
        limit: Limit = 40,
        cursor: Cursor = None,
    ) -> Pictures:
        page = services.catalogue.search(
            kind, name, min_confidence=min_confidence, limit=limit, cursor=cursor
        )
        return Pictures.model_construct(images=services.pictures.of_entries(page.entries), cursor=page.cursor)

    @app.get("/api/suggestions", summary="Names to search for that begin so, the most frequent first")
    def suggestions(q: Beginning = "", limit: Annotated[int, Query(ge=1, le=50)] = 10) -> Suggestions:
        found = services.catalogue.suggestions(q, limit=limit)
        return Suggestions(
            suggestions=[Suggestion(kind=it.kind, name=it.name, count=it.count) for it in found]
        )

    @app.get("/api/alerts", summary="The alerts, newest first")
    def alerts(limit: Limit = 40, cursor: Cursor = None) -> Alerts:
        page = services.catalogue.alerts(limit=limit, cursor=cursor)
        return Alerts(alerts=[_alert(record) for record in page.alerts], cursor=page.cursor)


def _add_images(app: APIGatewayRestResolver, services: Services) -> None:
    @app.post("/api/uploads", summary="Upload forms for some files")
    def uploads(wanted: WantedUploads) -> Uploads:
        return services.uploads.make(wanted)

    @app.post("/api/images/lookup", summary="Some images by their ids; those without a record are left out")
    def lookup(wanted: WantedPictures) -> Pictures:
        records = services.pictures.records([key_of(each) for each in wanted.ids])
        return Pictures.model_construct(
            images=[services.pictures.picture(record) for record in records], cursor=None
        )

    @app.get("/api/images/<image_id>", summary="One image with its whole record")
    def image(image_id: Id) -> PictureDetail:
        records = services.pictures.records([key_of(image_id)])
        if not records:
            raise NotFoundError("There is no such image, or it is not analysed yet.")
        return services.pictures.detail(records[0])

    @app.post("/api/images/<image_id>/retag", summary="Have an image analysed again")
    def retag(image_id: Id) -> Response[Accepted]:
        services.actions.analyse_again(key_of(image_id))
        return Response(HTTPStatus.ACCEPTED, content_type="application/json", body=Accepted(id=image_id))

    @app.delete("/api/images/<image_id>", summary="Delete an image with its record")
    def delete(image_id: Id) -> Response[Accepted]:
        services.actions.delete(key_of(image_id))
        return Response(HTTPStatus.ACCEPTED, content_type="application/json", body=Accepted(id=image_id))


def _add_numbers(app: APIGatewayRestResolver, services: Services) -> None:
    @app.get("/api/counts", summary="Numbers for charts")
    def counts() -> Counts:
        found = services.catalogue.counts()
        return Counts(
            images=found.images,
            labels=_most(found.labels),
            categories=_most(found.categories),
            celebrities=_most(found.celebrities),
            moderation=_most(found.moderation),
            days=[Count(name=day, images=images) for day, images in sorted(found.days.items())],
            statuses=_most(found.statuses),
            bands=[Count(name=band, images=images) for band, images in sorted(found.bands.items())],
        )


def _alert(record: Record) -> Alert:
    key = record.get("ImageID")
    if key is None:
        return Alert(record=record)
    return Alert(id=id_of(key), key=key, file_name=key.rsplit("/", 1)[-1], record=record)


def _most(counted: Mapping[str, int]) -> list[Count]:
    """The most frequent ones."""
    ordered = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    return [Count(name=name, images=images) for name, images in ordered[:_COUNTED]]
