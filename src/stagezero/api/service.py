"""Services and Endpoints: a stable name for pods, and the addresses behind it."""

from typing import Annotated, ClassVar

from msgspec import field

from stagezero.api.base import Condition, Noun, Object, Raw, Resource
from stagezero.api.fields import MERGE_BY_TYPE, IntOrString, doc, merge_by
from stagezero.api.pod import ObjectReference


class ServicePort(Noun):
    """A port of a Service and the port of the pods behind it."""

    port: int
    name: str = ""
    protocol: str = ""
    app_protocol: str | None = None
    target_port: Annotated[
        IntOrString | None, doc("Number or name of the pods' port; the same number if not given.")
    ] = None
    node_port: int = 0


class ServiceSpec(Noun):
    """Which pods a Service stands for, and how it is reached."""

    ports: Annotated[list[ServicePort], merge_by("port", "protocol")] = []
    selector: Annotated[
        dict[str, str], doc("Labels of the pods; none: the endpoints are kept by someone else.")
    ] = {}
    cluster_ip: str = field(name="clusterIP", default="")
    cluster_ips: list[str] = field(name="clusterIPs", default_factory=list)
    type: Annotated[str, doc("ClusterIP, NodePort, LoadBalancer or ExternalName.")] = ""
    external_ips: list[str] = field(name="externalIPs", default_factory=list)
    session_affinity: str = ""
    session_affinity_config: Raw | None = None
    load_balancer_ip: str = field(name="loadBalancerIP", default="")
    load_balancer_source_ranges: list[str] = []
    load_balancer_class: str | None = None
    external_name: str = ""
    external_traffic_policy: str = ""
    internal_traffic_policy: str | None = None
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    ip_families: list[str] = []
    ip_family_policy: str | None = None
    allocate_load_balancer_node_ports: bool | None = None
    traffic_distribution: str | None = None


class PortStatus(Noun):
    """What became of a port of a load balancer."""

    port: int
    protocol: str = ""
    error: str | None = None


class LoadBalancerIngress(Noun):
    """An address where a load balancer answers."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: list[PortStatus] = []


class LoadBalancerStatus(Noun):
    """Where a load balancer answers."""

    ingress: list[LoadBalancerIngress] = []


class ServiceStatus(Noun):
    """What became of a Service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: Annotated[list[Condition], MERGE_BY_TYPE] = []


class Service(Object):
    """A name and an address for a set of pods."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "Service", "services",
        short_names=("svc",), categories=("all",), has_status=True, is_builtin=True,
    )  # fmt: skip
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointAddress(Noun):
    """One address behind a Service, usually a pod's."""

    ip: str
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(Noun):
    """One port of the addresses."""

    port: int
    name: str = ""
    protocol: str = ""
    app_protocol: str | None = None


class EndpointSubset(Noun):
    """Addresses that share the same ports."""

    addresses: list[EndpointAddress] = []
    not_ready_addresses: list[EndpointAddress] = []
    ports: list[EndpointPort] = []


def _no_subsets() -> list[EndpointSubset]:
    return []


class Endpoints(Object):
    """The addresses behind the Service of the same name."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "Endpoints", "endpoints", short_names=("ep",), is_builtin=True
    )
    # A factory of its own, so that an empty list is written too: no address is news.
    subsets: list[EndpointSubset] = field(default_factory=_no_subsets)
