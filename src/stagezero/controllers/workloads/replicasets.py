"""The ReplicaSet controller: gathers the pods that a ReplicaSet controls."""

from stagezero.api.apps import ReplicaSet
from stagezero.api.base import controller_of
from stagezero.api.pod import Pod
from stagezero.client.cache import Caches
from stagezero.controllers.workloads.plans.replicasets import (
    ReplicaSetObserved,
    plan_replica_set,
)
from stagezero.runtime.controller import Controller, Watch, owner_keys


def gather(replica_set: ReplicaSet, caches: Caches) -> ReplicaSetObserved:
    """Read the pods that the ReplicaSet controls."""
    pods = [
        pod
        for pod in caches.owned(Pod, replica_set)
        if (ref := controller_of(pod)) is not None and ref.uid == replica_set.uid
    ]
    return ReplicaSetObserved(replica_set, tuple(pods))


REPLICA_SETS: Controller[ReplicaSet, ReplicaSetObserved] = Controller(
    name="replicasets",
    primary=ReplicaSet,
    gather=gather,
    plan=plan_replica_set,
    watches=(Watch(Pod, owner_keys(ReplicaSet)),),
)
