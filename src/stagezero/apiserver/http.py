"""The API over TLS on the loopback: HTTP/1.1 in and out of a `Handler`, as kubectl speaks it.

Bytes and connections are uvicorn's work; here a message becomes a `Request` with its user, and a
`Response` becomes bytes: a body, a stream, or a watch whose every frame is one line at once. A
client that goes away ends its watch.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from stagezero.api import errors
from stagezero.apiserver.decoding import BODY_LIMIT_BYTES
from stagezero.apiserver.server import refusal
from stagezero.kit.http import Handler, Request, Response, User, WatchFrame

log = logging.getLogger(__name__)

Authenticate = Callable[[Mapping[str, str]], User | None]
"""Who sent these headers (lower-case names); None if nobody known."""

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_PUBLIC = ("/healthz", "/livez", "/readyz")
# A body over the limit is read to its end up to here, so that the client reads our refusal instead
# of a connection that breaks while it writes.
_DRAIN_LIMIT_BYTES = 16 * BODY_LIMIT_BYTES
_KEEP_ALIVE_S = 120
_GRACE_S = 1


class AddressInUse(Exception):
    """Another program listens on the port."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"port {port} of {host} is in use: stop what listens there, or choose another port"
        )
        self.host, self.port = host, port


@dataclass(frozen=True)
class Certificate:
    """Files of the server's certificate and its key."""

    certificate: Path
    key: Path


class Application:
    """The ASGI side of a handler."""

    def __init__(self, handler: Handler, authenticate: Authenticate) -> None:
        self._handler = handler
        self._authenticate = authenticate
        self._streams: set[asyncio.Future[None]] = set()

    def end_streams(self) -> None:
        """End all watches and streams properly, as at their time-out."""
        for stream in self._streams:
            stream.cancel()

    async def __call__(
        self,
        scope: _Scope,
        receive: Callable[[], Any],
        send: Callable[[_Message], Any],
    ) -> None:
        """Answer one request."""
        assert scope["type"] == "http", "neither lifespan nor websockets are asked of us"
        exchange = _Exchange(scope, receive, send)
        try:
            response = await self._answer(exchange)
            await exchange.answer(response, self._streams)
        except _Disconnected:
            return

    async def _answer(self, exchange: "_Exchange") -> Response:
        user = self._authenticate(exchange.headers)
        if user is None and not exchange.path.startswith(_PUBLIC):
            return refusal(errors.Unauthorized("Unauthorized"))
        try:
            body = await exchange.body()
        except errors.ApiError as error:
            return refusal(error)
        request = Request(
            method=exchange.method,
            path=exchange.path,
            query=exchange.query(),
            headers=exchange.headers,
            body=body,
            user=user or User("system:anonymous"),
        )
        return await self._handler(request)


class _Disconnected(Exception):
    """The client went away in the middle of its request."""


class _Exchange:
    """One request and its answer on a connection."""

    def __init__(
        self, scope: _Scope, receive: Callable[[], Any], send: Callable[[_Message], Any]
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }

    def query(self) -> dict[str, str]:
        """The query; the first of several values counts."""
        text = self._scope["query_string"].decode("latin-1")
        found: dict[str, str] = {}
        for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
            found.setdefault(name, value)
        return found

    async def body(self) -> bytes:
        """Read the body; TooLarge over the limit."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            part = message.get("body", b"")
            size += len(part)
            if size <= BODY_LIMIT_BYTES:
                parts.append(part)
            if not message.get("more_body") or size > _DRAIN_LIMIT_BYTES:
                break
        if size > BODY_LIMIT_BYTES:
            raise errors.TooLarge(f"Request entity too large: limit is {BODY_LIMIT_BYTES}")
        return b"".join(parts)

    async def answer(self, response: Response, streams: set[asyncio.Future[None]]) -> None:
        """Write the answer, whole or piece by piece; what is under way is listed in `streams`."""
        chunks = _chunks(response)
        headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        if chunks is None:
            headers.append((b"content-length", str(len(response.body)).encode()))
        await self._send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )
        if chunks is None:
            await self._send({"type": "http.response.body", "body": response.body})
            return
        # The headers go out at once: a quiet watch is open before its first event.
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})
        await self._stream(chunks, streams)

    async def _stream(
        self, chunks: AsyncIterator[bytes], streams: set[asyncio.Future[None]]
    ) -> None:
        pump = asyncio.ensure_future(self._pump(chunks))
        streams.add(pump)
        gone = asyncio.ensure_future(self._disconnected())
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            streams.discard(pump)
            for task in (pump, gone):
                task.cancel()
            results = await asyncio.gather(pump, gone, return_exceptions=True)
        if isinstance(results[0], Exception):
            log.error("%s %s broke off", self.method, self.path, exc_info=results[0])
            return
        with contextlib.suppress(OSError):
            await self._send({"type": "http.response.body", "body": b""})

    async def _pump(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue


def _chunks(response: Response) -> AsyncIterator[bytes] | None:
    if response.events is not None:
        return _lines(response.events)
    return response.stream


async def _lines(frames: AsyncIterator[WatchFrame]) -> AsyncIterator[bytes]:
    try:
        async for frame in frames:
            yield b"".join(
                (b'{"type":"', frame.type.encode(), b'","object":', frame.object, b"}\n")
            )
    finally:
        close = getattr(frames, "aclose", None)
        if close is not None:
            await close()


class HttpServer:
    """Serves an application on a loopback address, over TLS if it is given a certificate."""

    def __init__(
        self,
        application: Application,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Certificate | None = None,
    ) -> None:
        self._host = host
        self._wanted_port = port
        self._sockets: list[socket.socket] = []
        self._application = application
        config = uvicorn.Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=certificate.certificate if certificate else None,
            ssl_keyfile=certificate.key if certificate else None,
        )
        self._server = uvicorn.Server(config)

    @property
    def port(self) -> int:
        """The port that is listened on; known after `start`."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; AddressInUse if somebody else does."""
        try:
            listener = socket.create_server((self._host, self._wanted_port))
        except OSError as error:
            raise AddressInUse(self._host, self._wanted_port) from error
        listener.setblocking(False)
        self._sockets = [listener]
        config = self._server.config
        config.load()
        # Only `startup` and `shutdown` of uvicorn's server are used: its main loop would wake up
        # ten times a second for a date header, and its `serve` would take our signals.
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=self._sockets)

    async def stop(self) -> None:
        """Stop listening, end streams, let other answers end (a second at most)."""
        if self._sockets:
            self._application.end_streams()
            await self._server.shutdown(sockets=self._sockets)
            self._sockets = []
