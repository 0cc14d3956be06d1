"""The API over real TLS connections on the loopback."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stagezero.api.config import ConfigMap
from stagezero.apiserver import identity as identity_of
from stagezero.apiserver import pki
from stagezero.apiserver.decoding import BODY_LIMIT_BYTES
from stagezero.apiserver.http import AddressInUse, Application, HttpServer
from stagezero.apiserver.server import Kinds
from stagezero.client.client import Client
from stagezero.kit.clock import SystemClock
from stagezero.kit.http import Request, Response
from support.api_server import ADMIN, LOOP, Api

CONFIG = "/api/v1/namespaces/default/configmaps"


class Served:
    """A server and a session that may use it."""

    def __init__(self, api: Api, http: HttpServer, session: aiohttp.ClientSession) -> None:
        self.api, self.http, self.session = api, http, session

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.get(path, **options) as response:
            return response.status, await response.json(content_type=None)


@asynccontextmanager
async def serving(api: Api, state: Path) -> AsyncIterator[Served]:
    identity = pki.load_or_create(state, SystemClock().now())
    application = Application(api.server.handle, identity_of.bearer({identity.token: ADMIN}))
    http = HttpServer(application, certificate=identity.certificate)
    await http.start()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=identity.ca_pem))
    headers = {"authorization": f"Bearer {identity.token}"}
    base = f"https://127.0.0.1:{http.port}"
    async with aiohttp.ClientSession(base, connector=connector, headers=headers) as session:
        try:
            yield Served(api, http, session)
        finally:
            await api.server.close()
    await http.stop()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    api = await Api().with_namespaces("default")
    async with serving(api, tmp_path) as served:
        yield served


async def test_an_object_goes_in_and_comes_out(served: Served) -> None:
    raw = {"metadata": {"name": "c"}, "data": {"a": "ä"}}
    async with served.session.post(CONFIG, json=raw) as response:
        assert response.status == 201
    status, body = await served.get(f"{CONFIG}/c")
    assert (status, body["data"]) == (200, {"a": "ä"})


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic YTpi"])
async def test_without_the_token_nothing_is_told(served: Served, token: str) -> None:
    status, body = await served.get("/api/v1/namespaces", headers={"authorization": token})
    assert (status, body["reason"], body["kind"]) == (401, "Unauthorized", "Status")


async def test_health_needs_no_token(served: Served) -> None:
    async with served.session.get("/readyz", headers={"authorization": ""}) as response:
        assert (response.status, await response.text()) == (200, "ok")


async def test_every_event_is_sent_at_once(served: Served) -> None:
    async with served.session.get(f"{CONFIG}?watch=true") as response:
        for name in ("a", "b"):
            await served.api.create(CONFIG, {"metadata": {"name": name}})
            async with asyncio.timeout(5):
                event = json.loads(await response.content.readline())
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)


async def test_a_client_that_goes_ends_its_watch(served: Served) -> None:
    async with served.session.get(f"{CONFIG}?watch=true"):
        assert len(served.api.server.watches) == 1
    async with asyncio.timeout(5):
        while served.api.server.watches:  # noqa: ASYNC110 - the other side of a real connection
            await asyncio.sleep(0.01)


async def test_stopping_ends_watches_within_a_second(served: Served) -> None:
    loop = asyncio.get_running_loop()
    async with served.session.get(f"{CONFIG}?watch=true") as response:
        begun = loop.time()
        await served.api.server.close()
        async with asyncio.timeout(5):
            assert await response.content.read() == b""
    assert loop.time() - begun < 1


async def test_stopping_the_listener_alone_ends_watches_properly(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with served.session.get(f"{CONFIG}?watch=true") as response:
        stopping = asyncio.create_task(served.http.stop())
        async with asyncio.timeout(1):
            assert await response.content.read() == b""
    await stopping
    assert not caplog.records


async def test_a_body_over_the_limit_is_refused(served: Served) -> None:
    body = b" " * (BODY_LIMIT_BYTES + 1)
    async with served.session.post(CONFIG, data=io.BytesIO(body)) as response:
        assert response.status == 413
        assert (await response.json())["reason"] == "RequestEntityTooLarge"


async def test_a_path_is_decoded(served: Served) -> None:
    assert (await served.get("/api/v1/namespaces%2Fdefault"))[0] == 200


async def test_a_query_may_hold_a_selector(served: Served) -> None:
    query = {"labelSelector": "a in (b,c),!d"}
    status, body = await served.get(CONFIG, params=query)
    assert (status, body["items"]) == (200, [])


async def test_garbage_does_not_stop_the_server(served: Served) -> None:
    for garbage in (b"\x00\xff\x16\x03", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.http.port)
        writer.write(garbage)
        writer.write_eof()
        await reader.read()
        writer.close()
    assert (await served.get("/version"))[0] == 200


async def test_two_servers_cannot_have_one_port(served: Served) -> None:
    other = HttpServer(Application(served.api.server.handle, lambda headers: None),
                       port=served.http.port)  # fmt: skip
    with pytest.raises(AddressInUse, match=f"port {served.http.port} of 127.0.0.1 is in use"):
        await other.start()


async def test_a_stream_is_passed_on(tmp_path: Path) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b"two\n"

    async def log(request: Request) -> Response:
        return Response(200, headers={"content-type": "text/plain"}, stream=lines())

    api = await Api(kinds=Kinds(subresources={("pods", "log"): log})).with_namespaces("default")
    pods = "/api/v1/namespaces/default/pods"
    async with serving(api, tmp_path) as served:
        status, _ = await served.get(f"{pods}/p/log")
        assert status == 404
        await api.create(pods, {"metadata": {"name": "p"}, "spec": {"containers": []}})
        async with served.session.get(f"{pods}/p/log?follow=true") as response:
            assert await response.read() == b"one\ntwo\n"


async def test_the_typed_client_speaks_to_the_server(served: Served) -> None:
    client = served.api.client(LOOP)
    raw = {"metadata": {"name": "c", "namespace": "default"}}
    await served.api.create(CONFIG, raw)
    found = await Client.get(client, ConfigMap, "c", "default")
    assert found.metadata.name == "c"
