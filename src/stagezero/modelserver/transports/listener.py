"""Opens the port, serves until told to stop, then lets what is under way finish.

After SIGTERM no connection is accepted, answers carry `Connection: close`, and idle connections are
kept open for a moment: a proxy may just be sending on one.
"""

import asyncio
import contextlib
import os
import signal
import stat
from pathlib import Path

from stagezero.modelserver.arguments import Settings
from stagezero.modelserver.errors import CannotStart
from stagezero.modelserver.transports.http import Connection
from stagezero.modelserver.transports.port import Port

_BACKLOG = 1024
_SWEEP_EVERY_S = 5.0
_IDLE_FAREWELL_S = 0.25
GRACE_S = 30.0


async def listen(settings: Settings, port: Port) -> asyncio.Server:
    """Open the settings' socket; raises CannotStart if it is taken."""
    loop = port.loop
    path = settings.unix_socket
    try:
        if path is None:
            return await loop.create_server(
                lambda: Connection(port), settings.host, settings.port, backlog=_BACKLOG
            )
        _remove_stale(path)
        server = await loop.create_unix_server(
            lambda: Connection(port), str(path), backlog=_BACKLOG
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotStart(f"cannot listen on {address_text(settings)}: {reason}") from error
    os.chmod(path, 0o660)
    return server


def address_text(settings: Settings) -> str:
    """Where the server listens, for people."""
    if settings.unix_socket is not None:
        return f"unix:{settings.unix_socket}"
    return f"{settings.host}:{settings.port}"


def _remove_stale(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise CannotStart(f"cannot listen on unix:{path}: the path exists and is no socket")
        path.unlink()


def told_to_stop(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """What SIGTERM and SIGINT set from now on; to be asked for before anybody can connect."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def serve_until_stopped(server: asyncio.Server, port: Port, stop: asyncio.Event) -> bool:
    """Serve until `stop` is set, then drain; False if something was left unanswered."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SWEEP_EVERY_S):
                await stop.wait()
        now = port.clock()
        for connection in tuple(port.connections):
            connection.check_time(now)
    return await drain(server, port, GRACE_S)


async def drain(server: asyncio.Server, port: Port, grace_s: float) -> bool:
    """Finish what is under way; True if everything was answered within the grace."""
    port.is_draining = True
    server.close()
    await asyncio.sleep(min(_IDLE_FAREWELL_S, grace_s))
    for connection in tuple(port.connections):
        connection.close_if_idle()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace_s):
            while port.connections:
                port.has_emptied.clear()
                await port.has_emptied.wait()
    left = tuple(port.connections)
    for connection in left:
        connection.abort()
    return not left
