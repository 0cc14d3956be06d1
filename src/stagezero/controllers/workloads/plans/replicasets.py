"""ReplicaSet → Pods: as many as wanted, no more; the least useful pods go first.

In: the ReplicaSet and the pods it controls. Out: pods to create and delete, the counted status.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from stagezero.api.apps import ReplicaSet, ReplicaSetStatus
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.pod import Pod
from stagezero.api.times import seconds_since
from stagezero.controllers.workloads.plans.claims import claims
from stagezero.controllers.workloads.plans.names import generated
from stagezero.controllers.workloads.plans.pods import (
    is_active,
    is_available,
    is_ready,
    ready_for_s,
    restarts,
)
from stagezero.runtime.plan import NOTHING, Happening, Plan, normal

BURST = 500
"""Pods created or deleted in one go."""

FAILED_KEPT = 5
"""Failed pods kept to look at; older ones are deleted."""

FIRST_BACKOFF_S, LAST_BACKOFF_S = 10.0, 300.0
"""How long to wait before a failed pod is replaced: doubled for every failed pod there is."""

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True)
class ReplicaSetObserved:
    """A ReplicaSet, all pods that it controls, and pods of nobody that carry its labels."""

    replica_set: ReplicaSet
    pods: tuple[Pod, ...]
    orphans: tuple[Pod, ...] = ()


def plan_replica_set(observed: ReplicaSetObserved, now: datetime) -> Plan:
    """Create what is missing, delete what is too much, count what is there."""
    replica_set = observed.replica_set
    if replica_set.is_deleting:
        return NOTHING
    claimed = claims(
        replica_set, replica_set.spec.selector, observed.pods, filter(is_active, observed.orphans)
    )
    if claimed:
        return Plan(claim=claimed)
    active = [pod for pod in observed.pods if is_active(pod)]
    failed = _youngest_first(pod for pod in observed.pods if _has_failed(pod))
    missing = wanted_replicas(replica_set) - len(active)
    wait_s = _backoff_s(failed, now) if missing > 0 else 0.0
    created: tuple[Pod, ...] = ()
    doomed: list[Pod] = []
    if missing > 0 and wait_s <= 0:
        created = _new_pods(observed, missing, now)
    elif missing < 0:
        doomed = sorted(active, key=lambda pod: _worth(pod, now))[: min(-missing, BURST)]
    return Plan(
        apply=created,
        delete=(*doomed, *failed[FAILED_KEPT:]),
        status=replace(replica_set, status=_status(replica_set, active, now)),
        events=tuple(_told(created, doomed)),
        recheck_s=_recheck_s(replica_set, active, wait_s, now),
    )


def wanted_replicas(replica_set: ReplicaSet) -> int:
    """The number of pods wanted."""
    return 1 if replica_set.spec.replicas is None else replica_set.spec.replicas


def _has_failed(pod: Pod) -> bool:
    return pod.status.phase == "Failed" and not pod.is_deleting


def _youngest_first(pods: Iterable[Pod]) -> list[Pod]:
    return sorted(pods, key=lambda pod: pod.metadata.creation_timestamp or "", reverse=True)


def _backoff_s(failed: Sequence[Pod], now: datetime) -> float:
    """Seconds still to wait; `failed` begins with the youngest."""
    if not failed:
        return 0.0
    pause_s: float = min(FIRST_BACKOFF_S * 2 ** (len(failed) - 1), LAST_BACKOFF_S)
    return pause_s - seconds_since(failed[0].metadata.creation_timestamp, now)


def _new_pods(observed: ReplicaSetObserved, count: int, now: datetime) -> tuple[Pod, ...]:
    taken = {pod.metadata.name for pod in observed.pods}
    pods: list[Pod] = []
    number = 0
    while len(pods) < min(count, BURST):
        # The time is a seed so that a pod never bears the name of one that is gone.
        name = generated(_base(observed.replica_set), observed.replica_set.uid, now, number)
        number += 1
        if name not in taken:
            taken.add(name)
            pods.append(_new_pod(observed.replica_set, name))
    return tuple(pods)


def _base(replica_set: ReplicaSet) -> str:
    return f"{replica_set.metadata.name}-"


def _new_pod(replica_set: ReplicaSet, name: str) -> Pod:
    template = replica_set.spec.template
    return Pod(
        metadata=ObjectMeta(
            name=name,
            generate_name=_base(replica_set),
            namespace=replica_set.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[controlled_by(replica_set)],
        ),
        spec=template.spec,
    )


_PHASE_WORTH = {"Pending": 0, "": 0, "Unknown": 1, "Running": 2}


def _worth(pod: Pod, now: datetime) -> tuple[object, ...]:
    """What goes first has the least worth: unassigned, not ready, cheap, young, restarted."""
    return (
        bool(pod.spec.node_name),
        _PHASE_WORTH.get(pod.status.phase, 0),
        is_ready(pod),
        _deletion_cost(pod),
        ready_for_s(pod, now),
        -restarts(pod),
        seconds_since(pod.metadata.creation_timestamp, now),
        pod.metadata.name,
    )


def _deletion_cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    return int(text) if text.lstrip("-").isdigit() else 0


def _told(created: Sequence[Pod], doomed: Sequence[Pod]) -> list[Happening]:
    told = [normal("SuccessfulCreate", f"Created pod: {pod.metadata.name}") for pod in created]
    told += [normal("SuccessfulDelete", f"Deleted pod: {pod.metadata.name}") for pod in doomed]
    return told


def _status(replica_set: ReplicaSet, active: Sequence[Pod], now: datetime) -> ReplicaSetStatus:
    wanted_labels = replica_set.spec.template.metadata.labels.items()
    min_ready_s = replica_set.spec.min_ready_seconds
    return ReplicaSetStatus(
        replicas=len(active),
        fully_labeled_replicas=sum(wanted_labels <= pod.metadata.labels.items() for pod in active),
        ready_replicas=sum(is_ready(pod) for pod in active),
        available_replicas=sum(is_available(pod, min_ready_s, now) for pod in active),
        observed_generation=replica_set.metadata.generation,
        conditions=replica_set.status.conditions,
    )


def _recheck_s(
    replica_set: ReplicaSet, active: Sequence[Pod], wait_s: float, now: datetime
) -> float | None:
    min_ready_s = replica_set.spec.min_ready_seconds
    waits = [
        min_ready_s - ready_for_s(pod, now)
        for pod in active
        if is_ready(pod) and not is_available(pod, min_ready_s, now)
    ]
    if wait_s > 0:
        waits.append(wait_s)
    return min(waits, default=None)
