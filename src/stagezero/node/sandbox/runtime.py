"""The container runtime seam: start, stop, status, logs, exec, stats; nothing else crosses it.

A pod is a *sandbox* (an address, and ports where the address is shared) with containers in it. All
methods are called on one event loop; what is known is read without waiting.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Protocol


class Isolation(Enum):
    """How a pod's network is kept apart from the others'."""

    BRIDGE = "bridge"
    """A network namespace on the instance's bridge: any program, any port.

    Pods reach one another and this machine, nothing beyond it.
    """

    PASTA = "pasta"
    """A network namespace behind `pasta`, without root: any program, ports mapped."""

    HOST = "host"
    """The machine's network: only programs that listen where they are told."""


@dataclass(frozen=True)
class RuntimeInfo:
    """What the machine allows, found out by trying: `reason` says why it is not more."""

    isolation: Isolation
    has_own_tree: bool
    reason: str = ""

    def __str__(self) -> str:
        tree = "own file tree" if self.has_own_tree else "the machine's file tree"
        why = f" ({self.reason})" if self.reason else ""
        return f"network: {self.isolation.value}, {tree}{why}"


@dataclass(frozen=True)
class SandboxSpec:
    """What a pod needs before its containers: a name, and the ports somebody will call."""

    uid: str
    namespace: str
    name: str
    hostname: str
    ports: tuple[int, ...] = ()
    host_aliases: tuple[tuple[str, str], ...] = ()
    """Addresses and names for the pod's hosts file."""


@dataclass(frozen=True)
class Sandbox:
    """A pod's place: `ports` maps the pod's ports to those of `ip` where they differ."""

    uid: str
    namespace: str
    name: str
    ip: str
    isolation: Isolation
    ports: Mapping[int, int] = field(default_factory=dict)
    net: str = ""
    """The namespace's file; empty for the machine's network."""

    def port(self, port: int) -> int:
        """Where a port of the pod is reached."""
        return self.ports.get(port, port)


@dataclass(frozen=True)
class Bind:
    """A folder or file of the machine, shown in a container."""

    source: Path
    path: str
    is_read_only: bool = False


@dataclass(frozen=True)
class ContainerId:
    """One run of a container: the count of restarts tells runs apart."""

    uid: str
    container: str
    restart: int


@dataclass(frozen=True)
class ContainerSpec:
    """One run of a container, ready to be started."""

    id: ContainerId
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    binds: tuple[Bind, ...]
    log: Path
    is_of_platform: bool = False
    """A program of Stagezero itself: it runs on the machine's network and tree."""


@dataclass(frozen=True)
class ContainerRun:
    """What is known of one run; `exited_at` None: it runs."""

    id: ContainerId
    pid: int
    started_at: datetime
    exited_at: datetime | None = None
    exit_code: int = 0
    signal: int = 0
    is_known_exit: bool = True

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.exited_at is None


@dataclass(frozen=True)
class ExecResult:
    """How a command within a container ended; a time-out counts as exit code -1."""

    exit_code: int
    output: str


@dataclass(frozen=True)
class Stats:
    """What a container has used: CPU seconds since its start, bytes of memory now."""

    cpu_s: float
    memory_bytes: int


class RuntimeFailed(Exception):
    """The runtime could not do what was asked; the message is for the pod's owner."""


class CannotStart(RuntimeFailed):
    """The container's program cannot be executed."""


class Runtime(Protocol):
    """Runs containers in sandboxes."""

    @property
    def info(self) -> RuntimeInfo:
        """What the machine allows."""
        ...

    async def prepare(self, spec: SandboxSpec) -> Sandbox:
        """Return the pod's sandbox, made if it is not there; RuntimeFailed if it cannot be."""
        ...

    def sandbox(self, uid: str) -> Sandbox | None:
        """Return the sandbox of a pod if it has one."""
        ...

    def uids(self) -> set[str]:
        """Return the pods that have a sandbox or a run that is not forgotten."""
        ...

    async def release(self, uid: str) -> None:
        """Take a pod's sandbox down, and whatever still runs in it."""
        ...

    async def start(self, spec: ContainerSpec) -> None:
        """Start a run; it is under way when this returns. CannotStart, RuntimeFailed."""
        ...

    async def stop(self, run: ContainerId, *, is_forced: bool = False) -> None:
        """Ask a run to end (SIGTERM), or end it and its children at once (SIGKILL)."""
        ...

    def runs(self, uid: str) -> Sequence[ContainerRun]:
        """Return the known runs of a pod's containers, oldest first."""
        ...

    async def forget(self, run: ContainerId) -> None:
        """Drop what is known of a run that has ended."""
        ...

    async def execute(self, run: ContainerId, argv: Sequence[str], timeout_s: float) -> ExecResult:
        """Run a command where a container runs, with its environment."""
        ...

    def stats(self, run: ContainerId) -> Stats | None:
        """Return what a running container has used."""
        ...

    async def close(self) -> None:
        """Stop working in the background; sandboxes and runs stay."""
        ...

    def on_change(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener` with the uid of a pod whenever one of its runs starts or ends.

        Returns what ends that.
        """
        ...
