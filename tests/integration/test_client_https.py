"""The transport over TLS against a real server on loopback."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from stagezero.api import errors
from stagezero.client.https import Https, Timeouts
from stagezero.client.kubeconfig import Access, KubeconfigError
from stagezero.client.transport import Transport
from stagezero.kit.http import Request, WatchFrame
from support.authority import Authority

AUTHORITY = Authority()
SERVED = AUTHORITY.issue("localhost", "127.0.0.1")
PATH = "/api/v1/namespaces/default/pods"
WATCH = Request("GET", PATH, {"watch": "true"})
GET = Request("GET", PATH)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[Access]]


def server_tls(folder: Path, clients: Authority | None = None) -> ssl.SSLContext:
    pem = folder / "served.pem"
    pem.write_text(SERVED.certificate + SERVED.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if clients is not None:
        context.load_verify_locations(cadata=clients.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []

    async def start(answer: Answer, clients: Authority | None = None) -> Access:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls(tmp_path, clients)).start()
        port = runner.addresses[0][1]
        return Access(f"https://127.0.0.1:{port}", "the-config", authority=AUTHORITY.certificate)

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Transport]]:
    opened: list[Https] = []

    def open_one(access: Access, timeouts: Timeouts | None = None) -> Transport:
        opened.append(Https(access, timeouts))
        return opened[-1]

    yield open_one
    for transport in opened:
        await transport.close()


Connect = Callable[..., Transport]


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.path,
            "raw": request.raw_path,
            "query": dict(request.query),
            "type": request.headers.get("content-type"),
            "agent": request.headers.get("user-agent"),
            "authorization": request.headers.get("authorization"),
            "body": (await request.read()).decode(),
        },
        headers={"X-Served-By": "echo"},
    )


async def ask(transport: Transport, request: Request) -> dict[str, object]:
    response = await transport.send(request)
    assert response.status == 200
    answer: dict[str, object] = json.loads(response.body)
    return answer


# Requests


async def test_a_request_arrives_whole(serve: Serve, connect: Connect) -> None:
    request = Request(
        "PATCH",
        PATH + "/a",
        {"fieldManager": "x y&z"},
        {"content-type": "application/merge-patch+json", "user-agent": "me"},
        b'{"a": 1}',
    )
    got = await ask(connect(await serve(echo)), request)
    assert got["method"] == "PATCH"
    assert got["path"] == PATH + "/a"
    assert got["query"] == {"fieldManager": "x y&z"}
    assert (got["type"], got["agent"]) == ("application/merge-patch+json", "me")
    assert got["body"] == '{"a": 1}'


@pytest.mark.parametrize("name", ["a:b", "ö", "a b", "a%2Fb", "a?b", "a#b"])
async def test_a_path_is_encoded_once(serve: Serve, connect: Connect, name: str) -> None:
    got = await ask(connect(await serve(echo)), Request("GET", f"/api/{name}"))
    assert got["path"] == f"/api/{name}"
    assert got["query"] == {}


async def test_a_server_below_a_path_is_reached(serve: Serve, connect: Connect) -> None:
    access = await serve(echo)
    got = await ask(connect(replace(access, url=access.url + "/clusters/c1")), GET)
    assert got["path"] == "/clusters/c1" + PATH


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"token": "t0ken"}, "Bearer t0ken"),
        ({"username": "me", "password": "pw"}, "Basic bWU6cHc="),
        ({}, None),
    ],
    ids=["token", "password", "nobody"],
)
async def test_the_caller_says_who_it_is(
    serve: Serve, connect: Connect, fields: dict[str, Any], header: str | None
) -> None:
    access = replace(await serve(echo), **fields)
    assert (await ask(connect(access), GET))["authorization"] == header


async def test_headers_of_the_answer_are_lower_case(serve: Serve, connect: Connect) -> None:
    response = await connect(await serve(echo)).send(GET)
    assert response.headers["x-served-by"] == "echo"


async def test_a_refusal_is_a_response(serve: Serve, connect: Connect) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"reason": "NotFound"}, status=404)

    response = await connect(await serve(refuse)).send(GET)
    assert (response.status, response.body) == (404, b'{"reason": "NotFound"}')


async def test_a_redirect_is_not_followed(serve: Serve, connect: Connect) -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound("https://elsewhere.invalid/")

    assert (await connect(await serve(redirect)).send(GET)).status == 302


async def test_connections_are_kept(serve: Serve, connect: Connect) -> None:
    peers = []

    async def note(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.append(request.transport.get_extra_info("peername"))
        return web.Response()

    transport = connect(await serve(note))
    for _ in range(3):
        await transport.send(GET)
    assert len(peers) == 3
    assert len(set(peers)) == 1


async def test_large_answers_come_whole(serve: Serve, connect: Connect) -> None:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5_000_000)

    assert len((await connect(await serve(large)).send(GET)).body) == 5_000_000


# Trust


async def test_a_client_certificate_is_shown(serve: Serve, connect: Connect) -> None:
    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert")
        return web.Response(text=str(peer["subject"]))

    access = await serve(who, AUTHORITY)
    mine = AUTHORITY.issue("system:admin")
    access = replace(access, certificate=mine.certificate, key=mine.key)
    assert b"system:admin" in (await connect(access).send(GET)).body


async def test_a_server_that_wants_a_certificate_is_unavailable_without(
    serve: Serve, connect: Connect
) -> None:
    access = await serve(echo, AUTHORITY)
    with pytest.raises(errors.Unavailable):
        await connect(access).send(GET)


async def test_another_authoritys_server_is_not_trusted(serve: Serve, connect: Connect) -> None:
    access = replace(await serve(echo), authority=Authority("another").certificate)
    with pytest.raises(errors.Unavailable) as refused:
        await connect(access).send(GET)
    assert access.url in refused.value.message
    assert "certificate verify failed" in refused.value.message
    assert "the-config does not trust that server" in refused.value.message


async def test_trust_can_be_waived(serve: Serve, connect: Connect) -> None:
    access = replace(await serve(echo), authority="", is_verified=False)
    assert (await connect(access).send(GET)).status == 200


async def test_the_servers_name_can_be_given(serve: Serve, connect: Connect) -> None:
    access = replace(await serve(echo), server_name="localhost")
    assert (await connect(access).send(GET)).status == 200
    with pytest.raises(errors.Unavailable, match="example"):
        await connect(replace(access, server_name="example")).send(GET)


@pytest.mark.parametrize(
    "fields",
    [{"authority": "no PEM"}, {"certificate": "no PEM", "key": "no PEM"}],
    ids=["authority", "certificate"],
)
def test_certificates_that_are_none_are_refused_at_once(fields: dict[str, Any]) -> None:
    with pytest.raises(KubeconfigError, match="the-config: its certificates cannot be used"):
        Https(Access("https://127.0.0.1:1", "the-config", **fields))


async def test_a_certificates_file_does_not_stay_behind(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    mine = AUTHORITY.issue("me")
    connect(Access("https://127.0.0.1:1", certificate=mine.certificate, key=mine.key))
    assert list(folder.iterdir()) == []


# Nobody there


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def test_nobody_listening_is_unavailable_and_says_what_to_do(connect: Connect) -> None:
    url = f"https://127.0.0.1:{free_port()}"
    with pytest.raises(errors.Unavailable) as refused:
        await connect(Access(url, "the-config")).send(GET)
    assert refused.value.message == (
        f"cannot reach the API server at {url}: Connection refused. Is it running? "
        "`stagezero up` starts one here; the address is from the-config"
    )


async def test_a_watch_of_nobody_is_unavailable(connect: Connect) -> None:
    with pytest.raises(errors.Unavailable, match="Connection refused"):
        async with connect(Access(f"https://127.0.0.1:{free_port()}")).watch(WATCH):
            pytest.fail("there is nobody to watch")


async def test_a_host_without_address_is_unavailable(connect: Connect) -> None:
    with pytest.raises(errors.Unavailable, match=r"https://no-such-host\.invalid"):
        await connect(Access("https://no-such-host.invalid")).send(GET)


async def test_a_server_without_tls_is_told_apart(connect: Connect) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(errors.Unavailable, match="does not speak the TLS"):
        await connect(Access(f"https://127.0.0.1:{port}")).send(GET)
    server.close()
    await server.wait_closed()


async def test_a_server_that_does_not_answer_is_unavailable(serve: Serve, connect: Connect) -> None:
    async def sleep(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    transport = connect(await serve(sleep), Timeouts(answer_s=0.05))
    with pytest.raises(errors.Unavailable, match="did not answer in time"):
        await transport.send(GET)


async def test_an_answer_that_is_cut_is_unavailable(serve: Serve, connect: Connect) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(b"only this")
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(errors.Unavailable, match="cannot reach"):
        await connect(await serve(cut)).send(GET)


async def test_the_next_request_goes_well_after_a_failure(serve: Serve, connect: Connect) -> None:
    asked = 0

    async def moody(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.sleep(0.5)
        return web.Response()

    transport = connect(await serve(moody), Timeouts(answer_s=0.1))
    with pytest.raises(errors.Unavailable):
        await transport.send(GET)
    assert (await transport.send(GET)).status == 200


# Watches


def streaming(*pieces: bytes, then: Callable[[], Awaitable[object]] | None = None) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then is not None:
            await then()
        return response

    return answer


async def frames_of(transport: Transport) -> list[WatchFrame]:
    async with transport.watch(WATCH) as frames:
        return [frame async for frame in frames]


async def test_frames_carry_the_objects_bytes(serve: Serve, connect: Connect) -> None:
    lines = b'{"type":"ADDED","object":{"a": 1}}\n', b'{"type":"DELETED","object":{"b":2}}\n'
    frames = await frames_of(connect(await serve(streaming(*lines))))
    assert frames == [("ADDED", b'{"a": 1}'), ("DELETED", b'{"b":2}')]


async def test_frames_come_as_they_are_sent(serve: Serve, connect: Connect) -> None:
    more = asyncio.Event()
    answer = streaming(b'{"type":"ADDED","object":{}}\n', then=more.wait)
    async with connect(await serve(answer)).watch(WATCH) as frames:
        async with asyncio.timeout(5):
            assert (await anext(frames)).type == "ADDED"
        more.set()


async def test_a_line_may_be_long(serve: Serve, connect: Connect) -> None:
    text = b'"' + b"x" * 3_000_000 + b'"'
    pieces = b'{"type":"ADDED","object":', text, b"}\n"
    frames = await frames_of(connect(await serve(streaming(*pieces))))
    assert frames == [("ADDED", text)]


async def test_a_half_line_at_the_end_is_dropped(serve: Serve, connect: Connect) -> None:
    answer = streaming(b'{"type":"ADDED","object":{}}\n{"type":"ADD')
    assert len(await frames_of(connect(await serve(answer)))) == 1


async def test_a_lost_connection_ends_the_frames(serve: Serve, connect: Connect) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{}}\n')
        assert request.transport is not None
        request.transport.close()
        return response

    assert len(await frames_of(connect(await serve(cut)))) == 1


async def test_a_silent_watch_is_ended(serve: Serve, connect: Connect) -> None:
    answer = streaming(b'{"type":"ADDED","object":{}}\n', then=asyncio.Event().wait)
    transport = connect(await serve(answer), Timeouts(watch_s=0.1))
    async with asyncio.timeout(5):
        assert len(await frames_of(transport)) == 1


async def test_a_refused_watch_raises_what_the_status_names(serve: Serve, connect: Connect) -> None:
    async def gone(request: web.Request) -> web.Response:
        return web.json_response({"reason": "Expired", "message": "too old"}, status=410)

    with pytest.raises(errors.Gone, match="too old"):
        await frames_of(connect(await serve(gone)))


async def test_a_refusal_without_a_status_is_told_by_its_code(
    serve: Serve, connect: Connect
) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401, text="go away")

    with pytest.raises(errors.Unauthorized, match="go away"):
        await frames_of(connect(await serve(refuse)))


async def test_a_line_that_is_no_event_is_shown(serve: Serve, connect: Connect) -> None:
    with pytest.raises(errors.InternalError, match=r"no watch event.*<html>"):
        await frames_of(connect(await serve(streaming(b"<html>\n"))))


async def test_leaving_a_watch_closes_its_connection(serve: Serve, connect: Connect) -> None:
    left = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{}}\n')
        while request.transport and not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp has no event for it
            await asyncio.sleep(0.01)
        left.set()
        return response

    async with connect(await serve(answer)).watch(WATCH) as frames:
        await anext(frames)
    await asyncio.wait_for(left.wait(), 5)


# Logs


LOG = Request("GET", PATH + "/a/log", {"follow": "true"})


async def test_a_log_is_a_stream(serve: Serve, connect: Connect) -> None:
    more = asyncio.Event()
    response = await connect(await serve(streaming(b"line 1\n", then=more.wait))).send(LOG)
    assert response.stream is not None
    async with asyncio.timeout(5):
        assert await anext(response.stream) == b"line 1\n"
        more.set()
        assert [piece async for piece in response.stream] == []


async def test_a_followed_log_may_be_silent(serve: Serve, connect: Connect) -> None:
    more = asyncio.Event()
    access = await serve(streaming(b"1", then=more.wait))
    response = await connect(access, Timeouts(answer_s=0.05)).send(LOG)
    assert response.stream is not None
    assert await anext(response.stream) == b"1"
    asyncio.get_running_loop().call_later(0.2, more.set)
    assert [piece async for piece in response.stream] == []


async def test_a_refused_log_is_a_whole_response(serve: Serve, connect: Connect) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"reason": "NotFound"}, status=404)

    response = await connect(await serve(refuse)).send(LOG)
    assert response.stream is None
    assert b"NotFound" in response.body


async def test_closing_twice_is_harmless(serve: Serve, connect: Connect) -> None:
    transport = connect(await serve(echo))
    await transport.send(GET)
    await transport.close()
    await transport.close()
