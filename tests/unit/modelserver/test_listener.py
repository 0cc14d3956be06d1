"""The port: TCP and Unix sockets, slow neighbours, and an end that loses nothing."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from stagezero.modelserver.access import AccessLog
from stagezero.modelserver.arguments import Settings
from stagezero.modelserver.errors import CannotStart
from stagezero.modelserver.transports.listener import drain, listen
from stagezero.modelserver.transports.port import Limits, Port
from support.modelserver import EchoHandler, SlowHandler

REQUEST = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
async def access(tmp_path: Path) -> AsyncIterator[AccessLog]:
    descriptor = os.open(tmp_path / "access.log", os.O_WRONLY | os.O_CREAT)
    access = AccessLog(asyncio.get_running_loop(), descriptor)
    yield access
    access.flush()
    os.close(descriptor)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("sklearn", "m", tmp_path, unix_socket=tmp_path / "m.sock")


def port_of(handler: SlowHandler, access: AccessLog) -> Port:
    return Port(handler, access, Limits(1000), asyncio.get_running_loop())


async def ask(path: Path, request: bytes = REQUEST) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return body


async def test_a_unix_socket_is_served(settings: Settings, access: AccessLog) -> None:
    port = port_of(EchoHandler(), access)
    server = await listen(settings, port)
    assert settings.unix_socket is not None
    assert await ask(settings.unix_socket) == b"POST /x hi"
    assert await drain(server, port, 1)


async def test_a_stale_socket_is_replaced(settings: Settings, access: AccessLog) -> None:
    path = settings.unix_socket
    assert path is not None
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    port = port_of(EchoHandler(), access)
    server = await listen(settings, port)
    assert await ask(path) == b"POST /x hi"
    await drain(server, port, 1)


async def test_a_file_in_the_way_is_not_removed(settings: Settings, access: AccessLog) -> None:
    assert settings.unix_socket is not None
    settings.unix_socket.write_text("precious")
    with pytest.raises(CannotStart, match="is no socket"):
        await listen(settings, port_of(EchoHandler(), access))
    assert settings.unix_socket.read_text() == "precious"


async def test_a_port_in_use_is_named(settings: Settings, access: AccessLog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        tcp = replace(settings, unix_socket=None, host="127.0.0.1", port=number)
        with pytest.raises(CannotStart) as caught:
            await listen(tcp, port_of(EchoHandler(), access))
    message = str(caught.value)
    assert message.startswith(f"cannot listen on 127.0.0.1:{number}: ")
    assert "address already in use" in message.lower()


async def test_half_a_request_does_not_hold_up_others(
    settings: Settings, access: AccessLog
) -> None:
    port = port_of(EchoHandler(), access)
    server = await listen(settings, port)
    path = settings.unix_socket
    assert path is not None
    _, slow = await asyncio.open_unix_connection(path)
    slow.write(REQUEST[:20])
    await slow.drain()
    assert await ask(path) == b"POST /x hi"
    slow.close()
    await slow.wait_closed()
    await drain(server, port, 1)


async def test_what_is_under_way_is_finished(settings: Settings, access: AccessLog) -> None:
    handler = SlowHandler()
    port = port_of(handler, access)
    server = await listen(settings, port)
    path = settings.unix_socket
    assert path is not None
    asking = asyncio.create_task(ask(path))
    await handler.was_asked.wait()
    draining = asyncio.create_task(drain(server, port, 5))
    await asyncio.sleep(0)  # the task begins
    assert port.is_draining
    handler.answer(b"late")
    assert await asking == b"late"
    assert await draining


async def test_what_does_not_finish_in_time_is_cut(settings: Settings, access: AccessLog) -> None:
    handler = SlowHandler()
    port = port_of(handler, access)
    server = await listen(settings, port)
    path = settings.unix_socket
    assert path is not None
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(REQUEST)
    await handler.was_asked.wait()
    assert not await drain(server, port, 0.01)
    assert await reader.read() == b""
    writer.close()


async def test_a_stopping_server_closes_idle_connections(
    settings: Settings, access: AccessLog
) -> None:
    port = port_of(EchoHandler(), access)
    server = await listen(settings, port)
    path = settings.unix_socket
    assert path is not None
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(REQUEST)
    await reader.readuntil(b"POST /x hi")
    assert await drain(server, port, 5)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
