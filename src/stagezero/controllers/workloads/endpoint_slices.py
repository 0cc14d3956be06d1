"""The EndpointSlice controller: gathers the slices that were made of an Endpoints object."""

from stagezero.api.discovery import EndpointSlice
from stagezero.api.service import Endpoints
from stagezero.client.cache import Caches
from stagezero.controllers.workloads.plans.endpoint_slices import SlicesObserved, plan_slices
from stagezero.runtime.controller import Controller, Watch, owner_keys


def gather(endpoints: Endpoints, caches: Caches) -> SlicesObserved:
    """Read the slices that the Endpoints own."""
    return SlicesObserved(endpoints, tuple(caches.owned(EndpointSlice, endpoints)))


ENDPOINT_SLICES: Controller[Endpoints, SlicesObserved] = Controller(
    name="endpoint-slice-controller",
    primary=Endpoints,
    gather=gather,
    plan=plan_slices,
    watches=(Watch(EndpointSlice, owner_keys(Endpoints)),),
)
