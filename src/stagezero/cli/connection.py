"""Finds the API server of a command: the one that `up` started, or a kubeconfig's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stagezero.client.client import Client
from stagezero.client.discovery import Discovery
from stagezero.client.https import Https
from stagezero.client.kubeconfig import Access, KubeconfigError, load

R = TypeVar("R")


@dataclass(frozen=True)
class Connection:
    """An open client, and how to find what it serves."""

    client: Client
    discovery: Discovery
    namespace: str


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Connection]:
    """Connect with a kubeconfig file and close at the end."""
    access = _access(kubeconfig)
    client = Client(Https(access), agent="stagezero-cli")
    try:
        yield Connection(client, Discovery(client), access.namespace)
    finally:
        await client.close()


def _access(kubeconfig: Path) -> Access:
    if not kubeconfig.exists():
        raise KubeconfigError(
            f"{kubeconfig} does not exist: nothing was started here; run `stagezero up` first, "
            "or name its directory with --state"
        )
    return load(kubeconfig)


def with_connection(kubeconfig: Path, work: Callable[[Connection], Awaitable[R]]) -> R:
    """Run asynchronous work with a connection, from a synchronous command."""

    async def run() -> R:
        async with connected(kubeconfig) as connection:
            return await work(connection)

    return asyncio.run(run())
