"""How pods get addresses: the seam between the runtime and the ways a machine allows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stagezero.node.sandbox.runtime import Isolation, Sandbox


@dataclass(frozen=True)
class Attachment:
    """A pod's connection: its address, mapped ports, and the namespace's file if it has one."""

    ip: str
    ports: dict[int, int] = field(default_factory=dict)
    net: str = ""
    user: str = ""


class Network(Protocol):
    """Connects pods."""

    isolation: Isolation

    @property
    def nameservers(self) -> tuple[str, ...]:
        """Who answers a pod's questions for names; none: whom the machine asks."""
        ...

    async def open(self, known: Sequence[Sandbox]) -> None:
        """Make ready what all pods share, given the pods that are there already.

        NetworkFailed if the machine does not allow it: then nothing is left behind.
        """
        ...

    async def attach(self, uid: str, ports: Sequence[int]) -> Attachment:
        """Give a pod its address."""
        ...

    def is_attached(self, sandbox: Sandbox) -> bool:
        """Whether a remembered sandbox still is what it was (it is not after a reboot)."""
        ...

    async def detach(self, sandbox: Sandbox) -> None:
        """Take a pod's address back."""
        ...

    async def stop(self) -> None:
        """End what is under way in the background; everything stays as it is."""
        ...

    async def close(self) -> None:
        """Remove what all pods shared."""
        ...
