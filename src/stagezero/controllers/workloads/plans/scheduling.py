"""Pods that have no node get one: the emptiest that fits, or a condition that says why not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from stagezero.api.base import Condition, ObjectMeta
from stagezero.api.node import Node
from stagezero.api.pod import Pod, PodSpec
from stagezero.api.quantities import parse_quantity
from stagezero.controllers.workloads.plans import placement
from stagezero.controllers.workloads.plans.conditions import with_pod_condition
from stagezero.controllers.workloads.plans.pods import ENDED
from stagezero.runtime.plan import NOTHING, Plan, normal, warning

DEFAULT_SCHEDULER = "default-scheduler"


@dataclass(frozen=True)
class SchedulingObserved:
    """A pod, the nodes, and what is taken on each by name."""

    pod: Pod
    nodes: tuple[Node, ...]
    taken: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)


def needs_node(pod: Pod) -> bool:
    """Whether it is this scheduler's business to place the pod."""
    return not (
        pod.spec.node_name
        or pod.is_deleting
        or pod.status.phase in ENDED
        or pod.spec.scheduling_gates
        or pod.spec.scheduler_name not in ("", DEFAULT_SCHEDULER)
    )


def plan_scheduling(observed: SchedulingObserved, now: datetime) -> Plan:
    """Put the pod on a node, or say what every node lacks."""
    pod = observed.pod
    if not needs_node(pod):
        return NOTHING
    free = {
        node.metadata.name: placement.free(node, observed.taken.get(node.metadata.name, {}))
        for node in observed.nodes
    }
    against = {
        node.metadata.name: placement.objections(pod, node, free[node.metadata.name])
        for node in observed.nodes
    }
    fitting = [node for node in observed.nodes if not against[node.metadata.name]]
    if not fitting:
        return _unschedulable(pod, _message(against), now)
    best = min(fitting, key=lambda node: (-_room(node, free), node.metadata.name))
    return _bound(pod, best.metadata.name)


def _room(node: Node, free: Mapping[str, Mapping[str, Decimal]]) -> Decimal:
    """The share of a node that is free: the mean of its CPUs and its memory."""
    left = free[node.metadata.name]
    shares = [
        left[name] / parse_quantity(amount)
        for name, amount in node.status.allocatable.items()
        if name in ("cpu", "memory") and parse_quantity(amount) > 0
    ]
    return sum(shares, Decimal(0)) / max(1, len(shares))


def _bound(pod: Pod, node_name: str) -> Plan:
    metadata = ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace)
    message = f"Successfully assigned {pod.key} to {node_name}"
    return Plan(
        apply=(Pod(metadata=metadata, spec=PodSpec(node_name=node_name)),),
        events=(normal("Scheduled", message),),
    )


def _unschedulable(pod: Pod, message: str, now: datetime) -> Plan:
    condition = Condition("PodScheduled", "False", reason="Unschedulable", message=message)
    conditions = with_pod_condition(pod.status.conditions, condition, now)
    is_news = conditions != pod.status.conditions
    return Plan(
        status=replace(pod, status=replace(pod.status, phase="Pending", conditions=conditions)),
        events=(warning("FailedScheduling", message),) if is_news else (),
    )


def _message(against: Mapping[str, list[str]]) -> str:
    """`0/2 nodes are available: 1 Insufficient cpu, 2 Too many pods.`"""
    if not against:
        return "no nodes available to schedule pods"
    counts = Counter(reason for reasons in against.values() for reason in reasons)
    found = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{len(against)} nodes are available: {', '.join(found)}."
