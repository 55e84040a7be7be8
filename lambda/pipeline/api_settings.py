"""The environment variables of the api function, read once at start and checked together.

| variable           | meaning                                                             | default |
|--------------------|---------------------------------------------------------------------|---------|
| `AWS_REGION`       | set by Lambda                                                       | none    |
| `BUCKET_NAME`      | bucket of the images                                                | none    |
| `TABLE_NAME`       | table of the image records                                          | none    |
| `INDEX_TABLE_NAME` | table of the postings                                               | none    |
| `STATISTICS_TABLE_NAME` | table of the counters                                          | none    |
| `INDEX_SHARDS`     | over how many shards postings are spread                            | none    |
| `TRIGGER_PREFIX`   | where uploads go; empty: `uploads/`                                 | empty   |
| `TAGGER_ALIAS`     | ARN of the function that analyses images                            | none    |
| `MIN_CONFIDENCE`   | what the tagger records at least (percent)                          | none    |
| `MAX_UPLOAD_BYTES` | largest file that a form may upload                                 | none    |
| `STORAGE_URL` | where a browser finds S3; empty: the region's own                   | empty   |
| `COMPATIBLE_ROUTES`| `on` answers the routes for pages of other origins                  | `off`   |
| `SIGN_IN_CLIENT`   | id of the user pool's client; empty: nobody signs in                | empty   |
| `SIGN_IN_URL`      | where a browser finds the sign-in page                              | empty   |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.errors import ConfigurationError
from pipeline.settings import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where people sign in (Cognito's hosted pages).

    Attributes:
        client: id of the user pool's client.
        url: address of the pages, without a path.
    """

    client: str
    url: str


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The checked settings of the api function."""

    region: str
    bucket: str
    images_table: str
    index_table: str
    statistics_table: str
    shards: int
    tagger_alias: str
    upload_prefix: str
    min_confidence: float
    max_upload_bytes: int
    storage_url: str
    compatible_routes: bool
    sign_in: SignIn | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ApiSettings:
        """Read and check the variables.

        Raises:
            ConfigurationError: naming every variable that is missing or wrong, not only the first.
        """
        reader = Reader(environment)
        client = environment.get("SIGN_IN_CLIENT", "").strip()
        settings = cls(
            region=reader.text("AWS_REGION"),
            bucket=reader.text("BUCKET_NAME"),
            images_table=reader.text("TABLE_NAME"),
            index_table=reader.text("INDEX_TABLE_NAME"),
            statistics_table=reader.text("STATISTICS_TABLE_NAME"),
            shards=int(reader.number("INDEX_SHARDS", low=1, high=64, whole=True)),
            tagger_alias=reader.text("TAGGER_ALIAS"),
            upload_prefix=environment.get("TRIGGER_PREFIX") or "uploads/",
            min_confidence=reader.number("MIN_CONFIDENCE", low=0, high=100),
            max_upload_bytes=int(reader.number("MAX_UPLOAD_BYTES", low=1, high=5 * 2**30, whole=True)),
            storage_url=_address(reader, environment, "STORAGE_URL"),
            compatible_routes=environment.get("COMPATIBLE_ROUTES", "off") == "on" and not client,
            sign_in=SignIn(client, _address(reader, environment, "SIGN_IN_URL")) if client else None,
        )
        if reader.problems:
            raise ConfigurationError("The function is not configured: " + "; ".join(reader.problems) + ".")
        return settings


def _address(reader: Reader, environment: Mapping[str, str], name: str) -> str:
    """An origin such as `https://example.com`; empty where the variable is."""
    value = environment.get(name, "").strip().rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query):
        reader.problems.append(f"{name} must be an address such as https://example.com, not {value!r}")
    return value
