"""An API server over a memory store: in process, or behind TLS for the real kubectl."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stagezero.api.base import Raw
from stagezero.apiserver import identity as identity_of
from stagezero.apiserver import kubeconfig, pki
from stagezero.apiserver.http import Application, HttpServer
from stagezero.apiserver.server import ApiServer, Kinds
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.kit.clock import Clock, SystemClock
from stagezero.kit.http import JSON, Request, Response, User
from stagezero.store.base import Store
from stagezero.store.memory import MemoryStore

ADMIN = User("admin", ("system:masters", "system:authenticated"))
LOOP = User("controllers", ("system:stagezero",))


@dataclass
class Answer:
    """A response, decoded."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def message(self) -> str:
        """The message of a refusal."""
        return str(self.body["message"])

    @property
    def items(self) -> list[str]:
        """The names of a list's items."""
        return [item["metadata"]["name"] for item in self.body["items"]]


class Api:
    """Sends requests to a server in process, as an administrator unless told otherwise."""

    def __init__(
        self,
        store: Store | None = None,
        clock: Clock | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        self.server = ApiServer(self.store, clock or SystemClock(), kinds)

    def client(self, user: User = ADMIN) -> Client:
        """The typed client on this server."""
        return Client(InProcess(self.server.handle, user))

    async def send(
        self,
        method: str,
        url: str,
        body: object = b"",
        *,
        content_type: str = JSON,
        user: User = ADMIN,
        accept: str = JSON,
    ) -> Answer:
        """Send a request; the body is bytes, or a value to be written as JSON."""
        response = await self.respond(
            method, url, body, content_type=content_type, user=user, accept=accept
        )
        decoded = msgspec.json.decode(response.body) if response.body else None
        return Answer(response.status, decoded, response.headers)

    async def respond(
        self,
        method: str,
        url: str,
        body: object = b"",
        *,
        content_type: str = JSON,
        user: User = ADMIN,
        accept: str = JSON,
    ) -> Response:
        """Send a request and return the response as it came."""
        path, _, text = url.partition("?")
        query = dict(pair.partition("=")[::2] for pair in text.split("&") if pair)
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"accept": accept, "content-type": content_type}
        return await self.server.handle(Request(method, path, query, headers, data, user))

    async def create(self, path: str, raw: Raw, **options: Any) -> Raw:
        """Create an object; anything but 201 fails the test."""
        answer = await self.send("POST", path, raw, **options)
        assert answer.status == 201, answer.body
        created: Raw = answer.body
        return created

    async def get(self, path: str) -> Raw:
        """Read an object; anything but 200 fails the test."""
        answer = await self.send("GET", path)
        assert answer.status == 200, answer.body
        found: Raw = answer.body
        return found

    async def with_namespaces(self, *names: str) -> Api:
        """The same, with namespaces in it."""
        for name in names:
            await self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return self


@asynccontextmanager
async def serving(api: Api, state: Path, port: int = 0) -> AsyncIterator[Path]:
    """Serve over TLS; yields the path of a kubeconfig."""
    identity = pki.load_or_create(state / "pki", SystemClock().now())
    application = Application(api.server.handle, identity_of.bearer({identity.token: ADMIN}))
    http = HttpServer(application, port=port, certificate=identity.certificate)
    await http.start()
    path = state / "kubeconfig"
    server = f"https://127.0.0.1:{http.port}"
    kubeconfig.write(path, kubeconfig.kubeconfig(server, identity.ca_pem, identity.token))
    try:
        yield path
    finally:
        await api.server.close()
        await http.stop()
