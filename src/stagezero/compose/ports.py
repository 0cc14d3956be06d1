"""Which ports an installation has: chosen once, kept as long as they are free.

The gateway wants 80 and 443, and takes 8080 and 8443, or any, where it may not have them. The
choice is written down, so that URLs stay good and an Envoy that outlived us is left alone.
"""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stagezero.compose.settings import Settings

API, HTTP, HTTPS, LOCAL = (6443, 0), (80, 8080, 0), (443, 8443, 0), (0,)


@dataclass(frozen=True)
class Ports:
    """The ports of an installation on its host."""

    api: int
    http: int
    https: int
    local: int


class PortTaken(Exception):
    """A port that was asked for by number cannot be had."""

    def __init__(self, what: str, host: str, port: int, error: OSError) -> None:
        why = os.strerror(error.errno) if error.errno else str(error)
        is_reserved = isinstance(error, PermissionError)
        remedy = (
            "This port is for root alone: choose a higher one."
            if is_reserved
            else "Stop what listens there (`ss -ltnp` shows it) or choose another port."
        )
        super().__init__(
            f"port {port} of {host}, asked for as the {what} port, cannot be used: {why}. {remedy}"
        )


def choose(settings: Settings, file: Path, *, is_gateway_running: bool) -> Ports:
    """Choose ports: as asked, else as written down and still free, else the first free wish."""
    before = _read(file)
    host = settings.host
    api = _one("API", host, settings.api_port or None, (*_kept(before, "api"), *API))
    if before is not None and is_gateway_running:
        ports = Ports(api, before.http, before.https, before.local)
    else:
        ports = Ports(
            api,
            _one("http", host, settings.http_port, (*_kept(before, "http"), *HTTP)),
            _one("https", host, settings.https_port, (*_kept(before, "https"), *HTTPS)),
            _one("local", host, settings.local_port or None, (*_kept(before, "local"), *LOCAL)),
        )
    file.write_text(json.dumps(asdict(ports)))
    return ports


def _kept(before: Ports | None, name: str) -> tuple[int, ...]:
    return () if before is None else (getattr(before, name),)


def _read(file: Path) -> Ports | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Ports(**json.loads(file.read_text()))
    return None


def _one(what: str, host: str, asked: int | None, wishes: Sequence[int]) -> int:
    if asked is not None:
        try:
            return _free(host, asked)
        except OSError as error:
            raise PortTaken(what, host, asked, error) from error
    for wish in wishes:
        with contextlib.suppress(OSError):
            return _free(host, wish)
    raise PortTaken(what, host, 0, OSError(errno.EADDRNOTAVAIL, "no port is free"))


def _free(host: str, port: int) -> int:
    with socket.create_server((host, port)) as listener:
        return int(listener.getsockname()[1])
