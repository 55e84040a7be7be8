"""Two routes of an older system, for pages of any origin: its own page works against this stack unchanged.

    GET /PresignedURL?filename=cat.jpg     {"presigned_url": …} where a PUT stores exactly uploads/cat.jpg
    GET /GetImageLabels?filename=cat.jpg   {"filename": "cat.jpg", "labels": ["Cat", …]}

They are answered only where the parameter CompatibleRoutes says so and nobody signs in: whoever finds them may
upload, and overwrite what has the same name.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from pipeline.api_uploads import media_type, safe_path

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver

    from pipeline.api_addresses import Addresses
    from pipeline.api_pictures import Pictures

PREFIX = "uploads/"
FileName = Annotated[str, Query(min_length=1, max_length=512, pattern=r"^[^/\\]+$")]


def add_compatible_routes(app: APIGatewayRestResolver, addresses: Addresses, pictures: Pictures) -> None:
    """Add both routes."""

    @app.get("/PresignedURL", summary="Where a PUT stores a file under its own name")
    def presigned_url(filename: FileName) -> Response[str]:
        if media_type(filename, "") is None or safe_path(filename) != filename:
            return _open(
                HTTPStatus.BAD_REQUEST, {"message": f"{filename} is no picture that can be uploaded."}
            )
        return _open(HTTPStatus.OK, {"presigned_url": addresses.put(PREFIX + filename)})

    @app.get("/GetImageLabels", summary="The names of an image's labels")
    def image_labels(filename: FileName) -> Response[str]:
        records = pictures.records([PREFIX + filename])
        if not records:
            return _open(HTTPStatus.NOT_FOUND, {"message": f"{filename} has no labels yet."})
        return _open(HTTPStatus.OK, {"filename": filename, "labels": records[0].get("LabelNames", [])})


def _open(status: HTTPStatus, content: dict[str, Any]) -> Response[str]:
    headers: dict[str, str | list[str]] = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
    return Response(status, content_type="application/json", body=json.dumps(content), headers=headers)
