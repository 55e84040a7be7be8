"""The page's port and its API on a running engine, without a browser: uploads, permissions, refusals."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_least_privilege import Role
from tests.support import pictures
from tests.support.permissions import API, Proof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.integration.conftest import Running

pytestmark = pytest.mark.integration
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def send(
    url: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, Any]:
    request = urllib.request.Request(  # noqa: S310 (addresses of this environment)
        url, data=body, headers=dict(headers or {}), method=method
    )
    try:
        with OPENER.open(request, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def call(
    running: Running, path: str, *, method: str = "GET", body: Any = None, **headers: str
) -> tuple[int, Any]:
    content = json.dumps(body).encode() if body is not None else None
    sent = {
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    status, answer, _ = send(
        f"{running.environment.engine.page}{path}", method=method, body=content, headers=sent
    )
    return status, json.loads(answer)


def upload_form(running: Running, name: str, size_bytes: int = 5) -> dict[str, Any]:
    wanted = {"files": [{"name": name, "type": "image/jpeg", "sizeBytes": size_bytes}]}
    status, answer = call(running, "api/uploads", method="POST", body=wanted)
    assert status == 200, answer
    form: dict[str, Any] = answer["uploads"][0]
    return form


def post(
    form: dict[str, Any], content: bytes, *, fields: Mapping[str, str] | None = None, **headers: str
) -> tuple[int, str]:
    """Send a form as a browser does; `fields` replaces some of it."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**form["fields"], **(fields or {})}.items()
    ]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n')
    body = "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    sent = {"Content-Type": f"multipart/form-data; boundary={boundary}", **headers}
    status, answer, _ = send(form["url"], method="POST", body=body, headers=sent)
    return status, answer.decode()


def uploaded(running: Running, name: str) -> str:
    """Upload a picture and wait for its record. Returns its id."""
    form = upload_form(running, name)
    assert post(form, pictures.jpeg(7))[0] == 204
    running.record(form["key"])
    return str(form["id"])


def test_a_picture_is_uploaded_by_a_form_listed_found_and_shown(running: Running) -> None:
    image = uploaded(running, "a folder/größe & <b>.jpg")
    _, listed = call(running, "api/images?limit=5")
    found = next(each for each in listed["images"] if each["id"] == image)
    assert found["fileName"] == "größe & <b>.jpg"
    label = found["labels"][0]["name"]
    _, search = call(running, f"api/search?name={label.lower().replace(' ', '%20')}&limit=100")
    assert image in [each["id"] for each in search["images"]]
    origin = {"Origin": running.environment.settings.page_origin}
    assert send(found["thumbnail"], headers=origin)[0] == 200
    _, detail = call(running, f"api/images/{image}")
    status, content, headers = send(detail["picture"], headers=origin)
    assert (status, content) == (200, pictures.jpeg(7))
    assert headers["Access-Control-Allow-Origin"] == running.environment.settings.page_origin
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert headers["Content-Disposition"].startswith("attachment")


def test_an_image_is_analysed_again_when_somebody_asks(running: Running) -> None:
    image = uploaded(running, "again.jpg")
    _, before = call(running, f"api/images/{image}")
    assert call(running, f"api/images/{image}/retag", method="POST")[0] == 202
    running.record(before["key"], until=lambda record: record["TaggedAt"] != before["taggedAt"])


def test_what_the_form_does_not_allow_is_refused_by_s3_and_stores_nothing(running: Running) -> None:
    form = upload_form(running, "refused.jpg")
    other = form["key"].replace("refused", "other")
    limit = 15_728_640
    refusals = {
        "another type": post(form, b"<script>", fields={"Content-Type": "text/html"}),
        "another key": post(form, b"hello", fields={"key": other}),
        "too large": post(form, b"x" * (limit + 1)),
        "empty": post(form, b""),
        "another signature": post(form, b"hello", fields={"x-amz-signature": "0" * 64}),
        "another policy": post(form, b"hello", fields={"policy": "e30="}),
    }
    assert {name: 400 <= status < 500 for name, (status, _) in refusals.items()} == dict.fromkeys(
        refusals, True
    )
    assert "EntityTooLarge" in refusals["too large"][1]
    listed = running.s3.list_objects_v2(Bucket=running.bucket, Prefix=form["key"].rpartition("/")[0])
    assert listed.get("KeyCount", 0) == 0


def test_a_form_with_a_field_behind_its_file_is_refused(running: Running) -> None:
    form = upload_form(running, "tail.jpg")
    tail = b'\r\n--B\r\nContent-Disposition: form-data; name="key"\r\n\r\nuploads/other.jpg'
    fields = "".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    )
    body = (
        fields.encode()
        + b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello'
        + tail
        + b"\r\n--B--\r\n"
    )
    status, _, _ = send(
        form["url"], method="POST", body=body, headers={"Content-Type": "multipart/form-data; boundary=B"}
    )
    assert status == 400
    with pytest.raises(running.s3.exceptions.ClientError):
        running.s3.head_object(Bucket=running.bucket, Key="uploads/other.jpg")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="a foreign origin"),
        pytest.param({"Origin": "null"}, id="a file or a sandbox"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="another port"),
        pytest.param({"Host": "rebound.example"}, id="a rebound name"),
    ],
)
def test_other_pages_may_neither_change_nor_read_anything(running: Running, headers: dict[str, str]) -> None:
    image = uploaded(running, f"csrf-{uuid.uuid4().hex[:6]}.jpg")
    page = running.environment.engine.page
    for method, path in (
        ("DELETE", f"api/images/{image}"),
        ("POST", f"api/images/{image}/retag"),
        ("GET", "api/images"),
    ):
        status, answer, _ = send(page + path, method=method, headers=headers)
        assert status == 403, (method, path)
        assert b"images" not in answer
    _, _, answer_headers = send(page, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer_headers


def test_the_aws_endpoint_gives_foreign_pages_nothing_and_ours_presigned_urls_only(running: Running) -> None:
    form = upload_form(running, "origin.jpg")
    endpoint, origin = running.environment.engine.endpoint, running.environment.settings.page_origin
    assert post(form, b"hello", Origin="https://evil.example")[0] == 403
    assert post(form, b"hello", Origin=origin)[0] == 204
    for path in (
        "/?Action=CreateUser&UserName=intruder&Version=2010-05-08",
        f"/{running.bucket}?list-type=2",
    ):
        status, _, headers = send(endpoint + path, headers={"Origin": origin})
        assert status == 403
        assert headers["Access-Control-Allow-Origin"] == origin  # so that the page can say why
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    status, _, headers = send(form["url"], method="OPTIONS", headers=asked)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, origin)
    assert send(form["url"], method="OPTIONS", headers={**asked, "Origin": "https://evil.example"})[0] == 403


def test_the_root_has_the_page_and_localhost_leads_to_it(running: Running) -> None:
    page = running.environment.engine.page
    status, content, headers = send(page)
    assert status == 200
    assert b"<title>Darkroom</title>" in content
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, content, headers = send(page.replace("127.0.0.1", "localhost"))
    assert (status, b"<title>Darkroom</title>" in content) == (200, True)


def test_the_page_never_leads_to_the_engines_own_paths(running: Running) -> None:
    page = running.environment.engine.page
    for path in (
        "../../../_ministack/health",
        "%2e%2e/%2e%2e/%2e%2e/_ministack/health",
        "_ministack/reset",
        "oauth2/token",
    ):
        status, _, _ = send(page + path)
        assert status in {400, 404}, path


# --- permissions

CALLS: dict[str, Callable[[Running, str], int]] = {
    "s3:PutObject": lambda running, _: post(upload_form(running, "p.jpg"), b"hello")[0],
    "s3:GetObject": lambda running, image: send(call(running, f"api/images/{image}")[1]["picture"])[0],
    "s3:DeleteObject": lambda running, image: call(running, f"api/images/{image}", method="DELETE")[0],
    "dynamodb:BatchGetItem": lambda running, image: call(running, f"api/images/{image}")[0],
    "dynamodb:Query": lambda running, _: call(running, "api/images")[0],
    "dynamodb:UpdateItem": lambda running, image: call(running, f"api/images/{image}/retag", method="POST")[
        0
    ],
    "lambda:InvokeFunction": lambda running, image: call(running, f"api/images/{image}/retag", method="POST")[
        0
    ],
}


@pytest.fixture(scope="module")
def role(running: Running) -> Role:
    iam = running.environment.session().client("iam")
    names = [each["RoleName"] for each in iam.list_roles()["Roles"] if "ApiRole" in each["RoleName"]]
    (policy_name,) = iam.list_role_policies(RoleName=names[0])["PolicyNames"]
    document: Any = iam.get_role_policy(RoleName=names[0], PolicyName=policy_name)["PolicyDocument"]
    return Role(iam, names[0], policy_name, document)


@pytest.mark.parametrize("action", [each.action for each in API if each.proof is Proof.PAGE])
def test_without_it_a_call_of_the_api_fails(running: Running, role: Role, action: str) -> None:
    image = uploaded(running, f"permission-{time.monotonic_ns()}.jpg")
    with role.without(action):
        assert CALLS[action](running, image) in {403, 503}
    assert CALLS[action](running, image) in {200, 202, 204}


def test_a_file_that_is_asked_for_again_is_the_same_with_the_same_headers(running: Running) -> None:
    page = running.environment.engine.page
    _, index, _ = send(page)
    path = next(part for part in index.decode().split('"') if part.endswith("/app.js"))
    first, again = send(page + path), send(page + path)
    assert first[:2] == again[:2]
    for name in ("Content-Type", "Content-Security-Policy", "Cache-Control", "X-Content-Type-Options"):
        assert first[2][name] == again[2][name]
