"""Browser upload forms (S3 POST Object): what a form says of itself, read before the engine sees any of it.

A form is signed in its fields, not in a header, so the gateway reads them: everything before the file, at most 20 KiB,
as S3 limits it. Two programs must not read a form in two ways: a field may come once, the file comes last, and the
boundary stands nowhere but between parts. The file itself is passed on piece by piece.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from darkroom.engine.gateway.limits import BodyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from darkroom.engine.gateway.limits import Body

MEDIA_TYPE = "multipart/form-data"
_BOUNDARY = re.compile(r'multipart/form-data; *boundary="?([A-Za-z0-9\'()+_,./:=?-]{1,70})"?', re.IGNORECASE)
_DISPOSITION = re.compile(
    rb'content-disposition: *form-data; name="([^"\r\n]{1,200})"'
    rb'(?:; filename="[^"\r\n]*")?(?:; filename\*=[^;\r\n"]*)?',
    re.IGNORECASE,
)
_PART_TYPE = re.compile(rb"content-type: *[^\r\n]{0,200}", re.IGNORECASE)
_FIELDS_BYTES = 20 * 1024
_PIECE_BYTES = 256 * 1024
"""As much as one read may bring."""
_END = b"\r\n"


class FormError(BodyError):
    """A form that S3 would not read, or that could be read in two ways."""

    status = 400
    code = "MalformedPOSTRequest"


class UploadForm:
    """One form: its fields, and a body to pass on. It takes the place of the request's `Body`.

    Attributes:
        fields: by their names in lower case.
    """

    def __init__(
        self, body: Body, source: AsyncIterator[bytes], fields: Mapping[str, str], head: bytes, end: _Ending
    ) -> None:
        self.fields = fields
        self._body = body
        self._source = source
        self._head = head
        self._end = end
        self._error: FormError | None = None

    @classmethod
    async def begin(cls, body: Body, content_type: str) -> UploadForm:
        """Read a form up to the beginning of its file.

        Raises:
            FormError: it is no such form.
            BodyError: it is too large, or stalled.
        """
        found = _BOUNDARY.fullmatch(content_type.strip())
        if found is None:
            raise FormError("The form's Content-Type names no boundary.")
        delimiter = b"--" + found.group(1).encode()
        source = body.pieces()
        head = b""
        while (found_fields := _read_head(head, delimiter)) is None:
            if len(head) > _FIELDS_BYTES + _PIECE_BYTES:
                raise FormError(f"The fields before the file have more than {_FIELDS_BYTES} bytes.")
            piece = await anext(source, b"")
            if not piece:
                raise FormError("The form ends before its file.")
            head += piece
        fields, file_start = found_fields
        if file_start > _FIELDS_BYTES:
            raise FormError(f"The fields before the file have more than {_FIELDS_BYTES} bytes.")
        end = _Ending(delimiter)
        end.see(head[file_start:])
        return cls(body, source, fields, head, end)

    @property
    def exists(self) -> bool:
        return True

    @property
    def length(self) -> int | None:
        return self._body.length

    @property
    def error(self) -> BodyError | None:
        return self._error or self._body.error

    async def read(self) -> bytes:
        """See `Body.read`."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """The whole form, as it comes.

        Raises:
            FormError: something follows the file, so that the engine could take it for a field.
        """
        try:
            yield self._head
            async for piece in self._source:
                self._end.see(piece)
                yield piece
            self._end.close()
        except FormError as error:
            self._error = error
            raise


class _Ending:
    """Watches a file pass: the boundary may come once, as the end of the form."""

    def __init__(self, delimiter: bytes) -> None:
        self._closing = _END + delimiter + b"--"
        self._delimiter = delimiter
        self._held = b""
        self._after: bytes | None = None

    def see(self, piece: bytes) -> None:
        if self._after is not None:
            self._after += piece
        else:
            window = self._held + piece
            at = window.find(self._delimiter)
            if at < 0:
                self._held = window[-(len(self._closing) + 1) :]
                return
            found = window[max(0, at - len(_END)) :]
            if len(found) < len(self._closing):
                self._held = window[max(0, at - len(_END)) :]
                return
            if not found.startswith(self._closing):
                raise FormError("The file must be the last field of a form.")
            self._after = found[len(self._closing) :]
        if self._after not in (b"", b"\r", _END):
            raise FormError("Something follows the end of the form.")

    def close(self) -> None:
        if self._after is None:
            raise FormError("The form does not end.")


def _read_head(head: bytes, delimiter: bytes) -> tuple[dict[str, str], int] | None:
    """The fields before the file, and where the file's bytes begin; None while the file has not begun.

    It begins with the line end of its header's blank line: the boundary of an empty file follows that at once.
    """
    opening = delimiter + _END
    fields: dict[str, str] = {}
    position = 0
    while head.startswith(opening[: len(head) - position], position):
        header_end = head.find(_END * 2, position)
        if header_end < 0:
            return None
        name = _name(head[position + len(opening) : header_end])
        if name == "file":
            return fields, header_end + len(_END)
        value_start = header_end + 2 * len(_END)
        value_end = head.find(delimiter, value_start)
        if value_end < 0:
            return None
        if not head[value_start:value_end].endswith(_END):
            raise FormError("A field holds the form's boundary.")
        if name in fields:
            raise FormError(f"The field {name[:50]!r} stands there twice.")
        fields[name] = head[value_start : value_end - len(_END)].decode("utf-8", "replace")
        position = value_end
    raise FormError("The form's parts are not separated by its boundary.")


def _name(header: bytes) -> str:
    """The field that a part's header names.

    Raises:
        FormError: it says more than a name and a type.
    """
    lines = header.split(_END)
    named = [found for line in lines if (found := _DISPOSITION.fullmatch(line))]
    typed = [line for line in lines if _PART_TYPE.fullmatch(line)]
    if len(named) != 1 or len(typed) > 1 or len(named) + len(typed) != len(lines):
        raise FormError("A part of the form has a header that cannot be read.")
    return named[0].group(1).decode("utf-8", "replace").lower()
