"""What the kubelet has seen of a pod: the input of every decision about it. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from stagezero.api.pod import Pod
from stagezero.node.sandbox.runtime import RuntimeInfo, Sandbox


class ImagePhase(Enum):
    """How far an image is."""

    UNKNOWN = "unknown"
    PULLING = "pulling"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class ImageView:
    """One image: when it failed, `reason` and `message` say why, `retry_at` when to try again."""

    phase: ImagePhase = ImagePhase.UNKNOWN
    image_id: str = ""
    reason: str = ""
    message: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True)
class Run:
    """One run of a container, as its status will tell it.

    `reason` is given where the exit code does not say it all; `message` is the termination message.
    """

    restart: int
    started_at: datetime
    exited_at: datetime | None = None
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.exited_at is None


@dataclass(frozen=True)
class Health:
    """What probes have found of the present run; a probe that is not asked for counts as passed."""

    is_started: bool = True
    is_ready: bool = True
    is_failing: bool = False
    """Liveness or start-up has failed for good: it must be restarted."""


@dataclass(frozen=True)
class Problem:
    """Why something does not go on, and when it is tried again."""

    reason: str
    message: str
    retry_at: datetime


@dataclass(frozen=True)
class Observed:
    """Everything known about a pod on this node."""

    pod: Pod
    info: RuntimeInfo
    node_name: str
    host_ip: str
    sandbox: Sandbox | None = None
    sandbox_problem: Problem | None = None
    is_mounted: bool = False
    mount_problem: Problem | None = None
    images: Mapping[str, ImageView] = field(default_factory=dict)
    runs: Mapping[str, tuple[Run, ...]] = field(default_factory=dict)
    config_problems: Mapping[str, Problem] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)
    fixed_ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Ports of the machine's network on which containers listen that were given others."""
    stopping: frozenset[str] = frozenset()
    is_fresh: bool = True
    """Nothing was ever done for this pod here."""

    def image(self, name: str) -> ImageView:
        """What is known of an image."""
        return self.images.get(name, ImageView())

    def last_run(self, container: str) -> Run | None:
        """The latest run of a container."""
        runs = self.runs.get(container)
        return runs[-1] if runs else None
