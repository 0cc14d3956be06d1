"""Requests and responses as values, between a transport and a protocol's handler.

A handler answers through the Exchange it was given, at once or later, exactly once: a callback
and no task, because a task a request would cost more than the request.
"""

from dataclasses import dataclass, field
from typing import Protocol

JSON_UTF8 = b"application/json; charset=UTF-8"


@dataclass(slots=True)
class Request:
    """One request; `path` is decoded and without query. Not frozen: the transport fills it in."""

    method: str = ""
    path: str = ""
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; headers beyond the content's own are given as finished pairs."""

    status: int
    body: bytes
    content_type: bytes = JSON_UTF8
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Exchange(Protocol):
    """Where one request's answer goes."""

    @property
    def is_abandoned(self) -> bool:
        """Say whether nobody is left to read the answer."""

    def respond(self, response: Response) -> None:
        """Send the answer; to be called once, on the event loop's thread."""


class Handler(Protocol):
    """A protocol's face to the transports."""

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer the request through the exchange, now or later."""

    def refusal(self, status: int, message: str) -> Response:
        """The answer to what the transport itself refuses, in the protocol's error form."""
