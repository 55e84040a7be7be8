"""The Lambda function `api`: the page's files and the API that it uses, behind API Gateway (REST).

Loaded once per worker: settings are checked, clients made and the page's files read here, in Lambda's init phase.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.logging import Logger
from botocore.config import Config

from pipeline.api_actions import Actions
from pipeline.api_addresses import Addresses, presigning_client
from pipeline.api_compatible import add_compatible_routes
from pipeline.api_page import Page, add_page
from pipeline.api_pictures import Pictures
from pipeline.api_problems import add_handlers, problem
from pipeline.api_routes import Services, add_routes
from pipeline.api_settings import ApiSettings
from pipeline.api_uploads import TYPES, UploadForms
from pipeline.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

MAX_ANSWER_BYTES = 6 * 1024 * 1024 - 64 * 1024
"""Lambda refuses more than 6 MB, headers and all, with an error that tells a browser nothing.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
PAGE_FOLDER = Path(__file__).resolve().parents[1] / "web"
_STEADY = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=2, read_timeout=10)
_OWN = frozenset(("same-origin", "none"))
_API_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

logger = Logger(serialize_stacktrace=False)


def build_app(
    settings: ApiSettings, services: Services, page: Page, addresses: Addresses
) -> APIGatewayRestResolver:
    """All routes."""
    app = APIGatewayRestResolver(enable_validation=True)
    add_handlers(app, logger)
    add_routes(app, services)
    if settings.compatible_routes:
        add_compatible_routes(app, addresses, services.pictures)

    @app.get("/api/openapi.json", summary="This description of the API")
    def openapi() -> Response[str]:
        return Response(200, content_type="application/json", body=openapi_document(app))

    add_page(app, page)
    return app


def openapi_document(app: APIGatewayRestResolver) -> str:
    """The API's description (OpenAPI 3.1) as JSON."""
    return app.get_openapi_json_schema(
        title="Darkroom",
        version="1.0.0",
        openapi_version="3.1.0",
        description="Upload images, and find what is in them. Errors are problem documents (RFC 9457).",
    )


def _build(environment: Mapping[str, str]) -> tuple[APIGatewayRestResolver, Page]:
    settings = ApiSettings.from_environment(environment)
    session = boto3.Session(region_name=settings.region)
    dynamodb = session.client("dynamodb", config=_STEADY)
    catalogue = Catalogue(
        dynamodb,
        images_table=settings.images_table,
        index_table=settings.index_table,
        statistics_table=settings.statistics_table,
        shards=settings.shards,
    )
    addresses = Addresses(presigning_client(session, endpoint=settings.storage_url), settings.bucket)
    actions = Actions(
        dynamodb=dynamodb,
        s3=session.client("s3", config=_STEADY),
        lambda_client=session.client("lambda", config=_STEADY),
        table=settings.images_table,
        bucket=settings.bucket,
        tagger=settings.tagger_alias,
    )
    services = Services(
        catalogue,
        Pictures(catalogue, addresses),
        UploadForms(addresses, prefix=settings.upload_prefix, max_bytes=settings.max_upload_bytes),
        actions,
    )
    page = Page(
        PAGE_FOLDER,
        config=page_config(settings),
        storage_origin=addresses.origin,
        sign_in=settings.sign_in,
    )
    return build_app(settings, services, page, addresses), page


def page_config(settings: ApiSettings) -> dict[str, Any]:
    """What the page needs to know of the stack; whoever finds the page may read it."""
    sign_in = settings.sign_in
    return {
        "signIn": {"client": sign_in.client, "url": sign_in.url} if sign_in else None,
        "maxUploadBytes": settings.max_upload_bytes,
        "uploadTypes": {kind: list(endings) for kind, endings in TYPES.items()},
        "minConfidence": settings.min_confidence,
    }


_app, _page = _build(os.environ)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST, proxy integration)."""
    return answer(_app, event, context)


def answer(app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The answer of an application, within Lambda's limit, and refused to pages of other sites."""
    is_api = str(event.get("path", "")).startswith("/api/")
    refused = _cross_site(event) if is_api else None
    result = app.resolve(event, context) if refused is None else _proxied(refused)
    if len(str(result.get("body") or "").encode()) > MAX_ANSWER_BYTES:
        logger.error("the answer is too large", extra={"path": event.get("path")})
        result = _proxied(problem(413, "The answer is larger than Lambda may give. Ask for fewer at once."))
    if is_api:
        headers = result.setdefault("multiValueHeaders", {})
        headers.update({name: [value] for name, value in _API_HEADERS.items()})
    return result


def _cross_site(event: Mapping[str, Any]) -> Response[str] | None:
    """Refuse what a browser marks as another site's: without a sign-in, nothing else would tell it from the page."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    if headers.get("sec-fetch-site", "none") in _OWN:
        return None
    return problem(403, "Pages of other sites may not use this API.")


def _proxied(response: Response[str]) -> dict[str, Any]:
    return {
        "statusCode": int(response.status_code),
        "body": response.body,
        "isBase64Encoded": False,
        "multiValueHeaders": {"Content-Type": [response.content_type or ""]},
    }
