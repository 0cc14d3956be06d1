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
    return DeploymentObserved(deployment, tuple(owned), pods)


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
    name="deployments",
    primary=Deployment,
    gather=gather,
    plan=plan_deployment,
    watches=(Watch(ReplicaSet, owner_keys(Deployment)), Watch(Pod, recreating)),
)
