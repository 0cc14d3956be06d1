"""Pods on the machine's own network: each port of a pod becomes a free port of 127.0.0.1."""

import contextlib
import socket
from collections.abc import Sequence

from stagezero.node.sandbox.network import Attachment
from stagezero.node.sandbox.runtime import Isolation, Sandbox

ADDRESS = "127.0.0.1"


class HostNetwork:
    """No separation: only the numbers of ports keep pods apart."""

    isolation = Isolation.HOST

    def __init__(self) -> None:
        self._taken: dict[int, str] = {}

    @property
    def nameservers(self) -> tuple[str, ...]:
        """Those of the machine."""
        return ()

    async def open(self, known: Sequence[Sandbox]) -> None:
        """Remember the ports of the pods that are there."""
        self._taken = {port: sandbox.uid for sandbox in known for port in sandbox.ports.values()}

    async def attach(self, uid: str, ports: Sequence[int]) -> Attachment:
        """Choose a free port for each."""
        mapped = {port: self._free_port(uid) for port in dict.fromkeys(ports)}
        return Attachment(ADDRESS, mapped)

    def is_attached(self, sandbox: Sandbox) -> bool:
        """There is nothing that could be lost."""
        return True

    async def detach(self, sandbox: Sandbox) -> None:
        """Give the ports back."""
        for port in sandbox.ports.values():
            self._taken.pop(port, None)

    async def stop(self) -> None:
        """Nothing is under way."""

    async def close(self) -> None:
        """There is nothing to remove."""

    def _free_port(self, uid: str) -> int:
        while True:
            with contextlib.closing(socket.socket()) as trial:
                trial.bind((ADDRESS, 0))
                port: int = trial.getsockname()[1]
            if port not in self._taken:
                self._taken[port] = uid
                return port
