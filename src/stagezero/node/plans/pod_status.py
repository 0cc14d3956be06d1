"""A pod's status: phase, conditions and containers, from what has been seen of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from stagezero.api import conditions
from stagezero.api.base import Condition
from stagezero.api.container import Container, ContainerStatus
from stagezero.api.pod import HostIP, PodIP, PodSpec, PodStatus
from stagezero.api.times import write_time
from stagezero.node.plans import restarts
from stagezero.node.plans.container_status import container_status, init_container_status
from stagezero.node.plans.observed import Health, Observed
from stagezero.node.sandbox.runtime import Isolation

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
OWN_NETWORK = "node.stagezero.dev/OwnNetwork"
_OURS = ("PodScheduled", "Initialized", "ContainersReady", "Ready", OWN_NETWORK)


def pod_status(seen: Observed, now: datetime) -> PodStatus:
    """The status the pod shall have."""
    spec, before = seen.pod.spec, seen.pod.status
    is_initialized = init_is_through(seen)
    inits = [init_container_status(seen, container, now) for container in spec.init_containers]
    mains = [
        container_status(seen, container, not is_initialized, now) for container in spec.containers
    ]
    phase = pod_phase(seen, inits, mains)
    found = _conditions(seen, phase, mains)
    others = [condition for condition in before.conditions if condition.type not in _OURS]
    ip = seen.sandbox.ip if seen.sandbox else before.pod_ip
    return PodStatus(
        phase=phase,
        observed_generation=before.observed_generation,
        conditions=conditions.settle(before.conditions, [*others, *found], now),
        host_ip=seen.host_ip,
        host_ips=[HostIP(seen.host_ip)],
        pod_ip=ip,
        pod_ips=[PodIP(ip)] if ip else [],
        start_time=before.start_time or write_time(now),
        init_container_statuses=inits,
        container_statuses=mains,
        qos_class=before.qos_class or _qos_class(spec),
    )


def is_sidecar(container: Container) -> bool:
    """Whether an init container runs on beside the others once it has started."""
    return container.restart_policy == "Always"


def init_step_is_through(seen: Observed, container: Container) -> bool:
    """Whether what comes after an init container may start: it has completed, a sidecar runs."""
    run = seen.last_run(container.name)
    if run is None:
        return False
    if is_sidecar(container):
        # One that has ended is started again beside the others, which do not wait for it twice.
        return not run.is_running or seen.health.get(container.name, Health()).is_started
    return not run.is_running and run.exit_code == 0


def init_is_through(seen: Observed) -> bool:
    """Whether every init container has done its part."""
    return all(init_step_is_through(seen, one) for one in seen.pod.spec.init_containers)


def pod_phase(
    seen: Observed, inits: Sequence[ContainerStatus], mains: Sequence[ContainerStatus]
) -> str:
    """The phase, by the kubelet's rules."""
    policy = seen.pod.spec.restart_policy
    if policy == "Never" and any(_has_failed(status) for status in inits):
        return FAILED
    if not init_is_through(seen):
        return PENDING
    if any(status.state.waiting and not status.last_state.terminated for status in mains):
        return PENDING
    if any(not status.state.terminated for status in mains):
        return RUNNING
    codes = [status.state.terminated.exit_code for status in mains if status.state.terminated]
    if any(restarts.shall_restart(policy, code) for code in codes) and not seen.pod.is_deleting:
        return RUNNING
    return FAILED if any(codes) else SUCCEEDED


def _has_failed(status: ContainerStatus) -> bool:
    return status.state.terminated is not None and status.state.terminated.exit_code != 0


def _conditions(
    seen: Observed,
    phase: str,
    mains: Sequence[ContainerStatus],
) -> list[Condition]:
    waiting = [
        container.name
        for container in seen.pod.spec.init_containers
        if not init_step_is_through(seen, container)
    ]
    initialized = _none_is(waiting, "ContainersNotInitialized", "incomplete", "Initialized")
    if phase == SUCCEEDED:
        done = "PodCompleted"
        ready = Condition("ContainersReady", conditions.FALSE, reason=done)
        initialized = Condition("Initialized", conditions.TRUE, reason=done)
    else:
        unready = [status.name for status in mains if not status.ready]
        ready = _none_is(unready, "ContainersNotReady", "unready", "ContainersReady")
    found = [
        Condition("PodScheduled", conditions.TRUE),
        initialized,
        ready,
        _ready(seen, ready),
    ]
    if seen.info.isolation is Isolation.HOST:
        found.append(_shared_network(seen))
    return found


def _none_is(lacking: Sequence[str], reason: str, adjective: str, kind: str) -> Condition:
    if not lacking:
        return Condition(kind, conditions.TRUE)
    return Condition(
        kind,
        conditions.FALSE,
        reason=reason,
        message=f"containers with {adjective} status: [{' '.join(lacking)}]",
    )


def _ready(seen: Observed, containers_ready: Condition) -> Condition:
    if containers_ready.status != conditions.TRUE:
        return Condition(
            "Ready",
            conditions.FALSE,
            reason=containers_ready.reason,
            message=containers_ready.message,
        )
    gates = [gate.condition_type for gate in seen.pod.spec.readiness_gates]
    lacking = [gate for gate in gates if not _is_true(seen.pod.status.conditions, gate)]
    if not lacking:
        return Condition("Ready", conditions.TRUE)
    message = "; ".join(
        f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        if conditions.find(seen.pod.status.conditions, gate) is None
        else f'the status of pod readiness gate "{gate}" is not "True"'
        for gate in lacking
    )
    return Condition("Ready", conditions.FALSE, reason="ReadinessGatesNotReady", message=message)


def _is_true(found: Iterable[Condition], kind: str) -> bool:
    condition = conditions.find(found, kind)
    return condition is not None and condition.status == conditions.TRUE


def _shared_network(seen: Observed) -> Condition:
    for name, ports in seen.fixed_ports.items():
        run = seen.last_run(name)
        is_ready = seen.health.get(name, Health()).is_ready
        if run is not None and run.is_running and not is_ready:
            message = _fixed_port_message(seen, name, ports)
            return Condition(OWN_NETWORK, conditions.FALSE, reason="FixedPort", message=message)
    return Condition(
        OWN_NETWORK,
        conditions.FALSE,
        reason="SharedNetwork",
        message=shared_network_message(seen.info.reason),
    )


def _fixed_port_message(seen: Observed, name: str, ports: Sequence[int]) -> str:
    given = seen.sandbox.ports if seen.sandbox else {}
    told = ", ".join(f"{port} instead of {given.get(port, port)}" for port in ports)
    return (
        f"container {name} listens on port {told}, which it was given by PORT and by port flags: "
        "pods share the machine's network here, and no request reaches it. Let the program listen "
        f"where PORT says. Reason: {seen.info.reason or 'it was asked for'}"
    )


def shared_network_message(reason: str) -> str:
    """Why the pod has not got its own network, and what follows from that."""
    return (
        "The pod shares the machine's network: its programs must listen where PORT or a port flag "
        f"says, not on a fixed port. Reason: {reason or 'it was asked for'}"
    )


def _qos_class(spec: PodSpec) -> str:
    containers: list[Container] = [*spec.containers, *spec.init_containers]
    given = [container.resources for container in containers]
    if not any(resources.requests or resources.limits for resources in given):
        return "BestEffort"
    for resources in given:
        for name in ("cpu", "memory"):
            limit = resources.limits.get(name)
            if limit is None or resources.requests.get(name, limit) != limit:
                return "Burstable"
    return "Guaranteed"
