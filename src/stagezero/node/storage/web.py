"""Models behind `http(s)://`: one file or one archive, with the checks KServe's initializer makes.

Headers for a host come from the variable `<host>-headers`, a JSON object, and go to that host
alone: a redirect elsewhere does not take them along.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import aiohttp

from stagezero.node.storage.archive import is_tar, is_zip
from stagezero.node.storage.errors import (
    ModelDenied,
    ModelInvalid,
    ModelNotFound,
    SourceFailing,
    SourceUnreachable,
)
from stagezero.node.storage.sink import CHUNK_BYTES, Sink
from stagezero.node.storage.source import Manifest, RemoteFile, Variables, safe_name

_ZIP_TYPES = ("application/x-zip-compressed", "application/zip", "application/zip-compressed")
_TAR_TYPES = ("application/x-tar", "application/x-gtar", "application/x-gzip", "application/gzip")
_FILE_TYPE = "application/octet-stream"
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_RETRIED = (408, 425, 429)


class WebSource:
    """One file or archive behind a URL."""

    def __init__(self, uri: str, env: Variables) -> None:
        self._uri = uri
        self._env = env
        name = urlsplit(uri).path.rpartition("/")[2]
        if not name:
            raise ModelInvalid(f"No filename contained in URI: {uri}")
        self._name = safe_name(name)

    async def manifest(self) -> Manifest:
        """Ask for the version without the content; servers that do not tell are asked in full."""
        async with self._answer("HEAD") as answer:
            if answer.status != HTTPStatus.OK:
                return Manifest((RemoteFile(self._name),))
            version = f"{answer.headers.get('ETag', '')} {answer.headers.get('Last-Modified', '')}"
            size = answer.headers.get("Content-Length", "-1")
            return Manifest((RemoteFile(self._name, int(size), version.strip()),))

    async def download(self, file: RemoteFile, sink: Sink) -> None:
        """Fetch the file."""
        async with self._answer("GET") as answer:
            self._require_ok(answer.status)
            self._require_type(answer.headers.get("Content-Type", ""))
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                await sink.write(chunk)

    def _require_ok(self, status: int) -> None:
        if status == HTTPStatus.OK:
            return
        text = f"URI: {self._uri} returned a {status} response code."
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise ModelDenied(text, anonymous=not self._headers(self._uri))
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise ModelNotFound(text)
        if status in _RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise SourceFailing(text)
        raise ModelInvalid(text)

    def _require_type(self, content_type: str) -> None:
        archive_types = (
            _ZIP_TYPES if is_zip(self._name) else _TAR_TYPES if is_tar(self._name) else ()
        )
        if content_type.startswith(archive_types or _FILE_TYPE):
            return
        if archive_types:
            raise ModelInvalid(
                f"URI: {self._uri} did not respond with any of following 'Content-Type': "
                + ", ".join(archive_types)
            )
        raise ModelInvalid(f"URI: {self._uri} did not respond with 'Content-Type': '{_FILE_TYPE}'")

    def _headers(self, url: str) -> dict[str, str]:
        name = f"{urlsplit(url).hostname}-headers"
        try:
            headers = json.loads(self._env.get(name) or "{}")
        except ValueError as error:
            raise ModelInvalid(f"The variable {name} is not a JSON object: {error}") from error
        if not isinstance(headers, dict):
            raise ModelInvalid(f"The variable {name} is not a JSON object")
        return {str(key): str(value) for key, value in headers.items()}

    @asynccontextmanager
    async def _answer(self, method: str) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
                await self._follow(session, method) as answer,
            ):
                yield answer
        except aiohttp.InvalidURL as error:
            raise ModelInvalid(f"{self._uri} is not a URL: {error}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceUnreachable(self._uri, _reason(error)) from error

    async def _follow(self, session: aiohttp.ClientSession, method: str) -> aiohttp.ClientResponse:
        url = self._uri
        for _ in range(_MOST_REDIRECTS + 1):
            # A body that is encoded on the way would have another size and hash than the file.
            headers = {"Accept-Encoding": "identity", **self._headers(url)}
            answer = await session.request(method, url, headers=headers, allow_redirects=False)
            if answer.status not in _REDIRECTS:
                return answer
            answer.release()
            target = urljoin(url, answer.headers.get("Location", ""))
            if urlsplit(target).scheme not in ("https", urlsplit(url).scheme):
                raise ModelInvalid(f"{self._uri} leads to {target}, which is not as secure")
            url = target
        raise ModelInvalid(f"{self._uri} leads to more than {_MOST_REDIRECTS} other addresses")


def _reason(error: Exception) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "it did not answer in time"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection broke off before the end"
    return str(error) or type(error).__name__
