"""The end of a node: what it had of the machine's network and memory is given back.

`down` ends the supervisor (and with it pods and Envoy) and calls `remove_network`; `purge` also
removes what lies on disk and in memory.
"""

import asyncio
import os
import select
import shutil
import signal
import socket
import struct
from pathlib import Path

from stagezero.node.sandbox.bridge import BridgeNetwork
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.node.supervisor.launch import SupervisorFailed

_SLACK_S = 5.0
"""How much longer than its grace a supervisor may take for the end of everything."""


async def take_down(root: Path, grace_s: float = 10.0) -> bool:
    """End the supervisor of the node below `root` with all it runs, and remove the network.

    Returns whether anything ran; SupervisorFailed if what runs cannot be ended.
    """
    ran = await _end_all(NodeFolders(root).supervisor, grace_s)
    await remove_network(root)
    return ran


async def _end_all(folder: Path, grace_s: float) -> bool:
    try:
        async with asyncio.timeout(grace_s + _SLACK_S):
            await SupervisorClient(folder).shut_down(grace_s)
        return True
    except (SupervisorFailed, TimeoutError):
        was_stuck = _kill(folder)
    if not (folder / "journal").exists():
        return was_stuck
    # It is dead and what it ran goes on: only a successor knows by its journal what that is.
    heir = SupervisorClient(folder)
    await heir.start()
    ran = any(process.is_running for process in heir.processes.values())
    await heir.stop()
    await SupervisorClient(folder).shut_down(grace_s)
    return ran or was_stuck


def _kill(folder: Path) -> bool:
    """Kill a supervisor that does not answer (one that was stopped, say), and wait for its end."""
    try:
        process = os.pidfd_open(_listener(folder))
    except OSError:  # nobody listens
        return False
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [], _SLACK_S)
    finally:
        os.close(process)
    return True


def _listener(folder: Path) -> int:
    """The pid of whoever listens at a supervisor's socket; OSError if nobody does."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            connection.connect(f"/proc/self/fd/{directory}/socket")
            size = struct.calcsize("3i")
            seen = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    finally:
        os.close(directory)
    return int(struct.unpack("3i", seen)[0])


async def remove_network(root: Path) -> None:
    """Remove the bridge and the network namespaces of the node below `root`, if it has them."""
    network = BridgeNetwork(NodeFolders(root))
    if network.may_exist:
        await network.close()


def purge(root: Path) -> None:
    """Remove everything that a node keeps on disk and in memory; it must have been taken down."""
    shutil.rmtree(NodeFolders(root).memory, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)
