"""What all connections of one server share: the handler, the log, the limits, and who is there."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol

from stagezero.modelserver.access import AccessLog
from stagezero.modelserver.transports.messages import Handler


class PortConnection(Protocol):
    """What a server may do to one of its connections."""

    def check_time(self, now: float) -> None:
        """Close the connection if its client has been silent for too long."""

    def close_if_idle(self) -> None:
        """Close the connection unless something is under way on it."""

    def abort(self) -> None:
        """End the connection whatever is owed on it."""


@dataclass(frozen=True)
class Limits:
    """What a client may do to us."""

    max_body_bytes: int
    head_timeout_s: float = 60.0  # from a request's first byte to the end of its headers
    body_timeout_s: float = 60.0  # without a single byte of the body
    idle_timeout_s: float = 3600.0  # as tornado: a proxy's pooled connection must not be cut early


@dataclass
class Port:
    """What all connections of a server share."""

    handler: Handler
    access: AccessLog
    limits: Limits
    loop: asyncio.AbstractEventLoop
    connections: "set[PortConnection]" = field(default_factory=set)
    has_emptied: asyncio.Event = field(default_factory=asyncio.Event)  # while draining
    is_draining: bool = False
    clock: Callable[[], float] = time.monotonic  # uvloop's own counts whole milliseconds
    _date: bytes = b""
    _date_second: int = 0

    def date(self) -> bytes:
        """The Date header's line, made once a second."""
        second = int(time.time())
        if second != self._date_second:
            self._date_second = second
            self._date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._date
