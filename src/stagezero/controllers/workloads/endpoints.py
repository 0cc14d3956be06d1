"""The Endpoints controller: gathers the pods that a Service selects, and is woken by them."""

from collections.abc import Iterable

from stagezero.api.base import Key, Object
from stagezero.api.pod import Pod
from stagezero.api.service import Endpoints, Service
from stagezero.client.cache import Caches
from stagezero.controllers.workloads.plans.endpoints import EndpointsObserved, plan_endpoints
from stagezero.runtime.controller import Controller, Watch

_Pair = tuple[str, str, str]
"""A namespace, and a label by key and value."""


class SelectorIndex:
    """Which Services a pod may concern: by one label of each selector.

    A pod changes half a dozen times while it starts; asking every Service of a crowded namespace
    each time would be felt on the way from asleep to awake.
    """

    def __init__(self) -> None:
        self._services: dict[_Pair, set[Key]] = {}

    def note(self, service: Service) -> None:
        """Remember a Service by its selector; it is seen here before pods are asked for."""
        if service.spec.selector:
            self._services.setdefault(_pair(service), set()).add(service.key)

    def services_of(self, pod: Object, caches: Caches) -> Iterable[Key]:
        """The Services whose selector the pod's labels meet."""
        labels = pod.metadata.labels
        for name, value in labels.items():
            pair = (pod.metadata.namespace, name, value)
            for key in list(self._services.get(pair, ())):
                service = caches.get(Service, key)
                if service is None or not service.spec.selector or _pair(service) != pair:
                    self._services[pair].discard(key)
                elif service.spec.selector.items() <= labels.items():
                    yield key


def _pair(service: Service) -> _Pair:
    name = max(service.spec.selector)
    return (service.metadata.namespace, name, service.spec.selector[name])


def endpoints_controller() -> Controller[Service, EndpointsObserved]:
    """Make the controller; it keeps an index of its own."""
    index = SelectorIndex()

    def gather(service: Service, caches: Caches) -> EndpointsObserved:
        index.note(service)
        if not service.spec.selector:
            return EndpointsObserved(service, ())
        pods = caches.labelled(Pod, service.metadata.namespace, service.spec.selector)
        return EndpointsObserved(service, tuple(pods))

    return Controller(
        name="endpoint-controller",
        primary=Service,
        gather=gather,
        plan=plan_endpoints,
        watches=(
            Watch(Pod, index.services_of),
            # Somebody may delete or edit them: the Service of that name looks after its own.
            Watch(Endpoints, lambda endpoints, _: (endpoints.key,)),
        ),
    )
