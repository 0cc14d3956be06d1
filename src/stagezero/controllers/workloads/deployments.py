"""The Deployment controller: gathers the ReplicaSets of a Deployment and the pods of these."""

from collections.abc import Iterable

from stagezero.api.apps import Deployment, ReplicaSet
from stagezero.api.base import Key, Object, controller_of
from stagezero.api.pod import Pod
from stagezero.client.cache import Caches
from stagezero.controllers.workloads.plans.deployments import DeploymentObserved, plan_deployment
from stagezero.runtime.controller import Controller, Watch, owner_keys


def gather(deployment: Deployment, caches: Caches) -> DeploymentObserved:
    """Read the ReplicaSets that the Deployment controls and count their pods."""
    owned = [
        found
        for found in caches.owned(ReplicaSet, deployment)
        if (ref := controller_of(found)) is not None and ref.uid == deployment.uid
    ]
    pods = {found.metadata.name: len(caches.of(Pod).owned_keys(found.uid)) for found in owned}
    # Only a Deployment that has none yet looks for orphans: that takes a walk over all sets.
    orphans = [] if owned else _orphans(deployment, caches)
    return DeploymentObserved(deployment, tuple(owned), pods, tuple(orphans))


def _orphans(deployment: Deployment, caches: Caches) -> list[ReplicaSet]:
    labels = deployment.spec.selector.match_labels
    found = caches.labelled(ReplicaSet, deployment.metadata.namespace, labels)
    return [replica_set for replica_set in found if controller_of(replica_set) is None]


def recreating(pod: Object, caches: Caches) -> Iterable[Key]:
    """The Deployment that waits for an old pod to be gone: nothing else tells it."""
    ref = controller_of(pod)
    if not pod.is_deleting or ref is None or ref.kind != ReplicaSet.resource.kind:
        return
    replica_set = caches.get(ReplicaSet, Key(pod.metadata.namespace, ref.name))
    owner = None if replica_set is None else controller_of(replica_set)
    if owner is None:
        return
    deployment = caches.get(Deployment, Key(pod.metadata.namespace, owner.name))
    if deployment is not None and deployment.spec.strategy.type == "Recreate":
        yield deployment.key


DEPLOYMENTS: Controller[Deployment, DeploymentObserved] = Controller(
    name="deployment-controller",
    primary=Deployment,
    gather=gather,
    plan=plan_deployment,
    watches=(Watch(ReplicaSet, owner_keys(Deployment)), Watch(Pod, recreating)),
)
