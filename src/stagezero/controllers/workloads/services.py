"""The Service controller: gives addresses out, one after the other."""

from collections.abc import Mapping

from stagezero.api.base import Key
from stagezero.api.service import Service
from stagezero.client.cache import Caches
from stagezero.controllers.workloads.plans.services import (
    ServiceObserved,
    needs_address,
    plan_service,
)
from stagezero.runtime.controller import Controller


def services_controller(gateways: Mapping[Key, str]) -> Controller[Service, ServiceObserved]:
    """Make the controller; `gateways` are Services of type LoadBalancer and where they answer."""

    def gather(service: Service, caches: Caches) -> ServiceObserved:
        taken: frozenset[str] = frozenset()
        if needs_address(service):
            taken = frozenset(found.spec.cluster_ip for found in caches.list(Service))
        return ServiceObserved(service, taken, gateways.get(service.key, ""))

    # One worker: two Services that look for an address at the same time would find the same one.
    return Controller("service-controller", Service, gather, plan_service, workers=1)
