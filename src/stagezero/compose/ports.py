"""Which ports an installation has: chosen once, kept as long as they are free.

The gateway wants 80 and 443, and takes 8080 and 8443, or any, where it may not have them. The
choice is written down, so that URLs stay good and an Envoy that outlived us is left alone. Between
choice and use lies a second: what is chosen is claimed, so that two starts cannot choose the same.
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
_TRIES = 20  # for a port that nobody uses, until one is found that nobody has claimed


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


class Claims:
    """Ports of one host that no other installation of the machine may choose, until `close`.

    A claim is a name among the machine's abstract sockets: like a port it is had by one process of
    a network, whoever its user is, and ends with that process however it ends.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._held: dict[int, socket.socket] = {}

    def free(self, port: int) -> int:
        """Claim a port that nobody uses, any for 0; OSError if it is used or claimed."""
        for _ in range(_TRIES):
            with socket.create_server((self.host, port)) as listener:
                found = int(listener.getsockname()[1])
            with contextlib.suppress(OSError):
                self.take(found)
                return found
            if port:
                break
        raise OSError(errno.EADDRINUSE, "another installation is starting on it")

    def take(self, port: int) -> None:
        """Claim a port, used or not; OSError if another has claimed it, or we have for another."""
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0stagezero/{self.host}:{port}")
        except OSError:
            claim.close()
            raise
        self._held[port] = claim

    def close(self) -> None:
        """Give all claims back: who listens by now has the ports."""
        for claim in self._held.values():
            claim.close()
        self._held.clear()


def choose(settings: Settings, file: Path, claims: Claims, *, is_gateway_running: bool) -> Ports:
    """Choose ports: as asked, else as written down and still free, else the first free wish."""
    before = _read(file)
    api = _one("API", claims, settings.api_port or None, (*_kept(before, "api"), *API))
    if before is not None and is_gateway_running:
        ports = Ports(api, before.http, before.https, before.local)
        for port in (ports.http, ports.https, ports.local):
            with contextlib.suppress(OSError):  # Envoy has it, whoever claims it
                claims.take(port)
    else:
        ports = Ports(
            api,
            _one("http", claims, settings.http_port, (*_kept(before, "http"), *HTTP)),
            _one("https", claims, settings.https_port, (*_kept(before, "https"), *HTTPS)),
            _one("local", claims, settings.local_port or None, (*_kept(before, "local"), *LOCAL)),
        )
    new = file.with_suffix(".new")  # whoever reads meanwhile finds the old or the new, all of it
    new.write_text(json.dumps(asdict(ports)))
    new.replace(file)
    return ports


def _kept(before: Ports | None, name: str) -> tuple[int, ...]:
    return () if before is None else (getattr(before, name),)


def _read(file: Path) -> Ports | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Ports(**json.loads(file.read_text()))
    return None


def _one(what: str, claims: Claims, asked: int | None, wishes: Sequence[int]) -> int:
    if asked is not None:
        try:
            return claims.free(asked)
        except OSError as error:
            raise PortTaken(what, claims.host, asked, error) from error
    for wish in wishes:
        with contextlib.suppress(OSError):
            return claims.free(wish)
    raise PortTaken(what, claims.host, 0, OSError(errno.EADDRNOTAVAIL, "no port is free"))
