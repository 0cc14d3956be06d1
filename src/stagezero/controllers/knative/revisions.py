"""Revisions: what is gathered for their plan, and what wakes it."""

from collections.abc import Iterable

from stagezero.api import names_knative as names
from stagezero.api.apps import Deployment
from stagezero.api.autoscaling_knative import PodAutoscaler
from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap
from stagezero.api.pod import Pod
from stagezero.api.serving_knative import Image, Revision
from stagezero.client.cache import Caches
from stagezero.controllers.knative.configuration_source import Read, watch
from stagezero.controllers.knative.plans import revision
from stagezero.runtime.controller import Controller, Watch, owner_keys


def labelled_keys(thing: Object, _: Caches) -> Iterable[Key]:
    """The revision that an object's label names; its autoscaler has the same name."""
    name = thing.metadata.labels.get(names.REVISION)
    if name:
        yield Key(thing.metadata.namespace, name)


def controller(read_config: Read) -> Controller[Revision, revision.Observed]:
    """The controller of Revisions."""

    def gather(primary: Revision, caches: Caches) -> revision.Observed:
        namespace, name = primary.key
        deployment = caches.get(Deployment, Key(namespace, names.deployment(name)))
        return revision.Observed(
            revision=primary,
            deployment=deployment,
            autoscaler=caches.get(PodAutoscaler, primary.key),
            images=caches.owned(Image, primary),
            pods=_pods(primary, deployment, caches),
            config=read_config(caches),
        )

    return Controller(
        "knative-revision",
        Revision,
        gather,
        revision.plan,
        watches=(
            Watch(Deployment, owner_keys(Revision)),
            Watch(PodAutoscaler, owner_keys(Revision)),
            Watch(Image, owner_keys(Revision)),
            Watch(Pod, labelled_keys),
            watch(Revision, "config-deployment"),
        ),
        reads=(ConfigMap,),
    )


def _pods(primary: Revision, deployment: Deployment | None, caches: Caches) -> list[Pod]:
    """The pods, looked up only while none is available: that is when they are asked why."""
    if deployment is None or deployment.status.available_replicas:
        return []
    wanted = {names.REVISION_UID: primary.uid}
    return caches.labelled(Pod, primary.metadata.namespace, wanted)
