"""One probe, carried out: an HTTP request, a TCP connection, a command within the container."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from stagezero.api.container import Container, HTTPGetAction, Probe
from stagezero.node.sandbox.runtime import ExecResult, Isolation, RuntimeFailed, Sandbox

_HEAD_LIMIT_BYTES = 64 << 10
_BODY_SHOWN_BYTES = 200
RELAY_PATIENCE_S = 0.05

Execute = Callable[[Sequence[str], float], Awaitable[ExecResult]]
"""Run a command within the container, for so many seconds at most."""


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found; `message` says why it failed."""

    is_success: bool
    message: str = ""


@dataclass(frozen=True)
class Target:
    """Whom to probe."""

    container: Container
    sandbox: Sandbox
    execute: Execute


async def call(probe: Probe, target: Target, timeout_s: float) -> ProbeResult:
    """Probe once; every failure is a result, not an error."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _call(probe, target, timeout_s)
    except TimeoutError:
        return ProbeResult(False, f"no answer within {timeout_s:g} s")
    except (OSError, RuntimeFailed, ValueError) as error:
        return ProbeResult(False, str(error))


async def _call(probe: Probe, target: Target, timeout_s: float) -> ProbeResult:
    if probe.exec is not None:
        result = await target.execute(probe.exec.command, timeout_s)
        return ProbeResult(result.exit_code == 0, result.output.strip())
    if probe.http_get is not None:
        return await _http_get(probe.http_get, target)
    if probe.tcp_socket is not None:
        host = probe.tcp_socket.host or target.sandbox.ip
        port = target.sandbox.port(port_number(probe.tcp_socket.port, target.container))
        is_relayed = target.sandbox.isolation is Isolation.PASTA
        return await _connect(host, port, is_relayed=is_relayed)
    return ProbeResult(False, "probes of gRPC are not supported here; use tcpSocket or exec")


def port_number(port: int | str, container: Container) -> int:
    """A probe's port: a number, a name, or 0 for the container's (first) port."""
    if isinstance(port, str) and port.isdecimal():
        port = int(port)
    if isinstance(port, int) and port:
        return port
    for candidate in container.ports:
        if port in (0, "", candidate.name):
            return candidate.container_port
    raise ValueError(f'container {container.name} has no port "{port}"')


async def _connect(host: str, port: int, *, is_relayed: bool) -> ProbeResult:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return ProbeResult(False, f"dial tcp {host}:{port}: {_plain(error)}")
    try:
        is_open = not is_relayed or await _stays_open(reader)
    finally:
        await _close(writer)
    refused = "" if is_open else f"dial tcp {host}:{port}: connect: connection refused"
    return ProbeResult(is_open, refused)


async def _stays_open(reader: asyncio.StreamReader) -> bool:
    """Whether a connection through a relay, which accepts for everybody, is not closed at once."""
    try:
        async with asyncio.timeout(RELAY_PATIENCE_S):
            return bool(await reader.read(1))
    except TimeoutError:
        return True
    except OSError:
        return False


async def _http_get(action: HTTPGetAction, target: Target) -> ProbeResult:
    host = action.host or target.sandbox.ip
    port = target.sandbox.port(port_number(action.port, target.container))
    is_tls = action.scheme == "HTTPS"
    url = f"{'https' if is_tls else 'http'}://{host}:{port}{action.path or '/'}"
    try:
        reader, writer = await asyncio.open_connection(
            host, port, ssl=_unverified() if is_tls else None, limit=_HEAD_LIMIT_BYTES
        )
    except OSError as error:
        return ProbeResult(False, f'Get "{url}": dial tcp {host}:{port}: {_plain(error)}')
    try:
        writer.write(_request(action, host, port))
        status, body = await _answer(reader)
    finally:
        await _close(writer)
    if 200 <= status < 400:
        return ProbeResult(True)
    return ProbeResult(False, f"HTTP probe failed with statuscode: {status}{body}")


def _request(action: HTTPGetAction, host: str, port: int) -> bytes:
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/stagezero", "Accept": "*/*"}
    headers |= {header.name: header.value for header in action.http_headers}
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    text = "\r\n".join([*lines, "Connection: close", "", ""])
    return text.encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The status, and some of the body if it is a failure."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError("the answer is not HTTP, or the connection was closed") from error
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    status = int(words[1])
    if status < 400:
        return status, ""
    body = (await reader.read(_BODY_SHOWN_BYTES)).decode(errors="replace").strip()
    return status, f" ({body})" if body else ""


def _unverified() -> ssl.SSLContext:
    # A probe asks whether the server lives, not who it is; so does the kubelet's.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _plain(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    return error.strerror or str(error)
