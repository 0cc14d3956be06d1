"""What the server shows its clients, and how it knows them; `pki` makes it.

Reading needs no cryptography library: certificates are made and renewed by a short-lived process.
"""

import asyncio
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stagezero.apiserver.http import Authenticate, Certificate
from stagezero.kit.http import User


class IdentityFailed(Exception):
    """The certificate authority or the certificate could not be made; says why."""


@dataclass(frozen=True)
class Identity:
    """What the server shows (`certificate`), and what its clients need (`ca_pem`, `token`)."""

    certificate: Certificate
    ca_pem: str
    token: str


async def open_identity(directory: Path) -> Identity:
    """Have the identity of a state directory made or renewed where needed, and read it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stagezero.apiserver.pki", str(directory)),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode != 0:
        words = errors.decode(errors="replace").strip().splitlines() or ["it ended silently"]
        raise IdentityFailed(f"cannot make the server's certificate in {directory}: {words[-1]}")
    certificate = Certificate(directory / "server.crt", directory / "server.key")
    authority, token = directory / "ca.crt", directory / "token"
    return Identity(certificate, authority.read_text(), token.read_text().strip())


def bearer(users: Mapping[str, User]) -> Authenticate:
    """Authentication by bearer token: token to user; every token is compared in constant time."""
    known = [(f"Bearer {token}".encode(), user) for token, user in users.items()]

    def authenticate(headers: Mapping[str, str]) -> User | None:
        given = headers.get("authorization", "").encode()
        found = None
        for expected, user in known:
            if secrets.compare_digest(given, expected):
                found = user
        return found

    return authenticate
