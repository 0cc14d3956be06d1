"""A ServerlessService's plan: the private Service selects the pods, the public one has no selector.

The public Service's Endpoints are a copy of the private one's: what stands in them decides where
requests for the revision go, and scaling from zero changes them without touching routes.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from stagezero.api import names_knative as names
from stagezero.api import networking_knative as networking
from stagezero.api.apps import Deployment
from stagezero.api.base import ObjectMeta, controlled_by, controller_of
from stagezero.api.conditions import FALSE, TRUE
from stagezero.api.networking_knative import ServerlessService, ServerlessServiceStatus
from stagezero.api.service import Endpoints, EndpointSubset, Service, ServicePort, ServiceSpec
from stagezero.controllers.knative.plans import children
from stagezero.controllers.knative.plans.conditions import (
    YES,
    Mark,
    info,
    no,
    settle,
    unknown,
)
from stagezero.runtime.plan import NOTHING, Plan

NOT_READY = "K8s Service is not ready"
ACTIVATOR = ("ActivatorEndpointsPopulated", "Revision is backed by Activator")


@dataclass(frozen=True)
class Observed:
    """A ServerlessService, its two Services and their Endpoints, and the Deployment behind it."""

    sks: ServerlessService
    public: Service | None = None
    private: Service | None = None
    public_endpoints: Endpoints | None = None
    private_endpoints: Endpoints | None = None
    deployment: Deployment | None = None


def plan(observed: Observed, now: datetime) -> Plan:
    """Write the Services, copy the Endpoints, and say whether anybody is behind them."""
    sks = observed.sks
    if sks.is_deleting:
        return NOTHING
    status = _status(observed, now)
    foreign = _foreign(observed)
    if foreign is not None:
        return Plan(status=msgspec.structs.replace(sks, status=status))
    copied = _public_endpoints(observed)
    has_stale = copied is None and observed.public_endpoints is not None
    return Plan(
        apply=(
            *_private_service(observed),
            _public_service(observed),
            *((copied,) if copied is not None else ()),
        ),
        delete=(observed.public_endpoints,) if has_stale and observed.public_endpoints else (),
        claim=_claimed(observed) if copied is not None else (),
        status=msgspec.structs.replace(sks, status=status),
    )


def _metadata(sks: ServerlessService, name: str, kind: str) -> ObjectMeta:
    meta = sks.metadata
    return ObjectMeta(
        name=name,
        namespace=meta.namespace,
        labels={**meta.labels, names.SKS_LABEL: meta.name, names.SERVICE_TYPE: kind},
        annotations=children.without(meta.annotations),
        owner_references=[controlled_by(sks)],
    )


def port(sks: ServerlessService) -> tuple[str, int]:
    """Name and number of the Services' port: http 80, or http2 81."""
    return ("http2", 81) if sks.spec.protocol_type == networking.H2C else ("http", 80)


def _user_port(deployment: Deployment) -> int:
    ports = [
        port.container_port
        for container in deployment.spec.template.spec.containers
        for port in container.ports
        if port.name == names.USER_PORT
    ]
    return ports[0] if ports else names.DEFAULT_PORT


def _service_ports(observed: Observed) -> list[ServicePort]:
    name, number = port(observed.sks)
    target = _user_port(observed.deployment) if observed.deployment else names.DEFAULT_PORT
    return [ServicePort(number, name=name, protocol="TCP", target_port=target)]


def _private_service(observed: Observed) -> tuple[Service, ...]:
    sks, deployment = observed.sks, observed.deployment
    if deployment is None:
        return ()
    name = names.private_service(sks.metadata.name)
    return (
        Service(
            metadata=_metadata(sks, name, "Private"),
            spec=ServiceSpec(
                ports=_service_ports(observed),
                selector=children.selector(observed.private, deployment.spec.selector.match_labels),
                type="ClusterIP",
            ),
        ),
    )


def _public_service(observed: Observed) -> Service:
    sks = observed.sks
    return Service(
        metadata=_metadata(sks, sks.metadata.name, "Public"),
        # With a selector, the Endpoints would be written by the workloads' controller as well.
        spec=ServiceSpec(
            ports=_service_ports(observed),
            selector=children.selector(observed.public, {}),
            type="ClusterIP",
        ),
    )


def ready_subsets(endpoints: Endpoints | None) -> list[EndpointSubset]:
    """The subsets that have ready addresses, without those that are not ready."""
    return [
        EndpointSubset(addresses=subset.addresses, ports=subset.ports)
        for subset in (endpoints.subsets if endpoints else [])
        if subset.addresses
    ]


def _public_endpoints(observed: Observed) -> Endpoints | None:
    """The copy of the private Endpoints; None if nobody is ready."""
    sks = observed.sks
    subsets = ready_subsets(observed.private_endpoints)
    if not subsets:
        return None
    return Endpoints(metadata=_metadata(sks, sks.metadata.name, "Public"), subsets=subsets)


def _claimed(observed: Observed) -> tuple[Endpoints, ...]:
    """Endpoints that were made from the public Service while somebody gave it a selector."""
    found, public = observed.public_endpoints, observed.public
    if found is None or public is None or controller_of(found) is not None:
        return ()
    owners = found.metadata.owner_references
    if all(owner.uid != public.uid for owner in owners):
        return ()
    metadata = msgspec.structs.replace(
        found.metadata, owner_references=[*owners, controlled_by(observed.sks)]
    )
    return (msgspec.structs.replace(found, metadata=metadata),)


def _foreign(observed: Observed) -> Mark | None:
    for service in (observed.private, observed.public):
        if service is not None and not children.is_owned(service, observed.sks):
            name = service.metadata.name
            return no("NotOwned", f"Resource {name} of type Service is not owned by SKS")
    return None


def _status(observed: Observed, now: datetime) -> ServerlessServiceStatus:
    sks = observed.sks
    populated = _populated(observed)
    is_proxied = populated != YES
    activator = Mark(TRUE if is_proxied else FALSE, *ACTIVATOR)
    return ServerlessServiceStatus(
        observed_generation=sks.metadata.generation,
        conditions=settle(
            {"EndpointsPopulated": populated},
            sks.status.conditions,
            now,
            {"ActivatorEndpointsPopulated": info(activator)},
        ),
        service_name=sks.metadata.name,
        private_service_name=names.private_service(sks.metadata.name),
    )


def _populated(observed: Observed) -> Mark:
    foreign = _foreign(observed)
    if foreign is not None:
        return foreign
    if observed.private is None:
        return unknown("CreatingPrivateService", NOT_READY)
    if observed.public is None:
        return unknown("CreatingPublicService", NOT_READY)
    if not ready_subsets(observed.private_endpoints):
        return unknown("NoHealthyBackends", NOT_READY)
    if observed.public_endpoints is None:
        return unknown("CreatingPublicEndpoints", NOT_READY)
    return YES
