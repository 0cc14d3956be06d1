"""Service and pods → Endpoints: where requests to the Service may go.

Ready pods are addresses, the others are told apart. A pod without a network of its own says by
annotation on which port of the machine each of its ports is reached; the Endpoints name that one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from stagezero.api.base import ObjectMeta, OwnerReference
from stagezero.api.container import ContainerPort
from stagezero.api.pod import ObjectReference, Pod
from stagezero.api.service import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
    ServicePort,
)
from stagezero.controllers.workloads.plans.pods import ENDED, is_ready
from stagezero.runtime.plan import NOTHING, Plan

PORTS_ANNOTATION = "node.stagezero.dev/ports"
HEADLESS_LABEL = "service.kubernetes.io/headless"


@dataclass(frozen=True)
class EndpointsObserved:
    """A Service and the pods that its selector chooses."""

    service: Service
    pods: tuple[Pod, ...]


@dataclass(frozen=True)
class _Target:
    """One pod as the Service sees it."""

    ports: tuple[EndpointPort, ...]
    address: EndpointAddress
    is_ready: bool


def plan_endpoints(observed: EndpointsObserved, _: datetime) -> Plan:
    """Write the Endpoints of a Service that has a selector; others are kept by their authors."""
    service = observed.service
    if service.is_deleting or not service.spec.selector or service.spec.type == "ExternalName":
        return NOTHING
    targets = [found for pod in observed.pods if (found := _target(service, pod)) is not None]
    endpoints = Endpoints(metadata=_metadata(service), subsets=_subsets(targets))
    return Plan(apply=(endpoints,))


def _metadata(service: Service) -> ObjectMeta:
    labels = dict(service.metadata.labels)
    if service.spec.cluster_ip == "None":
        labels[HEADLESS_LABEL] = ""
    # Not its controller: Endpoints made by hand before the Service may be taken over.
    owner = OwnerReference(
        service.resource.api_version, "Service", service.metadata.name, service.uid
    )
    return ObjectMeta(
        name=service.metadata.name,
        namespace=service.metadata.namespace,
        labels=labels,
        owner_references=[owner],
    )


def _target(service: Service, pod: Pod) -> _Target | None:
    anyone = service.spec.publish_not_ready_addresses
    if not pod.status.pod_ip or pod.status.phase in ENDED or (pod.is_deleting and not anyone):
        return None
    ports = tuple(_ports(service, pod))
    if service.spec.ports and not ports:
        return None
    reference = ObjectReference(
        kind="Pod",
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.uid,
    )
    is_named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    address = EndpointAddress(
        ip=pod.status.pod_ip,
        hostname=pod.spec.hostname if is_named else "",
        node_name=pod.spec.node_name or None,
        target_ref=reference,
    )
    return _Target(ports, address, anyone or is_ready(pod))


def _ports(service: Service, pod: Pod) -> Iterable[EndpointPort]:
    mapped = _mapped_ports(pod)
    for port in service.spec.ports:
        number = target_port(port, pod)
        if number is not None:
            yield EndpointPort(
                port=mapped.get(str(number), number),
                name=port.name,
                protocol=port.protocol or "TCP",
                app_protocol=port.app_protocol,
            )


def target_port(port: ServicePort, pod: Pod) -> int | None:
    """The number of a Service's target port in a pod; None if the pod has no port of that name."""
    target = port.port if port.target_port is None else port.target_port
    if isinstance(target, int):
        return target or port.port
    if target.isdigit():
        return int(target)
    protocol = port.protocol or "TCP"
    return next(
        (
            found.container_port
            for found in _container_ports(pod)
            if found.name == target and (found.protocol or "TCP") == protocol
        ),
        None,
    )


def _container_ports(pod: Pod) -> Iterable[ContainerPort]:
    sidecars = (found for found in pod.spec.init_containers if found.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        yield from container.ports


def _mapped_ports(pod: Pod) -> dict[str, int]:
    text = pod.metadata.annotations.get(PORTS_ANNOTATION)
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, int])
    except msgspec.DecodeError:
        return {}


def _subsets(targets: Iterable[_Target]) -> list[EndpointSubset]:
    """One subset for each set of ports, in an order that does not depend on the pods' order."""
    grouped: dict[tuple[EndpointPort, ...], list[_Target]] = {}
    for target in targets:
        grouped.setdefault(target.ports, []).append(target)
    return [
        EndpointSubset(
            addresses=_addresses(found for found in group if found.is_ready),
            not_ready_addresses=_addresses(found for found in group if not found.is_ready),
            ports=list(ports),
        )
        for ports, group in sorted(
            grouped.items(), key=lambda item: [(port.port, port.name) for port in item[0]]
        )
    ]


def _addresses(targets: Iterable[_Target]) -> list[EndpointAddress]:
    def order(address: EndpointAddress) -> tuple[str, str]:
        return address.ip, address.target_ref.name if address.target_ref else ""

    return sorted((target.address for target in targets), key=order)
