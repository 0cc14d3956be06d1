"""Pods in network namespaces without root: `pasta` carries packets and maps ports of 127.0.0.1.

A pod's namespaces are held by a process that sleeps; `pasta` is a second one beside it. Both belong
to the supervisor, so they outlive the control plane; a `pasta` that ends is started again. Where
/dev/net/tun is for root alone, `pasta` cannot work: `open` finds that out by trying.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.host import ADDRESS, HostNetwork
from stagezero.node.sandbox.ip_command import NetworkFailed
from stagezero.node.sandbox.network import Attachment
from stagezero.node.sandbox.runtime import Isolation, Sandbox
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.node.supervisor.launch import SupervisorFailed
from stagezero.node.supervisor.protocol import Refused
from stagezero.node.supervisor.spec import Restart, Spec

READY_LIMIT_S = 5.0
_TUN = "/dev/net/tun"
_LOOK_EVERY_S = 0.005  # pasta tells that it is ready by writing a file, once, at its start


class PastaNetwork:
    """User and network namespaces held by a sleeping process, connected by `pasta`."""

    isolation = Isolation.PASTA

    def __init__(self, folders: NodeFolders, supervisor: SupervisorClient) -> None:
        self._folders = folders
        self._supervisor = supervisor
        self._ports = HostNetwork()
        self._program = shutil.which("pasta") or ""

    @property
    def nameservers(self) -> tuple[str, ...]:
        """Those of the machine."""
        return ()

    async def open(self, known: Sequence[Sandbox]) -> None:
        """Connect a pod for trial."""
        if not self._program:
            raise NetworkFailed("pasta (package passt) is not installed")
        await self._ports.open(known)
        try:
            trial = await self.attach("trial", (8080,))
        except NetworkFailed as error:
            if os.access(_TUN, os.R_OK | os.W_OK):
                raise
            raise NetworkFailed(f"this user may not open {_TUN}, which pasta needs") from error
        await self.detach(
            Sandbox("trial", "", "", trial.ip, self.isolation, trial.ports, trial.net)
        )
        shutil.rmtree(self._folders.pod("trial"), ignore_errors=True)

    async def attach(self, uid: str, ports: Sequence[int]) -> Attachment:
        """Start the sleeper and its `pasta`; what is left of an earlier pair is ended."""
        await self._stop(uid)
        mapped = (await self._ports.attach(uid, ports)).ports
        try:
            sleeper = await self._supervisor.start_process(self._sleeper(uid))
            net, user = f"/proc/{sleeper.pid}/ns/net", f"/proc/{sleeper.pid}/ns/user"
            await self._supervisor.start_process(self._pasta(uid, net, user, mapped))
            await self._await_ready(uid)
        except (Refused, SupervisorFailed, NetworkFailed) as error:
            await self._stop(uid)
            raise NetworkFailed(f"pasta: {error}") from error
        return Attachment(ADDRESS, mapped, net, user)

    def _sleeper(self, uid: str) -> Spec:
        return Spec(
            id=f"net/{uid}/sleeper",
            argv=("sleep", "infinity"),
            log=str(self._folders.pod(uid) / "network.log"),
            env={"PATH": "/usr/bin:/bin"},
            user="new",
            net="new",
        )

    def _pasta(self, uid: str, net: str, user: str, ports: dict[int, int]) -> Spec:
        forwards = [f"{ADDRESS}/{outside}:{inside}" for inside, outside in ports.items()]
        inbound = [word for forward in forwards for word in ("-t", forward)] or ["-t", "none"]
        return Spec(
            id=f"net/{uid}/pasta",
            argv=(
                *(self._program, "--foreground", "--quiet", "--config-net"),
                *inbound,
                *("-u", "none", "-T", "none", "-U", "none"),
                *("--pid", str(self._ready_file(uid)), "--userns", user, "--netns", net),
            ),
            log=str(self._folders.pod(uid) / "network.log"),
            env={"PATH": "/usr/bin:/bin"},
            restart=Restart(),
        )

    def _ready_file(self, uid: str) -> Path:
        return self._folders.pod(uid) / "pasta.pid"

    async def _await_ready(self, uid: str) -> None:
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while not self._ready_file(uid).exists():
                    process = self._supervisor.processes.get(f"net/{uid}/pasta")
                    if process is None or not process.is_running or process.restarts:
                        raise NetworkFailed(self._last_words(uid))
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError as error:
            raise NetworkFailed(f"not ready within {READY_LIMIT_S:.0f} s") from error

    def _last_words(self, uid: str) -> str:
        try:
            text = (self._folders.pod(uid) / "network.log").read_text(errors="replace")
        except OSError:
            text = ""
        lines = text.strip().splitlines()
        return lines[-1] if lines else "ended without a word"

    def is_attached(self, sandbox: Sandbox) -> bool:
        """Whether the sleeper sleeps and `pasta` works, or is being started again."""
        names = (f"net/{sandbox.uid}/sleeper", f"net/{sandbox.uid}/pasta")
        found = [self._supervisor.processes.get(name) for name in names]
        return all(process is not None and not process.has_exited for process in found)

    async def detach(self, sandbox: Sandbox) -> None:
        """End both processes."""
        await self._stop(sandbox.uid)
        await self._ports.detach(sandbox)

    async def _stop(self, uid: str) -> None:
        self._ready_file(uid).unlink(missing_ok=True)
        for name in (f"net/{uid}/pasta", f"net/{uid}/sleeper"):
            await self._supervisor.end_process(name, signal.SIGKILL)

    async def stop(self) -> None:
        """Nothing is under way."""

    async def close(self) -> None:
        """Nothing is shared."""
