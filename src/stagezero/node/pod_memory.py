"""What the kubelet remembers of a pod between two looks; all of it can be found out again."""

from dataclasses import dataclass, field

from stagezero.api.base import Key
from stagezero.node.plans.observed import Problem, Run


@dataclass
class PodMemory:
    """One pod's memory.

    `own_runs` are runs without a process: a model linked in place, a program that could not be
    executed. `fixed_ports` are those on which a container listens although it was given others.
    `busy` are containers whose start is under way, `pulled` images that were made ready for this
    pod and not used yet.
    """

    uid: str
    key: Key
    is_fresh: bool = True
    is_mounted: bool = False
    mounted_versions: tuple[str, ...] = ()
    mount_problem: Problem | None = None
    sandbox_problem: Problem | None = None
    config_problems: dict[str, Problem] = field(default_factory=dict)
    own_runs: dict[str, list[Run]] = field(default_factory=dict)
    messages: dict[tuple[str, int], str] = field(default_factory=dict)
    fixed_ports: dict[str, tuple[int, ...]] = field(default_factory=dict)
    stopping: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    pulled: set[str] = field(default_factory=set)
