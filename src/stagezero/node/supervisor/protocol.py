"""How the supervisor and its clients speak: one JSON object a line over a Unix stream socket.

A client opens with `{"op": "hello", "version": N}`. Requests carry an `id`, which the answer
repeats beside `ok` and, if refused, `error: {code, message}`. After `watch` the server also sends
`{"event": {...}}` lines. Lines and buffers are bounded on both sides.
"""

import json
from typing import Any

VERSION = 1
LINE_LIMIT_BYTES = 1 << 20
UNSENT_LIMIT_BYTES = 32 << 20
UNSENT_EVENTS_LIMIT_BYTES = 1 << 20

Message = dict[str, Any]


class Refused(Exception):
    """The supervisor says no: `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


BAD_REQUEST = "BadRequest"
EXISTS = "AlreadyExists"
NOT_FOUND = "NotFound"
START_FAILED = "StartFailed"
TOO_MANY = "TooMany"
VERSION_MISMATCH = "VersionMismatch"


def encode(message: Message) -> bytes:
    """Write one message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Read one line; Refused if it is not a JSON object."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused(BAD_REQUEST, f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise Refused(BAD_REQUEST, f"expected an object, got {type(message).__name__}")
    return message


class LineBuffer:
    """Cuts what arrives into lines; Refused if a line grows beyond the limit."""

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take over received bytes and return the lines that are complete."""
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        if len(rest) > self._limit or any(len(line) > self._limit for line in lines):
            raise Refused(BAD_REQUEST, f"a line is longer than {self._limit} bytes")
        return [bytes(line) for line in lines if line]
