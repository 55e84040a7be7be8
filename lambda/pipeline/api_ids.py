"""Ids of images in the API: the object key in base64, so that any key is one segment of a path."""

from __future__ import annotations

import base64
import binascii

from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from pipeline.settings import WRITTEN_PREFIXES

_MAX_KEY_BYTES = 1024


def id_of(key: str) -> str:
    """The id of an object key."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(image_id: str) -> str:
    """The object key of an id.

    Raises:
        NotFoundError: it is no id that `id_of` makes, or one of what the functions write themselves.
    """
    try:
        raw = base64.b64decode(image_id + "=" * (-len(image_id) % 4), altchars=b"-_", validate=True)
        key = raw.decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise NotFoundError("There is no such image.") from None
    if not key or len(raw) > _MAX_KEY_BYTES or key.startswith(WRITTEN_PREFIXES) or id_of(key) != image_id:
        raise NotFoundError("There is no such image.")
    return key
