"""Envoy pings the xDS server to see whether it lives; gRPC must not take that for an attack."""

import asyncio
from pathlib import Path

import pytest

from stagezero.mesh.xds import XdsServer

pytestmark = pytest.mark.timeout(30)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GO_AWAY, ACK = 0x4, 0x6, 0x7, 0x1


def frame(kind: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


async def next_frame(reader: asyncio.StreamReader) -> tuple[int, int]:
    """The kind and the flags of the frame that comes next."""
    head = await reader.readexactly(9)
    await reader.readexactly(int.from_bytes(head[:3], "big"))
    return head[3], head[4]


async def test_many_pings_do_not_end_the_connection(tmp_path: Path) -> None:
    server = XdsServer(f"unix:{tmp_path}/xds")
    await server.start()
    try:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "xds")
        writer.write(PREFACE + frame(SETTINGS))
        for _ in range(10):
            writer.write(frame(PING, bytes(8)))
            while (answer := await next_frame(reader)) != (PING, ACK):
                assert answer[0] != GO_AWAY
        writer.close()
    finally:
        await server.stop()
