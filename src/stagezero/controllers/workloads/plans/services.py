"""Services get an address of the cluster's range, and gateways say where they answer.

The address follows from the Service's name, so that a Service made again gets the same one; if it
is taken, the next free one.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from stagezero.api.base import ObjectMeta
from stagezero.api.service import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServiceSpec,
)
from stagezero.runtime.plan import NOTHING, Plan

RANGE = ipaddress.IPv4Network("10.96.0.0/12")
RESERVED = 256
"""The first addresses are left for Services that ask for a fixed one, such as DNS."""


@dataclass(frozen=True)
class ServiceObserved:
    """A Service, the addresses that are taken, and the machine's address if it is a gateway's."""

    service: Service
    taken: frozenset[str]
    gateway_ip: str = ""


def plan_service(observed: ServiceObserved, _: datetime) -> Plan:
    """Give the Service an address if it needs one; tell a gateway's address."""
    service = observed.service
    if service.is_deleting:
        return NOTHING
    balanced = _balanced(service, observed.gateway_ip)
    return Plan(
        apply=(_with_address(service, observed.taken),) if needs_address(service) else (),
        status=None if balanced is None else balanced,
    )


def needs_address(service: Service) -> bool:
    """Whether the Service has no address and may have one; headless ones say None."""
    return service.spec.type != "ExternalName" and not service.spec.cluster_ip


def _with_address(service: Service, taken: frozenset[str]) -> Service:
    address = free_address(str(service.key), taken)
    spec = ServiceSpec(
        cluster_ip=address,
        cluster_ips=[address],
        ip_families=["IPv4"],
        ip_family_policy="SingleStack",
    )
    metadata = ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace)
    return Service(metadata=metadata, spec=spec)


def free_address(name: str, taken: frozenset[str]) -> str:
    """The address that follows from a name, or the next one that is free."""
    usable = RANGE.num_addresses - RESERVED - 1
    start = int.from_bytes(hashlib.blake2s(name.encode(), digest_size=8).digest()) % usable
    for step in range(usable):
        address = str(RANGE[RESERVED + (start + step) % usable])
        if address not in taken:
            return address
    raise RuntimeError(f"all {usable} addresses of {RANGE} are taken: delete Services")


def _balanced(service: Service, gateway_ip: str) -> Service | None:
    """The Service with the gateway's address in its status; None if there is nothing to say."""
    if service.spec.type != "LoadBalancer" or not gateway_ip:
        return None
    ingress = [LoadBalancerIngress(ip=gateway_ip)]
    status = replace(service.status, load_balancer=LoadBalancerStatus(ingress))
    return replace(service, status=status)
