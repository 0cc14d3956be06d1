"""An installation seen from outside: is it up, what runs, how does it end.

Works whether or not the control plane is alive: what it wrote down, and the supervisor, tell.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from stagezero.compose.ports import Ports
from stagezero.compose.process import ENVOY, start_ticks
from stagezero.compose.settings import Settings
from stagezero.node.removal import purge as purge_node
from stagezero.node.removal import take_down
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.node.supervisor.launch import SupervisorFailed
from stagezero.store.lock import holder


@dataclass(frozen=True)
class ControlPlane:
    """A control plane that runs; `catalogues` are the folders that it was told of."""

    pid: int
    ports: Ports
    catalogues: tuple[Path, ...] = ()


def running(settings: Settings) -> ControlPlane | None:
    """The control plane of an installation, if it runs: by its pid and start time."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        facts = json.loads(settings.running.read_text())
        pid = int(facts["pid"])
        if start_ticks(pid) == facts["started"]:
            folders = tuple(map(Path, facts.get("catalogues", ())))
            return ControlPlane(pid, Ports(**facts["ports"]), folders)
    return None


@dataclass(frozen=True)
class Part:
    """One part of an installation: its address or pid, and whether it is well."""

    name: str
    address: str
    health: str
    detail: str = ""


async def parts(settings: Settings) -> list[Part]:
    """What there is of an installation, and how it is."""
    plane = running(settings)
    host = settings.host
    if plane is None:
        found = [Part("control plane", "", "not running", "start it with `stagezero up`")]
    else:
        found = [
            Part(
                "control plane", f"https://{host}:{plane.ports.api}", "healthy", f"pid {plane.pid}"
            )
        ]
    return [*found, *await _supervised(settings, plane)]


async def _supervised(settings: Settings, plane: ControlPlane | None) -> list[Part]:
    folder = NodeFolders(settings.node).supervisor
    if not await supervisor_runs(folder):
        return [Part("supervisor", "", "not running"), Part("gateway (Envoy)", "", "not running")]
    client = SupervisorClient(folder)
    try:
        await client.start()
        processes = client.processes
    except SupervisorFailed:
        return [Part("supervisor", str(folder), "not answering", "`stagezero down` ends it")]
    finally:
        await client.stop()
    envoy = processes.get(ENVOY)
    containers = [p for p in processes.values() if p.is_running and "container" in p.labels]
    ports = plane.ports if plane is not None else _written_ports(settings)
    address = f"http://{settings.host}:{ports.http}" if ports is not None else ""
    is_well = envoy is not None and envoy.is_running
    return [
        Part("supervisor", str(folder), "healthy"),
        Part(
            "gateway (Envoy)",
            address,
            "healthy" if is_well else "not running",
            f"pid {envoy.pid}, {envoy.restarts} restarts" if envoy is not None else "",
        ),
        Part("containers", "", "healthy", f"{len(containers)} running"),
    ]


def _written_ports(settings: Settings) -> Ports | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Ports(**json.loads((settings.state / "ports.json").read_text()))
    return None


async def supervisor_runs(folder: Path) -> bool:
    """Whether somebody answers at the supervisor's socket."""
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return False
    try:  # through the folder's descriptor: a socket's path may not exceed 107 bytes
        path = f"/proc/self/fd/{descriptor}/socket"
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    writer.close()
    return True


async def stop_all(settings: Settings, grace_s: float = 20.0) -> list[str]:
    """End the control plane, then the supervisor with pods and Envoy; returns what was ended."""
    ended = []
    plane = running(settings)
    pid = holder(settings.database) if plane is None else plane.pid  # it may be starting
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            await _end(pid, grace_s)
        ended.append(f"control plane (pid {pid})")
    if await take_down(settings.node, grace_s):
        ended.append("supervisor, gateway and pods")
    return ended


async def _end(pid: int, grace_s: float) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            async with asyncio.timeout(grace_s):
                await gone.wait()
        except TimeoutError:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            loop.remove_reader(descriptor)
    finally:
        os.close(descriptor)


def purge(settings: Settings) -> None:
    """Remove an installation's folder and what its pods kept in memory; what is shared stays."""
    purge_node(settings.node)
    shutil.rmtree(settings.state, ignore_errors=True)
