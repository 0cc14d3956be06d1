"""Probes carried out, against small servers of this process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from stagezero.api.base import Raw
from stagezero.api.container import Container, Probe
from stagezero.node.probe_calls import ProbeResult, Target, call, port_number
from stagezero.node.sandbox.runtime import CannotStart, ExecResult, Isolation, Sandbox
from support.pods_seen import a_pod


def _probe(raw: Raw) -> Probe:
    containers = [{"name": "c", "readinessProbe": raw}]
    found = a_pod({"containers": containers}).spec.containers[0].readiness_probe
    assert found is not None
    return found


async def _execute(argv: Sequence[str], timeout_s: float) -> ExecResult:
    if argv[0] == "none":
        raise CannotStart("none: not found")
    return ExecResult(int(argv[0]), f"said {argv[0]}")


def _target(port: int) -> Target:
    """The container's port 8080 is `port` on this machine."""
    containers = [{"name": "c", "ports": [{"containerPort": 8080, "name": "web"}]}]
    container: Container = a_pod({"containers": containers}).spec.containers[0]
    return Target(
        container, Sandbox("u", "d", "p", "127.0.0.1", Isolation.HOST, {8080: port}), _execute
    )


@asynccontextmanager
async def _server(answer: bytes, seen: list[bytes] | None = None) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n") if answer else b""
        if seen is not None:
            seen.append(request)
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _asked(raw: Raw, answer: bytes, seen: list[bytes] | None = None) -> ProbeResult:
    async with _server(answer, seen) as port:
        return await call(_probe(raw), _target(port), 2)


@pytest.mark.parametrize(
    ("status", "is_success"), [(200, True), (204, True), (302, True), (399, True), (400, False)]
)
async def test_an_http_status_below_400_is_success(status: int, is_success: bool) -> None:
    found = await _asked({"httpGet": {"port": 8080}}, f"HTTP/1.1 {status} X\r\n\r\nbody".encode())
    assert found.is_success is is_success


async def test_a_failing_status_is_told_with_its_body() -> None:
    answer = b"HTTP/1.1 503 No\r\ncontent-length: 7\r\n\r\nloading"
    found = await _asked({"httpGet": {"port": "web", "path": "/ready"}}, answer)
    assert found.message == "HTTP probe failed with statuscode: 503 (loading)"


async def test_a_request_bears_path_and_headers() -> None:
    seen: list[bytes] = []
    headers = [{"name": "X-Own", "value": "1"}, {"name": "Host", "value": "other"}]
    raw = {"httpGet": {"port": 8080, "path": "/v1?x", "httpHeaders": headers}}
    await _asked(raw, b"HTTP/1.1 200 OK\r\n\r\n", seen)
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "GET /v1?x HTTP/1.1"
    assert {"X-Own: 1", "Host: other"} <= set(lines)


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"half"])
async def test_what_is_not_http_fails(answer: bytes) -> None:
    found = await _asked({"httpGet": {"port": 8080}}, answer)
    assert not found.is_success and "not HTTP" in found.message


async def test_an_open_port_is_success_for_tcp() -> None:
    assert (await _asked({"tcpSocket": {"port": 0}}, b"")).is_success


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "open"])
async def test_a_relay_that_accepts_for_everybody_is_seen_through(is_closed: bool) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_closed:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        target = _target(server.sockets[0].getsockname()[1])
        relayed = replace(target, sandbox=replace(target.sandbox, isolation=Isolation.PASTA))
        found = await call(_probe({"tcpSocket": {"port": 8080}}), relayed, 2)
    assert found.is_success is not is_closed


@pytest.mark.parametrize("kind", ["httpGet", "tcpSocket"])
async def test_a_closed_port_is_a_refusal(kind: str) -> None:
    async with _server(b"") as port:
        pass
    found = await call(_probe({kind: {"port": 8080}}), _target(port), 2)
    assert not found.is_success
    assert found.message.endswith(f"dial tcp 127.0.0.1:{port}: connect: connection refused")


async def test_silence_is_a_failure() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await call(_probe({"httpGet": {"port": 8080}}), _target(port), 0.05)
    assert found == ProbeResult(False, "no answer within 0.05 s")


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("0", ProbeResult(True, "said 0")),
        ("3", ProbeResult(False, "said 3")),
        ("none", ProbeResult(False, "none: not found")),
    ],
)
async def test_a_command_succeeds_with_code_zero(command: str, result: ProbeResult) -> None:
    assert await call(_probe({"exec": {"command": [command]}}), _target(1), 2) == result


async def test_a_kind_that_is_not_served_says_so() -> None:
    found = await call(_probe({"grpc": {"port": 1}}), _target(1), 2)
    assert not found.is_success and "gRPC" in found.message


@pytest.mark.parametrize(
    ("port", "number"), [(8080, 8080), ("8080", 8080), ("web", 8080), (0, 8080), (9, 9)]
)
def test_a_port_is_a_number_or_a_name(port: int | str, number: int) -> None:
    assert port_number(port, _target(1).container) == number


def test_a_port_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match='has no port "other"'):
        port_number("other", _target(1).container)
