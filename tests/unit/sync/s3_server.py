"""A small S3 over HTTP on 127.0.0.1: enough of PUT, HEAD, LIST, DELETE and multipart for the sync.

For tests that need a process of their own or a server that goes away; runs by itself with
`python s3_server.py PORT`.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket:
    """What the server holds and what was asked of it."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str, str]] = {}  # key: body, ETag, Content-Type
        self.puts: list[tuple[str, float]] = []  # key and time.time() of the request's first line
        self.delay_s = 0.0
        self.exists = True
        self.expected = 0  # requests that asked before they sent their body
        self.parts: dict[str, dict[int, bytes]] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    @property
    def bucket(self) -> Bucket:
        return self.server.bucket  # type: ignore[attr-defined, no-any-return]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - the base class's names
        return

    def _answer(self, status: int, body: str = "", **headers: str) -> None:
        data = body.encode()
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Date", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>")

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        url = urlsplit(self.path)
        _, _, key = url.path.lstrip("/").partition("/")
        return unquote(key), parse_qs(url.query, keep_blank_values=True)

    def do_PUT(self) -> None:
        started = time.time()
        self.bucket.expected += "Expect" in self.headers
        key, query = self._target()
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the client died in the middle: S3 keeps nothing of it
            self.close_connection = True
            return
        time.sleep(self.bucket.delay_s)
        if not self.bucket.exists:
            self._error(404, "NoSuchBucket")
            return
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        if "partNumber" in query:
            self.bucket.parts[query["uploadId"][0]][int(query["partNumber"][0])] = body
        else:
            self.bucket.puts.append((key, started))
            self.bucket.objects[key] = (body, etag, self.headers.get("Content-Type", ""))
        self._answer(200, ETag=f'"{etag}"')

    def do_POST(self) -> None:
        key, query = self._target()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in query:
            upload = str(len(self.bucket.parts))
            self.bucket.parts[upload] = {}
            self._answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>",
            )
            return
        parts = [part for _, part in sorted(self.bucket.parts.pop(query["uploadId"][0]).items())]
        sums = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
        etag = f"{hashlib.md5(sums, usedforsecurity=False).hexdigest()}-{len(parts)}"
        self.bucket.puts.append((key, time.time()))
        self.bucket.objects[key] = (b"".join(parts), etag, "")
        self._answer(
            200,
            f"<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>",
        )

    def do_HEAD(self) -> None:
        key, _ = self._target()
        if key not in self.bucket.objects:
            self._answer(404)
            return
        self._answer(200, ETag=f'"{self.bucket.objects[key][1]}"')

    def do_GET(self) -> None:
        _, query = self._target()
        if not self.bucket.exists:
            self._error(404, "NoSuchBucket")
            return
        prefix = query.get("prefix", [""])[0]
        rows = "".join(
            f"<Contents><Key>{escape(quote(key))}</Key><ETag>&quot;{etag}&quot;</ETag><Size>{len(body)}</Size></Contents>"
            for key, (body, etag, _) in sorted(self.bucket.objects.items())
            if key.startswith(prefix)
        )
        self._answer(
            200,
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>'
            f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>",
        )

    def do_DELETE(self) -> None:
        key, query = self._target()
        if "uploadId" in query:
            self.bucket.parts.pop(query["uploadId"][0], None)
        else:
            self.bucket.objects.pop(key, None)
        self._answer(204)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, bucket: Bucket) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.bucket = bucket
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """Break every connection, as a process that dies does."""
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's name
        return  # the other side went away


class S3Server:
    """The server in threads of this process; `stop` and `start` make it go away and come back."""

    def __init__(self) -> None:
        self.bucket = Bucket()
        self.port = 0
        self._server: _Server | None = None

    def start(self) -> None:
        self._server = _Server(self.port, self.bucket)
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None


if __name__ == "__main__":
    _Server(int(sys.argv[1]), Bucket()).serve_forever()
