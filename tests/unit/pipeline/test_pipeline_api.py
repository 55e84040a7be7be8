"""The api function as API Gateway calls it, over a catalogue and clients of the test's own."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from openapi_spec_validator import validate

from pipeline.api_actions import Actions
from pipeline.api_addresses import Addresses, presigning_client
from pipeline.api_ids import id_of, key_of
from pipeline.api_page import Page
from pipeline.api_pictures import Pictures
from pipeline.api_routes import Services
from pipeline.api_settings import ApiSettings, SignIn
from pipeline.api_uploads import UploadForms, media_type, safe_path
from pipeline.catalogue import AlertPage, CursorError, Entry
from pipeline.catalogue import Page as CataloguePage
from pipeline.counters import Counts, Suggestion
from pipeline.errors import ConfigurationError
from pipeline.postings import Kind
from pipeline.records import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

WEB = Path(__file__).parents[3] / "web"
BUCKET = "darkroom-000000000000"
VARIABLES = {
    "AWS_REGION": "eu-central-1",
    "BUCKET_NAME": BUCKET,
    "TABLE_NAME": "ImageLabels",
    "INDEX_TABLE_NAME": "LabelIndex",
    "STATISTICS_TABLE_NAME": "Statistics",
    "INDEX_SHARDS": "4",
    "TAGGER_ALIAS": "arn:aws:lambda:eu-central-1:000000000000:function:darkroom-tagger:live",
    "MIN_CONFIDENCE": "75",
    "MAX_UPLOAD_BYTES": "15728640",
}


def record(name: str, **more: Any) -> dict[str, Any]:
    return {
        "ImageID": f"uploads/{name}",
        "FileName": name,
        "Status": "TAGGED",
        "ContentType": "image/jpeg",
        "UploadedAt": "2026-11-25T12:00:00.000Z",
        "Labels": [{"Name": "Cat", "Confidence": 91.5}, {"Name": "Animal", "Confidence": 99.0}],
        "LabelNames": ["Cat", "Animal"],
        "Source": "authored",
        **more,
    }


class KnownImages:
    """A catalogue of some records."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self._records = {each["ImageID"]: each for each in records}
        self.asked: list[Mapping[str, Any]] = []

    def newest(self, **asked: Any) -> CataloguePage:
        self.asked.append(asked)
        if asked["cursor"] == "damaged":
            raise CursorError("it is damaged")
        entries = [Entry(key, it["UploadedAt"], Status(it["Status"])) for key, it in self._records.items()]
        return CataloguePage((*entries, Entry("uploads/gone.jpg", "", Status.TAGGED)), "next", 1.0)

    def search(self, kind: Kind, name: str, **asked: Any) -> CataloguePage:
        self.asked.append({"kind": kind, "name": name, **asked})
        entries = (
            Entry(key, it["UploadedAt"], Status.TAGGED, name, 91.5) for key, it in self._records.items()
        )
        return CataloguePage(tuple(entries), None, 1.0)

    def records(self, keys: list[str]) -> list[dict[str, Any]]:
        return [self._records[key] for key in keys if key in self._records]

    def suggestions(self, prefix: str, *, limit: int) -> list[Suggestion]:
        return [Suggestion(Kind.LABEL, "Cat", 3)][:limit] if prefix == "ca" else []

    def counts(self) -> Counts:
        many = {f"L{number:02}": number for number in range(1, 41)}
        return Counts(many, {}, {}, {}, {"2026-11-25": 2, "2026-11-24": 1}, {"TAGGED": 3}, {"90": 2})

    def alerts(self, *, limit: int, cursor: str | None = None) -> AlertPage:
        return AlertPage(({"ImageID": "uploads/cat.jpg", "Name": "Weapons"},)[:limit], cursor, 1.0)


@dataclass
class Recorded:
    """Clients that note what is asked of them."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuse: bool = False

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            if self.refuse:
                raise ClientError({"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}, name)
            self.calls.append((name, arguments))
            return {}

        return call


@dataclass
class Api:
    """The function with everything that it uses."""

    app: Any
    module: Any
    images: KnownImages
    clients: Recorded
    page: Page

    def __call__(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        address: str = "",
    ) -> Answer:
        path, _, query = target.partition("?")
        pairs = parse_qs(query, keep_blank_values=True)
        event = {
            "httpMethod": method,
            "path": path,
            "resource": "/{proxy+}",
            "headers": dict(headers or {}),
            "multiValueHeaders": {name: [value] for name, value in (headers or {}).items()},
            "queryStringParameters": {name: values[-1] for name, values in pairs.items()} or None,
            "multiValueQueryStringParameters": pairs or None,
            "body": json.dumps(body) if body is not None else None,
            "isBase64Encoded": False,
            "requestContext": {
                "path": address or f"/live{path}",
                "stage": "live",
                "requestId": "r",
                "identity": {},
            },
        }
        result = self.module.answer(self.app, event, object())
        return Answer(result["statusCode"], result["body"], result.get("multiValueHeaders", {}))


@dataclass
class Answer:
    """What API Gateway would pass on."""

    status: int
    body: str
    headers: dict[str, list[str]]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        assert self.headers["Content-Type"] == ["application/problem+json"], self
        assert self.json["status"] == self.status
        return str(self.json["title"])


@pytest.fixture(scope="module")
def module() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            **VARIABLES,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "x",
        }.items():
            patch.setenv(name, value)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        from pipeline import api

        yield api


def addresses(storage_url: str = "", region: str = "eu-central-1") -> Addresses:
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name=region)
    return Addresses(presigning_client(session, endpoint=storage_url), BUCKET)


def build(module: Any, *records: dict[str, Any], **variables: str) -> Api:
    settings = ApiSettings.from_environment({**VARIABLES, **variables})
    images, clients, signer = KnownImages(*records), Recorded(), addresses(settings.storage_url)
    pictures = Pictures(images, signer)  # type: ignore[arg-type]
    recorded: Any = clients
    actions = Actions(
        dynamodb=recorded,
        s3=recorded,
        lambda_client=recorded,
        table=settings.images_table,
        bucket=settings.bucket,
        tagger=settings.tagger_alias,
    )
    forms = UploadForms(signer, prefix=settings.upload_prefix, max_bytes=settings.max_upload_bytes)
    page = Page(
        WEB, config=module.page_config(settings), storage_origin=signer.origin, sign_in=settings.sign_in
    )
    services = Services(images, pictures, forms, actions)  # type: ignore[arg-type]
    return Api(module.build_app(settings, services, page, signer), module, images, clients, page)


@pytest.fixture
def api(module: Any) -> Api:
    return build(
        module,
        record("cat.jpg"),
        record("dog.jpg", PreviewKey="previews/dog.jpg.jpg", ContentType="image/tiff"),
    )


def test_a_list_tells_labels_most_certain_first_and_where_the_picture_can_be_seen(api: Api) -> None:
    listed = api("GET", "/api/images?limit=2").json
    assert [each["fileName"] for each in listed["images"]] == ["cat.jpg", "dog.jpg"]
    assert listed["cursor"] == "next"
    cat, dog = listed["images"]
    assert [each["name"] for each in cat["labels"]] == ["Animal", "Cat"]
    assert urlsplit(cat["thumbnail"]).path == "/uploads/cat.jpg"
    assert urlsplit(dog["thumbnail"]).path == "/previews/dog.jpg.jpg"
    assert key_of(cat["id"]) == "uploads/cat.jpg"


def test_a_search_tells_what_was_found_and_asks_for_the_least_confidence(api: Api) -> None:
    found = api("GET", "/api/search?name=Cat&kind=label&minConfidence=80").json
    assert found["images"][0]["match"] == {"name": "Cat", "confidence": 91.5}
    assert api.images.asked[-1]["min_confidence"] == 80.0


def test_one_image_is_told_with_its_whole_record(api: Api) -> None:
    detail = api("GET", f"/api/images/{id_of('uploads/cat.jpg')}").json
    assert detail["record"]["Labels"][0]["Name"] == "Cat"
    assert api("GET", f"/api/images/{id_of('uploads/none.jpg')}").status == 404


def test_a_lookup_leaves_out_what_has_no_record_yet(api: Api) -> None:
    ids = [id_of("uploads/none.jpg"), id_of("uploads/dog.jpg")]
    assert [each["id"] for each in api("POST", "/api/images/lookup", {"ids": ids}).json["images"]] == ids[1:]


def test_counts_tell_the_most_frequent_names_and_the_days_in_their_order(api: Api) -> None:
    counts = api("GET", "/api/counts").json
    assert counts["labels"][0] == {"name": "L40", "images": 40}
    assert len(counts["labels"]) == 30
    assert [each["name"] for each in counts["days"]] == ["2026-11-24", "2026-11-25"]


def test_suggestions_and_alerts_are_told(api: Api) -> None:
    assert api("GET", "/api/suggestions?q=ca").json["suggestions"] == [
        {"kind": "label", "name": "Cat", "count": 3}
    ]
    (alert,) = api("GET", "/api/alerts").json["alerts"]
    assert alert["id"] == id_of("uploads/cat.jpg")
    assert alert["fileName"] == "cat.jpg"


def test_a_form_allows_one_key_one_type_a_size_and_five_minutes(api: Api) -> None:
    wanted = {
        "files": [{"name": "holiday/<img src=x onerror=alert(1)>.jpg", "type": "image/jpeg", "sizeBytes": 5}]
    }
    (upload,) = api("POST", "/api/uploads", wanted).json["uploads"]
    policy = json.loads(base64.b64decode(upload["fields"]["policy"]))
    assert {"Content-Type": "image/jpeg"} in policy["conditions"]
    assert ["content-length-range", 1, 15728640] in policy["conditions"]
    assert {"key": upload["key"]} in policy["conditions"]
    assert upload["key"].startswith("uploads/")
    assert upload["key"].endswith("/holiday/<img src=x onerror=alert(1)>.jpg")
    assert key_of(upload["id"]) == upload["key"]
    assert upload["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert upload["url"] == f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ({"name": "notes.txt", "type": "text/plain", "sizeBytes": 5}, "no picture"),
        ({"name": "page.svg", "type": "image/svg+xml", "sizeBytes": 5}, "no picture"),
        ({"name": "a.jpg", "type": "image/jpeg", "sizeBytes": 0}, "empty"),
        ({"name": "a.jpg", "type": "image/jpeg", "sizeBytes": 20_000_000}, "15.7 MB"),
    ],
)
def test_a_file_that_cannot_be_uploaded_is_refused_alone_and_says_why(
    api: Api, file: Any, reason: str
) -> None:
    good = {"name": "b.jpg", "type": "image/jpeg", "sizeBytes": 5}
    refused, taken = api("POST", "/api/uploads", {"files": [file, good]}).json["uploads"]
    assert reason in refused["refusal"]
    assert refused["url"] is None
    assert taken["refusal"] is None


def test_analysing_again_marks_the_record_and_invokes_the_tagger(api: Api) -> None:
    assert api("POST", f"/api/images/{id_of('uploads/a b+c.jpg')}/retag").status == 202
    (_, update), (_, invoked) = api.clients.calls
    assert update["Key"] == {"ImageID": {"S": "uploads/a b+c.jpg"}}
    assert invoked["InvocationType"] == "Event"
    event = json.loads(invoked["Payload"])["Records"][0]
    assert event["s3"] == {"bucket": {"name": BUCKET}, "object": {"key": "uploads/a+b%2Bc.jpg"}}


def test_what_has_no_record_cannot_be_analysed_again(api: Api) -> None:
    api.clients.refuse = True
    answer = api("POST", f"/api/images/{id_of('uploads/none.jpg')}/retag")
    assert (answer.status, answer.problem) == (404, "There is no such image.")


def test_deleting_deletes_the_object(api: Api) -> None:
    assert api("DELETE", f"/api/images/{id_of('uploads/cat.jpg')}").status == 202
    assert api.clients.calls == [("delete_object", {"Bucket": BUCKET, "Key": "uploads/cat.jpg"})]


@pytest.mark.parametrize("key", ["metadata/cat.jpg.json", "previews/cat.jpg"])
def test_what_the_functions_write_themselves_is_no_image(api: Api, key: str) -> None:
    assert api("DELETE", f"/api/images/{id_of(key)}").status == 404
    assert api.clients.calls == []


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        (("GET", "/api/images?limit=0"), 422, "limit"),
        (("GET", "/api/images?limit=x"), 422, "limit"),
        (("GET", "/api/images?status=LOST"), 422, "status"),
        (("GET", "/api/images?cursor=damaged"), 400, "cursor"),
        (("GET", "/api/search"), 422, "name"),
        (("GET", "/api/search?name=a&minConfidence=101"), 422, "minConfidence"),
        (("GET", "/api/images/%20"), 422, ""),
        (("GET", "/api/images/aGVsbG9"), 404, "no such image"),
        (("POST", "/api/uploads", {"files": []}), 422, "files"),
        (("POST", "/api/uploads", {"files": [{"name": "a", "type": "", "sizeBytes": -1}]}), 422, "sizeBytes"),
        (("POST", "/api/images/lookup", {"ids": ["../../etc"]}), 422, "ids"),
        (("GET", "/api/nothing"), 404, "/api/nothing"),
        (("PATCH", "/api/images"), 404, "/api/images"),
    ],
)
def test_wrong_input_is_a_problem_document_that_names_it(api: Api, call: Any, status: int, said: str) -> None:
    answer = api(*call)
    assert answer.status == status
    assert said in answer.problem


def test_a_service_that_fails_is_a_503_and_a_bug_a_500_without_details(api: Api, monkeypatch: Any) -> None:
    def throttled() -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "secret"}}, "Query")

    def broken() -> None:
        raise RuntimeError("secret")

    for fails, status in ((throttled, 503), (broken, 500)):
        monkeypatch.setattr(api.images, "counts", fails)
        answer = api("GET", "/api/counts")
        assert answer.status == status
        assert "secret" not in answer.body


def test_an_answer_that_lambda_could_not_give_is_refused_with_what_to_do(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr(api.images, "alerts", lambda **_: AlertPage(({"Name": "x" * 6_300_000},), None, 1.0))
    assert "fewer" in api("GET", "/api/alerts").problem


def test_pages_of_other_sites_may_not_use_the_api_but_may_link_to_the_page(api: Api) -> None:
    for site in ("cross-site", "same-site"):
        assert api("GET", "/api/images", headers={"Sec-Fetch-Site": site}).status == 403
        assert api("GET", "/", headers={"Sec-Fetch-Site": site}).status == 200
    assert api("GET", "/api/images", headers={"sec-fetch-site": "same-origin"}).status == 200


def test_the_page_lets_nothing_run_but_its_own_files(api: Api) -> None:
    answer = api("GET", "/")
    (policy,) = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert f"connect-src 'self' https://{BUCKET}.s3.eu-central-1.amazonaws.com;" in policy
    assert "<script>" not in answer.body
    assert " style=" not in answer.body
    assert answer.headers["X-Content-Type-Options"] == ["nosniff"]


def test_the_pages_files_are_kept_for_ever_under_their_version_and_asked_for_under_another(api: Api) -> None:
    versioned = api("GET", f"/v/{api.page.version}/app.js")
    assert versioned.headers["Content-Type"] == ["text/javascript; charset=utf-8"]
    assert "immutable" in versioned.headers["Cache-Control"][0]
    assert api("GET", "/v/000000000000/app.js").headers["Cache-Control"] == ["no-cache"]
    assert f"v/{api.page.version}/app.js" in api("GET", "/").body


@pytest.mark.parametrize("path", ["/v/x/../../etc/passwd", "/pipeline/api.py", "/v/1/none.js", "/index.html"])
def test_nothing_but_the_pages_files_is_served(api: Api, path: str) -> None:
    assert api("GET", path).status == 404


def test_the_stages_address_without_its_slash_leads_to_the_one_with_it(api: Api) -> None:
    answer = api("GET", "/", address="/live")
    assert (answer.status, answer.headers["Location"]) == (308, ["/live/"])
    assert api("GET", "/", address="/live/").status == 200


def test_the_page_learns_who_signs_people_in_and_no_secret(module: Any) -> None:
    api = build(module, SIGN_IN_CLIENT="abc", SIGN_IN_URL="https://people.example", COMPATIBLE_ROUTES="on")
    assert api("GET", "/config.json").json["signIn"] == {"client": "abc", "url": "https://people.example"}
    assert "https://people.example" in api("GET", "/").headers["Content-Security-Policy"][0]
    assert api("GET", "/PresignedURL?filename=cat.jpg").status == 404


def test_the_older_systems_routes_are_off_unless_asked_for(api: Api) -> None:
    assert api("GET", "/PresignedURL?filename=cat.jpg").status == 404


def test_the_older_systems_routes_answer_pages_of_any_origin(module: Any) -> None:
    api = build(module, record("cat.jpg"), COMPATIBLE_ROUTES="on")
    signed = api(
        "GET", "/PresignedURL?filename=cat.jpg", headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"}
    )
    assert signed.headers["Access-Control-Allow-Origin"] == ["*"]
    assert urlsplit(signed.json["presigned_url"]).path == "/uploads/cat.jpg"
    assert api("GET", "/GetImageLabels?filename=cat.jpg").json == {
        "filename": "cat.jpg",
        "labels": ["Cat", "Animal"],
    }
    assert api("GET", "/GetImageLabels?filename=dog.jpg").status == 404
    assert api("GET", "/PresignedURL?filename=../etc.jpg").status == 422


def test_the_description_of_the_api_is_valid_openapi_and_names_every_route(api: Api) -> None:
    document = api("GET", "/api/openapi.json").json
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert {
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    } == {
        "GET /api/health",
        "POST /api/uploads",
        "GET /api/images",
        "POST /api/images/lookup",
        "GET /api/images/{image_id}",
        "POST /api/images/{image_id}/retag",
        "DELETE /api/images/{image_id}",
        "GET /api/search",
        "GET /api/suggestions",
        "GET /api/counts",
        "GET /api/alerts",
        "GET /api/openapi.json",
    }


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "ap-southeast-2"])
def test_presigned_addresses_name_the_regions_own_host(region: str) -> None:
    host = f"https://{BUCKET}.s3.{region}.amazonaws.com"
    assert addresses(region=region).origin == host
    assert addresses(region=region).put("uploads/ä b.jpg").startswith(f"{host}/uploads/%C3%A4%20b.jpg?X-Amz-")


def test_an_address_of_an_engine_is_taken_as_it_is() -> None:
    assert addresses("http://127.0.0.1:4566").origin == "http://127.0.0.1:4566"


def test_whatever_was_uploaded_s3_answers_with_a_type_that_no_browser_runs() -> None:
    query = parse_qs(
        urlsplit(addresses().picture("uploads/a", content_type="text/html", file_name='"<a>.html')).query
    )
    assert query["response-content-type"] == ["application/octet-stream"]
    assert query["response-content-disposition"] == ["attachment; filename*=UTF-8''%22%3Ca%3E.html"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("cat.jpg", "cat.jpg"),
        ("holiday/sea side.jpg", "holiday/sea side.jpg"),
        ("../../etc/passwd.jpg", "etc/passwd.jpg"),
        ("a\\b.jpg", "a/b.jpg"),
        ("/abs//x\x00\x1b.jpg", "abs/x.jpg"),
        ("…/", "…"),
        ("///", "picture"),
    ],
)
def test_a_path_keeps_the_users_words_and_leads_nowhere_else(name: str, path: str) -> None:
    assert safe_path(name) == path


def test_a_name_that_is_too_long_keeps_its_ending() -> None:
    path = safe_path("ä" * 1000 + ".jpg")
    assert path.endswith("ä.jpg")
    assert len(path.encode()) <= 600


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("a.jpg", "image/jpeg", "image/jpeg"),
        ("a.HEIC", "", "image/heic"),
        ("a.jpg", "application/octet-stream", "image/jpeg"),
        ("a.jpg", "text/html", None),
        ("a.svg", "image/svg+xml", None),
        ("a", "", None),
    ],
)
def test_the_type_is_what_the_browser_says_else_what_the_name_says(
    name: str, said: str, kind: str | None
) -> None:
    assert media_type(name, said) == kind


@pytest.mark.parametrize("key", ["uploads/cat.jpg", "uploads/größe 📷/%2F+.jpg", "uploads/" + "x" * 1000])
def test_an_id_is_one_plain_segment_and_leads_back_to_its_key(key: str) -> None:
    assert key_of(id_of(key)) == key
    assert not set(id_of(key)) & set("/+=% ")


def test_wrong_settings_are_named_all_at_once() -> None:
    with pytest.raises(ConfigurationError) as error:
        ApiSettings.from_environment({**VARIABLES, "BUCKET_NAME": "", "STORAGE_URL": "ftp://x"})
    assert "BUCKET_NAME" in str(error.value)
    assert "STORAGE_URL" in str(error.value)


def test_sign_in_names_client_and_address() -> None:
    settings = ApiSettings.from_environment(
        {**VARIABLES, "SIGN_IN_CLIENT": "c", "SIGN_IN_URL": "https://x.example/"}
    )
    assert settings.sign_in == SignIn("c", "https://x.example")
