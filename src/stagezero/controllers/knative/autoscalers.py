"""PodAutoscalers and ServerlessServices: what is gathered for their plans, and what wakes them."""

from collections.abc import Iterable

from stagezero.api import names_knative as names
from stagezero.api.apps import Deployment
from stagezero.api.autoscaling_knative import Metric, PodAutoscaler
from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap
from stagezero.api.networking_knative import ServerlessService
from stagezero.api.service import Endpoints, Service
from stagezero.client.cache import Caches
from stagezero.controllers.knative.configuration_source import Read, watch
from stagezero.controllers.knative.plans import autoscaler, serverless
from stagezero.controllers.knative.revisions import labelled_keys
from stagezero.runtime.controller import Controller, Watch, owner_keys

_PRIVATE = names.private_service("")


def endpoints_keys(thing: Object, caches: Caches) -> Iterable[Key]:
    """The revision whose public or private Endpoints changed."""
    namespace, name = thing.key
    services = caches.of(ServerlessService)
    for candidate in (name, name.removesuffix(_PRIVATE)):
        if services.encoded(Key(namespace, candidate)) is not None:
            return (Key(namespace, candidate),)
    if not name.endswith(_PRIVATE):
        return ()
    keys = services.keys(namespace)  # a long name is shortened: ask which one it may be
    return [key for key in keys if names.private_service(key.name) == name]


def _private_endpoints(primary: Object, caches: Caches) -> Endpoints | None:
    namespace, name = primary.key
    return caches.get(Endpoints, Key(namespace, names.private_service(name)))


def ready_addresses(endpoints: Endpoints | None) -> int:
    """How many pods are ready behind a Service."""
    subsets = endpoints.subsets if endpoints else []
    return len({address.ip for subset in subsets for address in subset.addresses})


def autoscaler_controller(read_config: Read) -> Controller[PodAutoscaler, autoscaler.Observed]:
    """The controller of PodAutoscalers."""

    def gather(primary: PodAutoscaler, caches: Caches) -> autoscaler.Observed:
        namespace = primary.metadata.namespace
        target = Key(namespace, primary.spec.scale_target_ref.name)
        return autoscaler.Observed(
            autoscaler=primary,
            service=caches.get(ServerlessService, primary.key),
            metric=caches.get(Metric, primary.key),
            deployment=caches.get(Deployment, target),
            ready_pods=ready_addresses(_private_endpoints(primary, caches)),
            config=read_config(caches).autoscaler,
        )

    return Controller(
        "knative-autoscaler",
        PodAutoscaler,
        gather,
        autoscaler.plan,
        watches=(
            Watch(ServerlessService, owner_keys(PodAutoscaler)),
            Watch(Metric, owner_keys(PodAutoscaler)),
            Watch(Deployment, labelled_keys),
            Watch(Endpoints, endpoints_keys),
            watch(PodAutoscaler, "config-autoscaler"),
        ),
        reads=(ConfigMap,),
    )


def gather_serverless(primary: ServerlessService, caches: Caches) -> serverless.Observed:
    """The two Services, their Endpoints and the Deployment behind them."""
    namespace, name = primary.key
    private = Key(namespace, names.private_service(name))
    return serverless.Observed(
        sks=primary,
        public=caches.get(Service, primary.key),
        private=caches.get(Service, private),
        public_endpoints=caches.get(Endpoints, primary.key),
        private_endpoints=caches.get(Endpoints, private),
        deployment=caches.get(Deployment, Key(namespace, primary.spec.object_ref.name)),
    )


def serverless_controller() -> Controller[ServerlessService, serverless.Observed]:
    """The controller of ServerlessServices."""
    return Controller(
        "knative-serverless",
        ServerlessService,
        gather_serverless,
        serverless.plan,
        watches=(
            Watch(Service, owner_keys(ServerlessService)),
            Watch(Endpoints, endpoints_keys),
            Watch(Deployment, labelled_keys),
        ),
    )
