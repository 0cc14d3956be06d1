"""The transport over HTTPS: keep-alive connections, watches and logs as streams, errors that help.

Refusals come back as responses; what keeps a request from being answered at all (nobody listens, a
certificate of another authority, a time-out) is `errors.Unavailable`, which names the address, the
cause and what to do.
"""

import asyncio
import base64
import logging
import os
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from stagezero.api import errors
from stagezero.client.kubeconfig import Access, KubeconfigError
from stagezero.kit.http import Request, Response, WatchFrame

log = logging.getLogger(__name__)

_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for what, in seconds."""

    connect_s: float = 10.0
    # Until an answer begins, and between two pieces of it.
    answer_s: float = 60.0
    # A watch that says nothing for so long (not even a bookmark) is taken for dead, and ended.
    watch_s: float = 600.0


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class Https:
    """A `Transport` to the API server that `access` tells of."""

    def __init__(self, access: Access, timeouts: Timeouts | None = None) -> None:
        self._access = access
        self._timeouts = timeouts or Timeouts()
        self._base = URL(access.url)
        self._tls = _tls(access) if self._base.scheme == "https" else False
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Response:
        """Carry one request; the answer to a request for logs is a stream.

        A stream must be read to its end or closed (`aclose`), else its connection stays open.
        """
        is_log = request.path.endswith("/log")
        # A log that is followed may be silent for as long as it likes.
        follows = is_log and request.query.get("follow") in ("true", "1")
        answer = await self._start(request, None if follows else self._timeouts.answer_s)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if is_log and answer.status < 400:
            return Response(answer.status, headers=headers, stream=self._pieces(answer))
        async with answer:
            with self._translated():
                return Response(answer.status, await answer.read(), headers)

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncIterator[AsyncIterator[WatchFrame]]:
        """Open a watch; its frames end when the server ends it or the connection is lost."""
        async with await self._start(request, self._timeouts.watch_s) as answer:
            if answer.status >= 400:
                with self._translated():
                    raise errors.from_status(_status(await answer.read()), answer.status)
            frames = self._frames(answer)
            try:
                yield frames
            finally:
                await frames.aclose()

    async def close(self) -> None:
        """Close all connections, those of open streams too."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _start(self, request: Request, silence_s: float | None) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._timeouts.connect_s, sock_read=silence_s
        )
        with self._translated():
            async with asyncio.timeout(self._timeouts.answer_s):
                return await self._opened().request(
                    request.method,
                    self._url(request),
                    headers=request.headers,
                    data=request.body or None,
                    timeout=timeout,
                    allow_redirects=False,
                    server_hostname=self._access.server_name or None,
                    proxy=self._access.proxy or None,
                )

    def _opened(self) -> aiohttp.ClientSession:
        # Made on first use, because a session belongs to the loop that runs.
        if self._session is None:
            # Without bound: every informer holds one connection open.
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
            headers = _authorization(self._access)
            self._session = aiohttp.ClientSession(connector=connector, headers=headers)
        return self._session

    def _url(self, request: Request) -> URL:
        path = self._base.raw_path.rstrip("/") + quote(request.path, safe="/:@!$&'()*+,;=~")
        query = urlencode(request.query)
        return URL(f"{self._base.origin()}{path}{'?' if query else ''}{query}", encoded=True)

    async def _pieces(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        async with answer:
            with self._translated():
                async for piece in answer.content.iter_any():
                    yield piece

    async def _frames(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[WatchFrame, None]:
        lines = Lines()
        try:
            async for piece in answer.content.iter_any():
                for line in lines.feed(piece):
                    yield _frame(line)
        except _FAILURES as error:
            # To whoever watches this is an end as any other: watch again from the last version.
            log.debug("the watch of %s was cut: %s", answer.url, _cause(error))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            access = self._access
            raise errors.Unavailable(
                f"cannot reach the API server at {access.url}: {_cause(error)}. "
                + _advice(error, access.source or "the kubeconfig")
            ) from error


class Lines:
    """Cuts a stream into lines of any length; blank ones and an unfinished last one are dropped."""

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next piece and return the lines that it ended."""
        *ended, rest = piece.split(b"\n")
        if ended:
            ended[0] = b"".join([*self._unfinished, ended[0]])
            self._unfinished = []
        if rest:
            self._unfinished.append(rest)
        return [line for line in ended if line.strip()]


def _frame(line: bytes) -> WatchFrame:
    try:
        event = msgspec.json.decode(line, type=_Event)
    except msgspec.DecodeError as error:
        raise errors.InternalError(
            f"the API server sent a line that is no watch event ({error}): {line[:200]!r}"
        ) from error
    return WatchFrame(event.type, bytes(event.object))


def _status(body: bytes) -> dict[str, object]:
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {"message": body.decode(errors="replace")[:500]}
    return status if isinstance(status, dict) else {}


def _tls(access: Access) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=access.authority or None)
        if access.certificate:
            # Python takes a client's certificate from files only.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(f"{access.certificate}\n{access.key}\n")
                file.flush()
                context.load_cert_chain(file.name)
    except (ssl.SSLError, ValueError) as error:
        raise KubeconfigError(
            f"{access.source}: its certificates cannot be used: {error}; write the file anew"
        ) from error
    if not access.is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _authorization(access: Access) -> dict[str, str]:
    if access.token:
        return {"authorization": f"Bearer {access.token}"}
    if access.username:
        pair = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
        return {"authorization": f"Basic {pair}"}
    return {}


def _cause(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        # The event loop's own words hide the system's; a failed look-up has no number of its.
        return os.strerror(number) if number > 0 else error.os_error.strerror or str(error)
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return str(error) or type(error).__name__


def _advice(error: BaseException, source: str) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return (
            f"{source} does not trust that server's certificate: it may belong to another server "
            "or an earlier state directory"
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return f"That address does not speak the TLS that {source} asks for"
    if isinstance(error, asyncio.TimeoutError):
        return "It may be overloaded or stopped; `stagezero status` tells"
    return f"Is it running? `stagezero up` starts one here; the address is from {source}"
