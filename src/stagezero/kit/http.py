"""HTTP messages as values: the API server and its clients meet without a socket between them.

A `Handler` answers a `Request` with a `Response`; whether bytes crossed a TLS connection or
nothing at all is the transport's business. Watches answer with `events` instead of a body: pairs
of type and the object's encoded bytes, shared and never copied in process.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

JSON = "application/json"


@dataclass(frozen=True)
class User:
    """Who asks, as authentication found out."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """One request; `path` is decoded and without query, header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    user: User = User("system:anonymous")


class WatchFrame(NamedTuple):
    """One event of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and the encoded object."""

    type: str
    object: bytes


@dataclass(frozen=True)
class Response:
    """One answer: a whole body, a stream of bytes, or the frames of a watch (never two of them)."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": JSON})
    stream: AsyncIterator[bytes] | None = None
    events: AsyncIterator[WatchFrame] | None = None


Handler = Callable[[Request], Awaitable[Response]]
