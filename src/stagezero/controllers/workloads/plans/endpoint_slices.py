"""Endpoints → EndpointSlices: the same addresses again, for `kubectl describe` and newer clients.

One slice for each subset. Without addresses there is none, so a sleeping Service costs nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.discovery import (
    Endpoint,
    EndpointConditions,
    EndpointSlice,
    EndpointSlicePort,
)
from stagezero.api.service import EndpointAddress, Endpoints, EndpointSubset
from stagezero.controllers.workloads.plans.names import generated
from stagezero.runtime.plan import NOTHING, Plan

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"


@dataclass(frozen=True)
class SlicesObserved:
    """The Endpoints of a Service and the slices made of them."""

    endpoints: Endpoints
    slices: tuple[EndpointSlice, ...] = ()


def plan_slices(observed: SlicesObserved, _: datetime) -> Plan:
    """Write a slice for each subset, delete the others."""
    endpoints = observed.endpoints
    if endpoints.is_deleting:
        return NOTHING
    wanted = tuple(
        _slice(endpoints, subset, number) for number, subset in enumerate(endpoints.subsets)
    )
    names = {found.metadata.name for found in wanted}
    doomed = tuple(found for found in observed.slices if found.metadata.name not in names)
    return Plan(apply=wanted, delete=doomed)


def _slice(endpoints: Endpoints, subset: EndpointSubset, number: int) -> EndpointSlice:
    metadata = ObjectMeta(
        name=generated(f"{endpoints.metadata.name}-", endpoints.uid, number),
        generate_name=f"{endpoints.metadata.name}-",
        namespace=endpoints.metadata.namespace,
        labels=endpoints.metadata.labels
        | {SERVICE_LABEL: endpoints.metadata.name, MANAGER_LABEL: MANAGER},
        owner_references=[controlled_by(endpoints)],
    )
    return EndpointSlice(
        metadata=metadata,
        address_type="IPv4",
        endpoints=[
            *_endpoints(subset.addresses, is_ready=True),
            *_endpoints(subset.not_ready_addresses, is_ready=False),
        ],
        ports=[
            EndpointSlicePort(port.name, port.protocol or "TCP", port.port, port.app_protocol)
            for port in subset.ports
        ],
    )


def _endpoints(addresses: Iterable[EndpointAddress], is_ready: bool) -> Iterable[Endpoint]:
    conditions = EndpointConditions(ready=is_ready, serving=is_ready, terminating=False)
    for address in addresses:
        yield Endpoint(
            addresses=[address.ip],
            conditions=conditions,
            hostname=address.hostname or None,
            target_ref=address.target_ref,
            node_name=address.node_name,
        )
