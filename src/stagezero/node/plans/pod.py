"""What to do about a pod: the kubelet's decisions, pure. The shell carries the actions out.

A decision sees everything and may be made at any time, twice or late: it compares what is with what
shall be, and names the next steps only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stagezero.api.container import Container
from stagezero.api.pod import Pod, PodStatus
from stagezero.node.plans import restarts
from stagezero.node.plans.container_status import full_name
from stagezero.node.plans.observed import Health, ImagePhase, Observed, Problem
from stagezero.node.plans.pod_status import (
    FAILED,
    SUCCEEDED,
    init_is_through,
    init_step_is_through,
    is_sidecar,
    pod_status,
    shared_network_message,
)
from stagezero.node.sandbox.runtime import Isolation
from stagezero.runtime.plan import Happening, warning

DEFAULT_GRACE_S = 30.0


@dataclass(frozen=True)
class Pull:
    """Make an image ready, for the container that needs it first."""

    image: str
    container: str


@dataclass(frozen=True)
class Mount:
    """Write the pod's volumes."""


@dataclass(frozen=True)
class Prepare:
    """Give the pod its sandbox."""


@dataclass(frozen=True)
class Start:
    """Start a run of a container."""

    container: str
    restart: int
    is_init: bool


@dataclass(frozen=True)
class Stop:
    """Ask a container to end, and end it when its grace is over."""

    container: str
    grace_s: float
    message: str


@dataclass(frozen=True)
class Release:
    """Take the sandbox down; `is_gone`: the files and the object too."""

    is_gone: bool


Action = Pull | Mount | Prepare | Start | Stop | Release


@dataclass(frozen=True)
class Decision:
    """The next steps, the status as things stand, and when to look again without being woken."""

    actions: tuple[Action, ...]
    status: PodStatus
    events: tuple[Happening, ...] = ()
    recheck_s: float | None = None


def decide(seen: Observed, now: datetime) -> Decision:
    """Decide about one pod."""
    status = pod_status(seen, now)
    if seen.pod.is_deleting:
        return Decision(_ending(seen), status)
    if status.phase in (SUCCEEDED, FAILED):
        actions = (*_stop_all(seen), *_release_if_idle(seen))
        return Decision(actions, status)
    waits: list[datetime] = []
    actions = (*_foundations(seen, waits, now), *_containers(seen, waits, now))
    return Decision(actions, status, _events(seen, now), _seconds_until(waits, now))


def _seconds_until(waits: Sequence[datetime], now: datetime) -> float | None:
    return max(0.0, (min(waits) - now).total_seconds()) if waits else None


def _events(seen: Observed, now: datetime) -> tuple[Happening, ...]:
    events = []
    if seen.is_fresh and seen.info.isolation is Isolation.HOST:
        events.append(warning("SharedNetwork", shared_network_message(seen.info.reason)))
    for name, runs in seen.runs.items():
        last = runs[-1]
        if not last.is_running and _wants_restart(seen, name) and restarts.due_at(runs) > now:
            events.append(
                warning(
                    "BackOff",
                    f"Back-off restarting failed container {name} in pod {full_name(seen)}",
                )
            )
    return tuple(events)


# The end


def _ending(seen: Observed) -> tuple[Action, ...]:
    actions = _stop_all(seen)
    if actions or any(runs[-1].is_running for runs in seen.runs.values()):
        return actions
    return (Release(is_gone=True),)


def _stop_all(seen: Observed) -> tuple[Action, ...]:
    grace_s = _grace_s(seen.pod)
    return tuple(
        Stop(name, grace_s, f"Stopping container {name}")
        for name, runs in seen.runs.items()
        if runs[-1].is_running and name not in seen.stopping
    )


def _grace_s(pod: Pod) -> float:
    for given in (
        pod.metadata.deletion_grace_period_seconds,
        pod.spec.termination_grace_period_seconds,
    ):
        if given is not None:
            return float(given)
    return DEFAULT_GRACE_S


def _release_if_idle(seen: Observed) -> tuple[Action, ...]:
    is_idle = not any(runs[-1].is_running for runs in seen.runs.values())
    return (Release(is_gone=False),) if seen.sandbox is not None and is_idle else ()


# The beginning


def _foundations(seen: Observed, waits: list[datetime], now: datetime) -> tuple[Action, ...]:
    actions: list[Action] = list(_pulls(seen, waits, now))
    if not seen.is_mounted and _is_due(seen.mount_problem, waits, now):
        actions.append(Mount())
    if seen.sandbox is None and _is_due(seen.sandbox_problem, waits, now):
        actions.append(Prepare())
    return tuple(actions)


def _is_due(problem: Problem | None, waits: list[datetime], now: datetime) -> bool:
    if problem is None or problem.retry_at <= now:
        return True
    waits.append(problem.retry_at)
    return False


def _pulls(seen: Observed, waits: list[datetime], now: datetime) -> list[Pull]:
    """All images at once: to build an environment takes long, and most pods need one or two."""
    pulls: dict[str, Pull] = {}
    for container in (*seen.pod.spec.init_containers, *seen.pod.spec.containers):
        view = seen.image(container.image)
        # While another pod's pull is under way, too: else this pod would not hear of its end.
        is_wanted = view.phase in (ImagePhase.UNKNOWN, ImagePhase.PULLING)
        if view.phase is ImagePhase.FAILED and view.retry_at is not None:
            is_wanted = view.retry_at <= now
            if not is_wanted:
                waits.append(view.retry_at)
        if is_wanted:
            pulls.setdefault(container.image, Pull(container.image, container.name))
    return list(pulls.values())


# Containers


def _containers(seen: Observed, waits: list[datetime], now: datetime) -> tuple[Action, ...]:
    if seen.sandbox is None or not seen.is_mounted:
        return ()
    if not init_is_through(seen):
        return _next_init(seen, waits, now)
    actions: list[Action] = []
    sidecars = [container for container in seen.pod.spec.init_containers if is_sidecar(container)]
    for container in (*sidecars, *seen.pod.spec.containers):
        run = seen.last_run(container.name)
        if run is not None and run.is_running:
            actions += _unhealthy(seen, container)
        else:
            actions += _start(seen, container, waits, now)
    return tuple(actions)


def _next_init(seen: Observed, waits: list[datetime], now: datetime) -> tuple[Action, ...]:
    for container in seen.pod.spec.init_containers:
        if init_step_is_through(seen, container):
            continue
        run = seen.last_run(container.name)
        is_under_way = run is not None and run.is_running
        return () if is_under_way else _start(seen, container, waits, now)
    return ()


def _start(
    seen: Observed, container: Container, waits: list[datetime], now: datetime
) -> tuple[Action, ...]:
    runs = seen.runs.get(container.name, ())
    if seen.image(container.image).phase is not ImagePhase.READY:
        return ()
    if not _is_due(seen.config_problems.get(container.name), waits, now):
        return ()
    is_init = container in seen.pod.spec.init_containers
    if not runs:
        return (Start(container.name, 0, is_init),)
    if not _wants_restart(seen, container.name):
        return ()
    due_at = restarts.due_at(runs)
    if due_at > now:
        waits.append(due_at)
        return ()
    return (Start(container.name, runs[-1].restart + 1, is_init),)


def _wants_restart(seen: Observed, name: str) -> bool:
    policy = seen.pod.spec.restart_policy
    code = seen.runs[name][-1].exit_code
    for container in seen.pod.spec.init_containers:
        if container.name == name:
            return is_sidecar(container) or (code != 0 and policy != "Never")
    return restarts.shall_restart(policy, code)


def _unhealthy(seen: Observed, container: Container) -> tuple[Action, ...]:
    health = seen.health.get(container.name, Health())
    if not health.is_failing or container.name in seen.stopping:
        return ()
    own = (
        container.liveness_probe.termination_grace_period_seconds
        if container.liveness_probe
        else None
    )
    probe = "liveness" if health.is_started else "startup"
    return (
        Stop(
            container.name,
            _grace_s(seen.pod) if own is None else float(own),
            f"Container {container.name} failed {probe} probe, will be restarted",
        ),
    )
