"""The real Envoy on our xDS server, a backend that tells what it got, and a small HTTP client."""

import asyncio
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stagezero.mesh.bootstrap import EnvoySettings, envoy_command
from stagezero.mesh.plans.settings import GatewaySettings, ListenerAddress
from stagezero.mesh.xds import XdsServer

DEADLINE_S = 20.0


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Reply:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        """What the backend told: the request as it arrived."""
        return json.loads(self.body)


@dataclass
class Backend:
    """An HTTP/1.1 server that answers with its name and the request it got, as JSON."""

    name: str
    port: int = 0
    requests: int = 0
    delay_s: float = 0.0
    asked: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _server: asyncio.Server | None = field(default=None, repr=False)
    _open: set[asyncio.StreamWriter] = field(default_factory=set, repr=False)

    async def start(self) -> None:
        """Listen on a port of the loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = dict(_header(line) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests += 1
        self.asked.set()
        await asyncio.sleep(self.delay_s)
        told = {"backend": self.name, "method": method, "path": path, "headers": headers}
        payload = json.dumps({**told, "body": body.decode("latin-1")}).encode()
        upgrade = headers.get("upgrade")
        if upgrade:
            writer.write(
                f"HTTP/1.1 101 OK\r\nupgrade: {upgrade}\r\nconnection: upgrade\r\n\r\n".encode()
            )
            writer.write(await reader.readexactly(4))
        else:
            status = headers.get("x-status", "200")
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(payload)}\r\n\r\n".encode())
            writer.write(payload)
        await writer.drain()


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


async def fetch(
    port: int,
    host: str,
    path: str = "/",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Reply:
    """Send one request on a new connection."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"content-length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        answer = await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    head, _, payload = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    return Reply(int(first.split(" ")[1]), dict(_header(line) for line in rest), payload)


class RealEnvoy:
    """Envoy as a child process, and the xDS server it speaks to."""

    def __init__(self, directory: Path) -> None:
        self.settings = EnvoySettings(directory)
        self.http, self.local = free_port(), free_port()
        self.xds = XdsServer(f"unix:{self.settings.xds_socket}")
        self.process: asyncio.subprocess.Process | None = None

    @property
    def gateway(self) -> GatewaySettings:
        """The gateway's ports on this machine."""
        return GatewaySettings(
            {
                80: ListenerAddress("127.0.0.1", self.http),
                8081: ListenerAddress("127.0.0.1", self.local),
            },
            access_log=str(self.access_log),
        )

    @property
    def access_log(self) -> Path:
        """Where requests are logged."""
        return self.settings.directory / "access.log"

    async def start_envoy(self) -> None:
        """Start the process."""
        command = envoy_command(self.settings)
        for path, content in command.files.items():
            path.write_bytes(content)
        log = os.open(self.settings.directory / "envoy.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        try:
            self.process = await asyncio.create_subprocess_exec(
                *command.argv, stdout=log, stderr=log
            )
        finally:
            os.close(log)

    async def stop_envoy(self) -> None:
        """Kill the process."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
            self.process = None

    async def restart_server(self) -> None:
        """Another xDS server on the same socket, as after a crash of the control plane."""
        await self.xds.stop()
        self.xds = XdsServer(f"unix:{self.settings.xds_socket}")
        await self.xds.start()

    async def get(self, host: str, path: str = "/", **more: Any) -> Reply:
        """A request at the gateway's front door."""
        return await fetch(self.http, host, path, **more)

    async def admin(self, path: str) -> str:
        """Ask Envoy's admin interface."""
        socket_path = str(self.settings.admin_socket)
        reader, writer = await asyncio.open_unix_connection(socket_path)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer.decode("latin-1")


@asynccontextmanager
async def real_envoy() -> AsyncIterator[RealEnvoy]:
    """Start Envoy and our server in a short temporary directory (sockets need short paths)."""
    directory = Path(tempfile.mkdtemp(prefix="mesh-"))
    envoy = RealEnvoy(directory)
    await envoy.xds.start()
    await envoy.start_envoy()
    try:
        yield envoy
    finally:
        await envoy.stop_envoy()
        await envoy.xds.stop()
        shutil.rmtree(directory)


@asynccontextmanager
async def backends(names: Sequence[str]) -> AsyncIterator[list[Backend]]:
    """Backends by name."""
    started = [Backend(name) for name in names]
    for backend in started:
        await backend.start()
    try:
        yield started
    finally:
        for backend in started:
            await backend.stop()
