"""HTTP/1.1 on one connection: httptools parses, this decides what is a request and what is refused.

Requests of a connection are answered one after the other, in order, pipelined or not. Nothing here
waits: a slow client only holds its own connection, and a client that does not read its answers
is not read from either.
"""

import asyncio
from collections import deque
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import httptools

from stagezero.modelserver.transports.messages import Request, Response
from stagezero.modelserver.transports.port import Port
from stagezero.modelserver.transports.status import status_line

_MAX_HEAD_BYTES = 65536
_MAX_HEADERS = 128
_MAX_PIPELINED = 32
# After a refusal the client may still be sending; it must be able to read the answer first.
_LINGER_S = 2.0
# One write up to here: joining is cheaper than a second system call.
_JOIN_BYTES = 65536


class _Parsed:
    """A request that is being received, or waits for its turn."""

    __slots__ = (
        "body_bytes",
        "chunks",
        "is_answered",
        "is_http_1_0",
        "keep_alive",
        "refusal",
        "request",
        "started",
        "url",
    )

    def __init__(self, started: float) -> None:
        self.request = Request()
        self.url = b""
        self.chunks: list[bytes] = []
        self.body_bytes = 0
        self.keep_alive = True
        self.is_http_1_0 = False
        self.refusal: tuple[int, str] | None = None  # status and message, instead of a handler
        self.started = started
        self.is_answered = False


class HttpExchange:
    """One request of a connection and the place for its answer."""

    __slots__ = ("_connection", "_parsed")

    def __init__(self, connection: "Connection", parsed: _Parsed) -> None:
        self._connection = connection
        self._parsed = parsed

    @property
    def is_abandoned(self) -> bool:
        """Say whether the client has gone."""
        return self._connection.is_lost

    def respond(self, response: Response) -> None:
        """Send the answer."""
        assert not self._parsed.is_answered, "a request has one answer"
        self._parsed.is_answered = True
        self._connection.answer(self._parsed, response)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._receiving: _Parsed | None = None
        self._head_bytes = 0  # of the request being received; 0 once its headers are complete
        self._header_count = 0
        self._is_refusing = False  # nothing more is read; the refusal waits for its turn
        self._owes_continue = False
        self._waiting: deque[_Parsed] = deque()
        self._current: _Parsed | None = None
        self._is_pumping = False
        self._can_write = True
        self._is_closing = False
        self._is_paused = False
        self._last_read = port.clock()
        self.is_lost = False

    # --- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve a client."""
        # Not an isinstance: uvloop's transports are asyncio.Transports by shape only.
        self._transport = cast(asyncio.Transport, transport)
        self._port.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client: what it still waits for is answered to nobody."""
        self.is_lost = self._is_closing = True
        self._waiting.clear()
        self._port.connections.discard(self)
        if not self._port.connections:
            self._port.has_emptied.set()

    def eof_received(self) -> bool:
        """Keep the connection for the answers that are still owed, and close it otherwise."""
        if self._current is None and not self._waiting:
            return False
        self._is_closing = True
        return True

    def pause_writing(self) -> None:
        """The client does not read: no further request of it is begun."""
        self._can_write = False

    def resume_writing(self) -> None:
        """The client reads again."""
        self._can_write = True
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._last_read = self._port.clock()
        if self._is_closing or self._is_refusing:
            return
        in_head = self._head_bytes
        self._parse(data)
        if self._receiving is not None and in_head and self._head_bytes == in_head:
            # A header that does not end is kept by the parser and not reported to us.
            self._grow_head(len(data))
        self._pump()
        self._regulate()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(400, f"Malformed HTTP request: {error}")

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read the request again without its wish: the parser would take the body for another
        protocol's bytes (`curl --http2` sends such requests)."""
        if self._is_refusing:
            return
        parsed = self._waiting.pop()
        if parsed.request.method == "CONNECT":
            self._refuse(405, "This server is no proxy.")
            return
        kept = [
            name + b": " + value + b"\r\n"
            for name, value in parsed.request.headers
            if name not in (b"upgrade", b"connection", b"http2-settings")
        ]
        line = b"%b %b HTTP/1.1\r\n" % (parsed.request.method.encode(), parsed.url)
        self._parser = httptools.HttpRequestParser(self)
        self._parse(b"".join((line, *kept, b"\r\n")) + rest)

    # --- the parser's callbacks

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._receiving = _Parsed(self._port.clock())
        self._head_bytes = 1
        self._header_count = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        if self._receiving is not None and not self._is_refusing:
            self._receiving.url += url
            self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if self._receiving is None or self._is_refusing:
            return
        self._receiving.request.headers.append((name.lower(), value))
        self._header_count += 1
        self._grow_head(len(name) + len(value) + 4)
        if self._header_count > _MAX_HEADERS:
            self._refuse(431, f"More than {_MAX_HEADERS} headers.")

    def on_headers_complete(self) -> None:
        """All is known but the body."""
        parsed = self._receiving
        self._head_bytes = 0
        if parsed is None or self._is_refusing:
            return
        parsed.keep_alive = self._parser.should_keep_alive()
        parsed.is_http_1_0 = self._parser.get_http_version() == "1.0"
        parsed.request.method = self._parser.get_method().decode("ascii")
        parsed.request.path = _path_of(parsed.url)
        for name, value in parsed.request.headers:
            if name == b"content-length" and int(value) > self._port.limits.max_body_bytes:
                self._refuse_body()
            elif name == b"expect" and value.lower() == b"100-continue":
                self._owes_continue = True
        if not self._is_refusing and self._owes_continue and self._is_free():
            self._send_continue()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        parsed = self._receiving
        if parsed is None or self._is_refusing:
            return
        parsed.body_bytes += len(body)
        if parsed.body_bytes > self._port.limits.max_body_bytes:
            self._refuse_body()
            return
        parsed.chunks.append(body)

    def on_message_complete(self) -> None:
        """The request is whole: it takes its place in the row."""
        parsed, self._receiving = self._receiving, None
        self._owes_continue = False
        if parsed is None or self._is_refusing:
            return
        chunks = parsed.chunks
        parsed.request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        parsed.chunks = []
        self._waiting.append(parsed)

    # --- answering

    def answer(self, parsed: _Parsed, response: Response) -> None:
        """Write the answer to the current request and go on to the next."""
        assert parsed is self._current, "answers go out in the order of the requests"
        self._current = None
        if self.is_lost or self._transport is None:
            return
        closes = not parsed.keep_alive or self._port.is_draining
        closes = closes or (self._is_closing and not self._waiting)
        self._write(parsed, response, closes=closes)
        self._log(parsed, response)
        if closes:
            self._finish()
        elif not self._is_pumping:
            self._pump()
            self._regulate()

    def _pump(self) -> None:
        """Begin the next request, if it may begin; in a loop, as an answer may be immediate."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._waiting and self._current is None and self._can_write:
                self._begin(self._waiting.popleft())
        finally:
            self._is_pumping = False
        if self._owes_continue and self._is_free():
            self._send_continue()

    def _begin(self, parsed: _Parsed) -> None:
        self._current = parsed
        exchange = HttpExchange(self, parsed)
        if parsed.refusal is None:
            self._port.handler.handle(parsed.request, exchange)
        else:
            exchange.respond(self._port.handler.refusal(*parsed.refusal))

    def _write(self, parsed: _Parsed, response: Response, *, closes: bool) -> None:
        assert self._transport is not None
        body = response.body
        connection = b"Connection: close\r\n" if closes else b""
        if parsed.is_http_1_0 and not closes:
            connection = b"Connection: keep-alive\r\n"  # in 1.0 it is not a matter of course
        head = [
            status_line(response.status),
            b"Content-Type: %b\r\nContent-Length: %d\r\n" % (response.content_type, len(body)),
            self._port.date(),
            *(b"%b: %b\r\n" % pair for pair in response.headers),
            connection,
            b"\r\n",
        ]
        if parsed.request.method == "HEAD":
            body = b""
        if len(body) <= _JOIN_BYTES:
            self._transport.write(b"".join((*head, body)))
        else:
            self._transport.write(b"".join(head))
            self._transport.write(body)

    def _log(self, parsed: _Parsed, response: Response) -> None:
        took_ms = (self._port.clock() - parsed.started) * 1000
        request = parsed.request
        self._port.access.write(
            f"{response.status} {request.method or '-'} {_printable(request.path)}"
            f" {took_ms:.2f}ms {len(response.body)}B"
        )

    # --- refusing and ending

    def _refuse_body(self) -> None:
        limit = self._port.limits.max_body_bytes
        self._refuse(413, f"The request's body is larger than {limit} bytes.")

    def _grow_head(self, added: int) -> None:
        self._head_bytes += added
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._refuse(431, f"The request's headers are larger than {_MAX_HEAD_BYTES} bytes.")

    def _refuse(self, status: int, message: str) -> None:
        """Let a refusal take the request's place in the row; it ends the connection."""
        if self._is_refusing:
            return
        self._is_refusing = True
        self._owes_continue = False
        parsed = self._receiving or _Parsed(self._port.clock())
        parsed.refusal = (status, message)
        parsed.keep_alive = False
        parsed.chunks = []
        parsed.request.path = parsed.request.path or _path_of(parsed.url)
        self._waiting.append(parsed)

    def _finish(self) -> None:
        """Send the end of the stream now and close soon: at once would discard the answer."""
        transport = self._transport
        self._is_closing = True
        self._waiting.clear()
        self._receiving = None
        if transport is None or transport.is_closing():
            return
        if not self._is_refusing or not transport.can_write_eof():
            transport.close()
            return
        self._unpause()
        transport.write_eof()
        self._port.loop.call_later(_LINGER_S, transport.close)

    def close_if_idle(self) -> None:
        """Close the connection unless an answer is owed on it or a request is half received."""
        idle = self._current is None and not self._waiting and self._receiving is None
        if idle and self._transport is not None:
            self._is_closing = True
            self._transport.close()

    def abort(self) -> None:
        """End the connection whatever is owed on it."""
        if self._transport is not None:
            self._transport.abort()

    def check_time(self, now: float) -> None:
        """Close a connection whose client has been silent, or has dawdled over its headers."""
        limits = self._port.limits
        silent_s = now - self._last_read
        if self._is_closing or self._current is not None or self._waiting:
            return
        if self._receiving is None:
            if silent_s > limits.idle_timeout_s:
                self.close_if_idle()
            return
        in_head = self._head_bytes > 0
        is_late = in_head and now - self._receiving.started > limits.head_timeout_s
        if is_late or (not in_head and silent_s > limits.body_timeout_s):
            self._refuse(408, "The request did not arrive in time.")
            self._pump()

    # --- flow

    def _is_free(self) -> bool:
        return self._current is None and not self._waiting

    def _send_continue(self) -> None:
        assert self._transport is not None
        self._owes_continue = False
        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _regulate(self) -> None:
        """Do not read on while enough requests wait: the client must feel it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not self._is_paused and len(self._waiting) >= _MAX_PIPELINED:
            self._is_paused = True
            transport.pause_reading()
        elif self._is_paused and len(self._waiting) < _MAX_PIPELINED // 2:
            self._unpause()

    def _unpause(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()


def _path_of(url: bytes) -> str:
    """The decoded path of a request's target, also of one in absolute form."""
    if not url.startswith(b"/"):
        _, found, rest = url.partition(b"://")
        url = b"/" + rest.partition(b"/")[2] if found else url
    path = url.partition(b"?")[0]
    if b"%" in path:
        path = unquote_to_bytes(path)
    return path.decode("utf-8", "replace")


def _printable(path: str) -> str:
    """The path for a log line: a client must not be able to write lines of its own."""
    return (path if path.isprintable() else ascii(path))[:512] or "-"
