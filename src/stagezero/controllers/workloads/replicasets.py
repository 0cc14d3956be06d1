"""The ReplicaSet controller: gathers the pods that a ReplicaSet controls."""

from stagezero.api.apps import ReplicaSet
from stagezero.api.base import controller_of
from stagezero.api.pod import Pod
from stagezero.client.cache import Caches
from stagezero.controllers.workloads.plans.pods import is_active
from stagezero.controllers.workloads.plans.replicasets import (
    ReplicaSetObserved,
    plan_replica_set,
    wanted_replicas,
)
from stagezero.runtime.controller import Controller, Watch, owner_keys


def gather(replica_set: ReplicaSet, caches: Caches) -> ReplicaSetObserved:
    """Read the pods that the ReplicaSet controls."""
    pods = [
        pod
        for pod in caches.owned(Pod, replica_set)
        if (ref := controller_of(pod)) is not None and ref.uid == replica_set.uid
    ]
    # Only a set that lacks pods looks for orphans: that takes a walk over all pods.
    lacks = sum(map(is_active, pods)) < wanted_replicas(replica_set)
    orphans = _orphans(replica_set, caches) if lacks else []
    return ReplicaSetObserved(replica_set, tuple(pods), tuple(orphans))


def _orphans(replica_set: ReplicaSet, caches: Caches) -> list[Pod]:
    labels = replica_set.spec.selector.match_labels
    found = caches.labelled(Pod, replica_set.metadata.namespace, labels)
    return [pod for pod in found if controller_of(pod) is None]


REPLICA_SETS: Controller[ReplicaSet, ReplicaSetObserved] = Controller(
    name="replicaset-controller",
    primary=ReplicaSet,
    gather=gather,
    plan=plan_replica_set,
    watches=(Watch(Pod, owner_keys(ReplicaSet)),),
)
