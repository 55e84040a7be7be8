"""What the gateway reads of a browser's upload form, and which forms it never passes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.engine.gateway.forms import FormError, UploadForm
from darkroom.engine.gateway.guard import Caller, Guard, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from darkroom.engine.gateway.limits import BodyError

TYPE = "multipart/form-data; boundary=frontier"
KEY = "AKIAIOSFODNN7EXAMPLE"
FIELDS = {
    "key": "uploads/a.jpg",
    "policy": "e30=",
    "X-Amz-Credential": f"{KEY}/20261125/us-east-1/s3/aws4_request",
}


class Sent:
    """A body that comes in pieces of some size."""

    error: BodyError | None = None
    exists = True

    def __init__(self, content: bytes, piece: int = 1000) -> None:
        self._content = content
        self._piece = piece

    @property
    def length(self) -> int:
        return len(self._content)

    async def pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), self._piece):
            yield self._content[start : start + self._piece]


def part(name: str, value: str) -> str:
    return f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def form(*parts: str, file: bytes = b"hello", after: bytes = b"\r\n--frontier--\r\n") -> bytes:
    begin = "".join(parts or [part(*each) for each in FIELDS.items()])
    head = '--frontier\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n'
    head += "Content-Type: image/jpeg\r\n\r\n"
    return (begin + head).encode() + file + after


async def passed_on(content: bytes, piece: int = 1000) -> bytes:
    read = await UploadForm.begin(Sent(content, piece), TYPE)  # type: ignore[arg-type]
    return await read.read()


@pytest.mark.parametrize("piece", [1, 2, 7, 100, 100_000])
@pytest.mark.parametrize("file", [b"", b"hello", b"\r\n--front", b"x" * 70_000, b"--frontie\r\n-"])
async def test_a_form_is_passed_on_as_it_came_however_it_is_cut(piece: int, file: bytes) -> None:
    content = form(file=file)
    read = await UploadForm.begin(Sent(content, piece), TYPE)  # type: ignore[arg-type]
    assert read.fields["key"] == "uploads/a.jpg"
    assert read.fields["x-amz-credential"] == FIELDS["X-Amz-Credential"]
    assert await read.read() == content


@pytest.mark.parametrize("piece", [1, 13, 100_000])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(form(part("key", "a"), part("key", "b")), id="a field twice"),
        pytest.param(form(part("key", "a"), part("KEY", "b")), id="a field twice in other case"),
        pytest.param(
            form(after=b"\r\n" + part("key", "b").encode() + b"--frontier--\r\n"), id="a field after the file"
        ),
        pytest.param(form(file=b"x--frontier\r\ny"), id="the boundary within the file"),
        pytest.param(form(file=b"x--frontier--"), id="the end within the file"),
        pytest.param(form(part("key", "a--frontierb")), id="the boundary within a field"),
        pytest.param(form(after=b"\r\n--frontier--\r\nmore"), id="something after the end"),
        pytest.param(form(after=b""), id="no end"),
        pytest.param(part("key", "a").encode() + b"--frontier--\r\n", id="no file"),
        pytest.param(b"preamble\r\n" + form(), id="something before it"),
        pytest.param(form(part("a", "x" * 30_000)), id="30 KB of fields"),
        pytest.param(
            form('--frontier\r\nContent-Disposition: form-data; filename="a"; name="key"\r\n\r\nx\r\n'),
            id="a header that could name two fields",
        ),
        pytest.param(
            form('--frontier\r\nContent-Disposition: form-data; name="key"\r\nX-More: 1\r\n\r\nx\r\n'),
            id="a header of another kind",
        ),
    ],
)
async def test_a_form_that_could_be_read_in_two_ways_is_refused(content: bytes, piece: int) -> None:
    with pytest.raises(FormError):
        await passed_on(content, piece)


@pytest.mark.parametrize(
    "media_type", ["multipart/form-data", "multipart/form-data; boundary=", "text/plain"]
)
async def test_a_form_without_a_boundary_is_refused(media_type: str) -> None:
    with pytest.raises(FormError):
        await UploadForm.begin(Sent(form()), media_type)  # type: ignore[arg-type]


def credential(key: str, service: str = "s3") -> dict[str, str]:
    return {
        "policy": "e30=",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{key}/20261125/us-east-1/{service}/aws4_request",
        "x-amz-signature": "0" * 64,
    }


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="unsigned"),
        pytest.param({**credential(KEY), "policy": ""}, id="without a policy"),
        pytest.param(credential("test"), id="a root-like key"),
        pytest.param(credential("000000000000"), id="an account number"),
        pytest.param(credential(KEY, "iam"), id="of another service"),
        pytest.param({**credential(KEY), "awsaccesskeyid": "test"}, id="signature version 2 beside it"),
    ],
)
def test_a_form_without_a_users_signature_is_refused(fields: dict[str, str]) -> None:
    assert isinstance(Guard.for_port(4566).form_caller(fields), Refusal)


def test_a_form_signed_by_a_user_or_a_role_session_is_passed_to_the_engine_which_checks_the_signature() -> (
    None
):
    for key in (KEY, KEY.replace("AKIA", "ASIA")):
        assert Guard.for_port(4566).form_caller(credential(key)) == Caller(key, "s3")
