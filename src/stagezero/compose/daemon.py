"""Runs a system until it is told to end: the control plane's process, in front or detached.

SIGTERM ends the control plane alone, pods and gateway go on; SIGINT, a person's Ctrl-C, ends all.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any

from stagezero.compose.lifecycle import stop_all
from stagezero.compose.ports import Ports, PortTaken
from stagezero.compose.settings import Settings
from stagezero.compose.system import System
from stagezero.mesh.bootstrap import PathTooLong
from stagezero.node.sandbox.ip_command import NetworkFailed
from stagezero.node.supervisor.launch import SupervisorFailed
from stagezero.store.base import StoreFailed

log = logging.getLogger(__name__)


class PartEnded(Exception):
    """A part that everything depends on has ended; the control plane cannot go on."""

    def __init__(self, why: BaseException) -> None:
        super().__init__(f"a part that everything depends on ended: {why}")


class StartStopped(Exception):
    """A signal came before the start was through."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name} while it started")


FAILURES = (
    StartStopped, PartEnded, PortTaken, PathTooLong, NetworkFailed, SupervisorFailed, StoreFailed,
    OSError,
)  # fmt: skip
"""How a start or the work of a system may fail: a machine's or a user's cause, said in one line."""


async def run(settings: Settings, ready: Callable[[Ports], None]) -> None:
    """Start, call `ready`, and work until a signal or a failure; PartEnded after a failure."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    system = System(settings)
    ended = _signals()
    try:
        ready(await _started(system, ended))
        ends: set[asyncio.Future[Any]] = {ended, system.failure}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise PartEnded(system.failure.result())
    finally:
        await system.stop()
    if ended.result() is signal.SIGINT:
        log.info("stopping the gateway and the pods too")
        await stop_all(settings)


async def _started(system: System, ended: "asyncio.Future[signal.Signals]") -> Ports:
    """Start; what has been started so far is ended again if a signal comes meanwhile."""
    starting = asyncio.create_task(system.start(), name="start")
    first: set[asyncio.Future[Any]] = {starting, ended}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        return starting.result()
    starting.cancel()
    await asyncio.wait({starting})
    raise StartStopped(ended.result())


def _signals() -> "asyncio.Future[signal.Signals]":
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[signal.Signals] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, ended, number)
    return ended


def _end(ended: "asyncio.Future[signal.Signals]", number: signal.Signals) -> None:
    if not ended.done():
        ended.set_result(number)
