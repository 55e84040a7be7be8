"""Errors as problem documents (RFC 9457): a title for a person, a status, and what exactly was wrong."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.catalogue import CursorError

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver
    from aws_lambda_powertools.logging import Logger

MEDIA_TYPE = "application/problem+json"


def problem(status: int, title: str, *, details: list[dict[str, Any]] | None = None) -> Response[str]:
    """One error.

    Args:
        status: HTTP status.
        title: a sentence for a person.
        details: what was wrong with which field.
    """
    content: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if details:
        content["errors"] = details
    return Response(status_code=status, content_type=MEDIA_TYPE, body=json.dumps(content))


def add_handlers(app: APIGatewayRestResolver, logger: Logger) -> None:
    """Have every error answered as a problem document."""

    @app.not_found
    def not_found(error: Exception) -> Response[str]:
        said = str(error.msg) if isinstance(error, ServiceError) else ""
        nothing = f"There is nothing at {app.current_event.path}."
        return problem(HTTPStatus.NOT_FOUND, nothing if said in {"", "Not found"} else said)

    def invalid(error: RequestValidationError) -> Response[str]:
        details = [
            {"field": ".".join(str(part) for part in each["loc"]), "message": each["msg"]}
            for each in error.errors()
        ]
        said = "; ".join(f"{each['field']}: {each['message']}" for each in details[:3])
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"The request is not valid. {said}", details=details)

    def bad_cursor(error: CursorError) -> Response[str]:
        return problem(HTTPStatus.BAD_REQUEST, f"The cursor cannot be used: {error}. Begin without one.")

    def refused(error: ServiceError) -> Response[str]:
        return problem(error.status_code, str(error.msg))

    def unavailable(error: Exception) -> Response[str]:
        logger.exception("a service of AWS did not answer")
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE, f"A service behind this one does not answer now ({_code(error)})."
        )

    def failed(_: Exception) -> Response[str]:
        logger.exception("not answered")
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a bug of ours; the log has the details.")

    app.exception_handler(RequestValidationError)(invalid)
    app.exception_handler(CursorError)(bad_cursor)
    app.exception_handler(ServiceError)(refused)
    app.exception_handler([ClientError, BotoCoreError, TimeoutError])(unavailable)
    app.exception_handler(Exception)(failed)


def _code(error: Exception) -> str:
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"]
    return type(error).__name__
