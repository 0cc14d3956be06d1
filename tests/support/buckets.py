"""A bucket server and a file server on loopback, as object stores and web servers answer.

The bucket server speaks the part of the XML interface that listing and reading need (`list-type=2`,
GET and HEAD of an object), for any bucket name.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


@dataclass
class Reply:
    """One answer; `cut` leaves the connection half-way through the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass
class Ask:
    """One request as the server saw it; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


Answer = Callable[[Ask], Reply]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve `answer` on a free port and give its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = parse_qs(parts.query, keep_blank_values=True)
            reply = answer(Ask(self.command, unquote(parts.path), query, headers))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            body = reply.body[: len(reply.body) // 2] if reply.cut else reply.body
            with suppress(ConnectionError):  # the client may have seen enough
                self.wfile.write(body)
            self.close_connection = self.close_connection or reply.cut

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Bucket:
    """The objects of all buckets by `bucket/name`; change them while it serves."""

    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    status: int = 200
    on_read: Callable[[], None] = lambda: None

    def __call__(self, ask: Ask) -> Reply:
        """Answer one request."""
        self.asked.append(ask)
        if self.status != 200:
            return Reply(self.status)
        if "list-type" in ask.query:
            return self._listing(ask.path.strip("/"), ask.query.get("prefix", [""])[0])
        self.on_read()
        content = self.objects.get(ask.path.lstrip("/"))
        if content is None:
            return Reply(404)
        return Reply(200, content, {"ETag": _etag(content), "Last-Modified": _DATE})

    def _listing(self, bucket: str, prefix: str) -> Reply:
        names = sorted(
            name.removeprefix(f"{bucket}/")
            for name in self.objects
            if name.startswith(f"{bucket}/{prefix}")
        )
        entries = "".join(
            f"<Contents><Key>{escape(name)}</Key>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(_etag(self.objects[f'{bucket}/{name}']))}</ETag>"
            f"<Size>{len(self.objects[f'{bucket}/{name}'])}</Size></Contents>"
            for name in names
        )
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>{bucket}</Name>'
            f"<Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>{entries}"
            "</ListBucketResult>"
        )
        return Reply(200, body.encode(), {"Content-Type": "application/xml"})


def _etag(content: bytes) -> str:
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'
